/* SPDX-License-Identifier: Apache-2.0 */
#include "frames.h"

#include "bytes.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define FILL_SIZE (64 * KIB)
#define SEND_MS 30000 /* that the other side may leave a full socket alone */

void frame_reader_done(FrameReader *reader)
{
        buffer_done(&reader->input);
        reader->used = 0;
}

/* Drops the frame that was handed out last. */
static void drop_used(FrameReader *reader)
{
        if (reader->used == 0)
                return;
        memmove(reader->input.data, reader->input.data + reader->used, reader->input.size - reader->used);
        reader->input.size -= reader->used;
        reader->used = 0;
}

ssize_t frame_reader_fill(FrameReader *reader, int fd)
{
        drop_used(reader);
        size_t room = MIN_OF(reader->input.cap - reader->input.size, FILL_SIZE);
        if (room == 0)
                return -E2BIG;
        int r = buffer_reserve(&reader->input, room);
        if (r < 0)
                return r;
        ssize_t n = read(fd, reader->input.data + reader->input.size, room);
        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        reader->input.size += (size_t)n;
        return n;
}

int frame_reader_feed(FrameReader *reader, const void *data, size_t size)
{
        drop_used(reader);
        return buffer_append(&reader->input, data, size);
}

int frame_reader_next(FrameReader *reader, Frame *ret)
{
        drop_used(reader);
        const uint8_t *data = reader->input.data;
        if (reader->input.size < FRAME_HEADER_SIZE)
                return 0;
        uint32_t length = read_le32(data);
        if (length > reader->body_max || data[5] != 0 || data[6] != 0 || data[7] != 0)
                return -EBADMSG;
        if (reader->input.size - FRAME_HEADER_SIZE < length)
                return 0;
        *ret = (Frame){ .type = data[4], .data = data + FRAME_HEADER_SIZE, .size = length };
        reader->used = FRAME_HEADER_SIZE + length;
        return 1;
}

int frame_receive(FrameReader *reader, int fd, Frame *ret)
{
        for (;;) {
                int r = frame_reader_next(reader, ret);
                if (r != 0)
                        return r < 0 ? r : 0;
                ssize_t n = frame_reader_fill(reader, fd);
                if (n == 0)
                        return -EPIPE;
                if (n < 0 && n != -EAGAIN)
                        return (int)n;
        }
}

static int take(Frame *frame, size_t size, const uint8_t **ret)
{
        if (frame->size < size)
                return -EBADMSG;
        *ret = frame->data;
        frame->data += size;
        frame->size -= size;
        return 0;
}

int frame_take_u64(Frame *frame, uint64_t *ret)
{
        const uint8_t *data;
        int r = take(frame, 8, &data);
        if (r >= 0)
                *ret = read_le64(data);
        return r;
}

int frame_take_bytes(Frame *frame, const uint8_t **ret, size_t *ret_size)
{
        const uint8_t *head, *data;
        Frame rest = *frame;
        int r = take(&rest, 4, &head);
        if (r < 0)
                return r;
        size_t size = read_le32(head);
        r = take(&rest, size, &data);
        if (r < 0)
                return r;
        *frame = rest;
        *ret = data;
        *ret_size = size;
        return 0;
}

int frame_take_fixed(Frame *frame, void *ret, size_t size)
{
        const uint8_t *data;
        size_t length;
        Frame rest = *frame;
        int r = frame_take_bytes(&rest, &data, &length);
        if (r < 0)
                return r;
        if (length != size)
                return -EBADMSG;
        *frame = rest;
        memcpy(ret, data, size);
        return 0;
}

int frame_take_text(Frame *frame, char *ret, size_t ret_size)
{
        const uint8_t *data;
        size_t length;
        Frame rest = *frame;
        int r = frame_take_bytes(&rest, &data, &length);
        if (r < 0)
                return r;
        if (length >= ret_size || memchr(data, '\0', length))
                return -EBADMSG;
        *frame = rest;
        memcpy(ret, data, length);
        ret[length] = '\0';
        return 0;
}

int frame_end(const Frame *frame)
{
        return frame->size == 0 ? 0 : -EBADMSG;
}

int frame_put_u64(Buffer *body, uint64_t value)
{
        return buffer_append_u64(body, value);
}

