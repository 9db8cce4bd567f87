/* SPDX-License-Identifier: Apache-2.0 */
#include "http-serve.h"

#include "file.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define HEAD_MAX 16384
#define CHUNK (64 * KIB)

typedef struct Request {
        char *path; /* without the leading slash; points into the head */
        bool is_head, wants_close, has_range;
        uint64_t first, last; /* last: UINT64_MAX for "to the end" */
} Request;

/* Waits for the head of a request, up to the empty line, which becomes a NUL: its length with the empty
 * line, 0 at the end of the stream. What was read beyond it stays for the next. */
static int read_head(int fd, char head[static HEAD_MAX + 1], size_t *length)
{
        for (;;) {
                ssize_t size;
                char *end;

                head[*length] = 0;
                end = memmem(head, *length, "\r\n\r\n", 4);
                if (end) {
                        *end = 0;
                        return (int)(end + 4 - head);
                }
                if (*length == HEAD_MAX)
                        return -E2BIG;
                size = read(fd, head + *length, HEAD_MAX - *length);
                if (size < 0 && errno == EINTR)
                        continue;
                if (size <= 0)
                        return size < 0 ? -errno : 0;
                *length += (size_t)size;
        }
}

/* "bytes=FIRST-" or "bytes=FIRST-LAST"; anything else means the whole file, as a server may. */
static void parse_range(const char *value, Request *request)
{
        uint64_t first, last = UINT64_MAX;
        char *end;

        value += strspn(value, " \t");
        if (strncasecmp(value, "bytes=", 6) != 0 || !isdigit((unsigned char)value[6]))
                return;
        errno = 0;
        first = strtoull(value + 6, &end, 10);
        if (*end++ != '-')
                return;
        if (isdigit((unsigned char)*end))
                last = strtoull(end, &end, 10);
        if (errno != 0 || *end || first > last)
                return;
        request->has_range = true;
        request->first = first;
        request->last = last;
}

static int parse_request(char *head, Request *ret)
{
        char *line = head, *next = strstr(head, "\r\n"), *space;

        *ret = (Request){ 0 };
        if (next)
                *next = 0;
        ret->is_head = strncmp(line, "HEAD /", 6) == 0;
        if (!ret->is_head && strncmp(line, "GET /", 5) != 0)
                return -EINVAL;
        ret->path = strchr(line, '/') + 1;
        space = strchr(ret->path, ' ');
        if (!space || strncmp(space, " HTTP/1.", 8) != 0)
                return -EINVAL;
        *space = 0;
        ret->wants_close = strcmp(space + 1, "HTTP/1.0") == 0;
        while (next) {
                line = next + 2;
                next = strstr(line, "\r\n");
                if (next)
                        *next = 0;
                if (strncasecmp(line, "range:", 6) == 0)
                        parse_range(line + 6, ret);
                if (strncasecmp(line, "connection:", 11) == 0 && strcasestr(line, "close"))
                        ret->wants_close = true;
        }
        return 0;
}

static int open_below(int folder_fd, const char *path)
{
        const struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
        int fd = (int)syscall(SYS_openat2, folder_fd, path, &how, sizeof(how));
        struct stat status;

        if (fd >= 0 && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)))
                fd = fd_close(fd);
        return fd;
}

static int answer_without(int fd, const char *status)
{
        _cleanup_free_ char *head = string_format("HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status);

        return head ? write_full(fd, head, strlen(head)) : -ENOMEM;
}

static int send_bytes(int from_fd, uint64_t offset, uint64_t size, int fd)
{
        _cleanup_free_ uint8_t *chunk = malloc(CHUNK);
        int r = chunk ? 0 : -ENOMEM;

        while (r >= 0 && size > 0) {
                size_t part = (size_t)MIN_OF(size, CHUNK);

                r = pread_full(from_fd, chunk, part, offset);
                if (r >= 0)
                        r = write_full(fd, chunk, part);
                offset += part;
                size -= part;
        }
        return r;
}

static int answer(int folder_fd, const Request *request, int fd)
{
        _cleanup_fd_ int file_fd = open_below(folder_fd, request->path);
        _cleanup_free_ char *head = NULL;
        uint64_t total, last;
        int r;

        if (file_fd < 0 || fd_size(file_fd, &total) < 0)
                return answer_without(fd, "404 Not Found");
        if (request->has_range && request->first >= total)
                return answer_without(fd, "416 Range Not Satisfiable");
        if (!request->has_range) {
                head = string_format("HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: %" PRIu64
                                     "\r\n\r\n",
                                total);
                last = total - 1;
        } else {
                last = MIN_OF(request->last, total - 1);
                head = string_format("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %" PRIu64
                                     "-%" PRIu64 "/%" PRIu64 "\r\nContent-Length: %" PRIu64 "\r\n\r\n",
                                request->first, last, total, last - request->first + 1);
        }
        r = head ? write_full(fd, head, strlen(head)) : -ENOMEM;
        if (r < 0 || request->is_head || total == 0)
                return r;
        return send_bytes(file_fd, request->first, last - request->first + 1, fd);
}

int http_serve(int folder_fd, int input_fd, int output_fd)
{
        _cleanup_free_ char *head = malloc(HEAD_MAX + 1);
        size_t length = 0;

        if (!head)
                return -ENOMEM;
        for (;;) {
                Request request;
                int used = read_head(input_fd, head, &length), r;

                if (used == -E2BIG)
                        return answer_without(output_fd, "431 Request Header Fields Too Large");
                if (used <= 0)
                        return used;
                r = parse_request(head, &request);
                if (r < 0)
                        return answer_without(output_fd, "400 Bad Request");
                r = answer(folder_fd, &request, output_fd);
                if (r < 0 || request.wants_close)
                        return r;
                length -= (size_t)used;
                memmove(head, head + used, length);
        }
}