int frame_put_bytes(Buffer *body, const void *data, size_t size)
{
        if (size > FRAME_BODY_MAX)
                return -E2BIG;
        int r = buffer_append_u32(body, (uint32_t)size);
        return r < 0 ? r : buffer_append(body, data, size);
}

int frame_put_text(Buffer *body, const char *text)
{
        return frame_put_bytes(body, text ? text : "", text ? strlen(text) : 0);
}

static int send_full(int fd, const uint8_t *data, size_t size)
{
        while (size > 0) {
                ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
                if (n >= 0) {
                        data += n;
                        size -= (size_t)n;
                } else if (errno == EAGAIN) {
                        struct pollfd wait = { .fd = fd, .events = POLLOUT };
                        int ready = poll(&wait, 1, SEND_MS);
                        if (ready < 0 && errno != EINTR)
                                return -errno;
                        if (ready == 0)
                                return -ETIMEDOUT;
                } else if (errno != EINTR) {
                        return -errno;
                }
        }
        return 0;
}

static int make_header(FrameType type, const Buffer *body, uint8_t ret[static FRAME_HEADER_SIZE])
{
        size_t size = body ? body->size : 0;
        if (size > FRAME_BODY_MAX)
                return -E2BIG;
        memset(ret, 0, FRAME_HEADER_SIZE);
        write_le32(ret, (uint32_t)size);
        ret[4] = (uint8_t)type;
        return 0;
}

int frame_send_descriptors(int fd, FrameType type, const Buffer *body, const int *fds, size_t count)
{
        uint8_t header[FRAME_HEADER_SIZE];
        union {
                struct cmsghdr head;
                char bytes[CMSG_SPACE(FRAME_DESCRIPTORS_MAX * sizeof(int))];
        } rights = { 0 };
        struct iovec parts[] = { { header, sizeof(header) }, { body->data, body->size } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = ELEMENTS(parts) };
        ssize_t n;

        int r = count > FRAME_DESCRIPTORS_MAX ? -E2BIG : make_header(type, body, header);
        if (r < 0)
                return r;
        if (count > 0) {
                message.msg_control = rights.bytes;
                message.msg_controllen = CMSG_SPACE(count * sizeof(int));
                rights.head.cmsg_level = SOL_SOCKET;
                rights.head.cmsg_type = SCM_RIGHTS;
                rights.head.cmsg_len = CMSG_LEN(count * sizeof(int));
                memcpy(CMSG_DATA(&rights.head), fds, count * sizeof(int));
        }
        do
                n = sendmsg(fd, &message, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t)n == sizeof(header) + body->size ? 0 : -EMSGSIZE;
}

int frame_send(int fd, FrameType type, const Buffer *body)
{
        uint8_t header[FRAME_HEADER_SIZE];
        size_t size = body ? body->size : 0;
        int made = make_header(type, body, header);
        if (made < 0)
                return made;
        int r = send_full(fd, header, sizeof(header));
        return r < 0 || size == 0 ? r : send_full(fd, body->data, size);
}

int frame_send_error(int fd, int r, const Error *error)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(2 * ERROR_MESSAGE_MAX);
        const char *text = error && error_is_set(error) ? error->message : strerror(-r);
        int failed = frame_put_u64(&body, error && error_is_set(error) ? error->code : ERROR_FAILED);
        failed |= frame_put_u64(&body, (uint64_t)-r);
        failed |= frame_put_text(&body, text);
        return failed ? -ENOMEM : frame_send(fd, FRAME_FAILED, &body);
}

int frame_take_error(Frame *frame, Error *error)
{
        uint64_t code = 0, number = 0;
        char text[ERROR_MESSAGE_MAX];
        int r = frame_take_u64(frame, &code);
        if (r >= 0)
                r = frame_take_u64(frame, &number);
        if (r >= 0)
                r = frame_take_text(frame, text, sizeof(text));
        if (r < 0)
                return error_set(error, ERROR_FAILED, EBADMSG, "a role sent a frame that makes no sense");
        if (code == ERROR_NONE || code >= ERROR_CODE_MAX)
                code = ERROR_FAILED;
        if (number == 0 || number > 4095)
                number = EIO;
        return error_set(error, (ErrorCode)code, (int)number, "%s", text);
}
