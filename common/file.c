/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

int pread_full(int fd, void *ret, size_t size, uint64_t offset)
{
        uint8_t *p = ret;

        while (size > 0) {
                ssize_t n = pread(fd, p, size, (off_t)offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -EIO;
                p += n;
                size -= (size_t)n;
                offset += (uint64_t)n;
        }
        return 0;
}

int pwrite_full(int fd, const void *data, size_t size, uint64_t offset)
{
        const uint8_t *p = data;

        while (size > 0) {
                ssize_t n = pwrite(fd, p, size, (off_t)offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -EIO;
                p += n;
                size -= (size_t)n;
                offset += (uint64_t)n;
        }
        return 0;
}

int read_up_to(int fd, void *ret, size_t size, size_t *ret_size)
{
        uint8_t *p = ret;
        size_t done = 0;

        while (done < size) {
                ssize_t n = read(fd, p + done, size - done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                done += (size_t)n;
        }
        *ret_size = done;
        return 0;
}

int read_full(int fd, void *ret, size_t size)
{
        size_t done;
        int r = read_up_to(fd, ret, size, &done);

        if (r < 0)
                return r;
        return done == size ? 0 : -EPIPE;
}

int write_full(int fd, const void *data, size_t size)
{
        const uint8_t *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                size -= (size_t)n;
        }
        return 0;
}

int file_read(int dir_fd, const char *path, size_t cap_bytes, char **ret, size_t *ret_size)
{
        _cleanup_buffer_ Buffer buffer = BUFFER_WITH_CAP(cap_bytes);
        _cleanup_fd_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        char *data;

        if (fd < 0)
                return -errno;
        for (;;) {
                uint8_t chunk[16384];
                size_t size;
                int r = read_up_to(fd, chunk, sizeof(chunk), &size);

                if (r < 0)
                        return r;
                r = buffer_append(&buffer, chunk, size);
                if (r < 0)
                        return r;
                if (size < sizeof(chunk))
                        break;
        }
        data = buffer_take(&buffer, ret_size);
        if (!data)
                return -ENOMEM;
        *ret = data;
        return 0;
}

static int sync_folder_of(int dir_fd, const char *path)
{
        _cleanup_free_ char *folder = strdup(path);
        _cleanup_fd_ int fd = -1;
        char *slash;

        if (!folder)
                return -ENOMEM;
        slash = strrchr(folder, '/');
        if (slash == folder)
                slash[1] = 0;
        else if (slash)
                *slash = 0;
        fd = openat(dir_fd, slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return fsync(fd) < 0 ? -errno : 0;
}

static int write_and_sync(int dir_fd, const char *path, const void *data, size_t size, mode_t mode)
{
        _cleanup_fd_ int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
        int r;

        if (fd < 0)
                return -errno;
        r = write_full(fd, data, size);
        if (r < 0)
                return r;
        if (fchmod(fd, mode) < 0 && errno != EPERM)
                return -errno;
        return fsync(fd) < 0 ? -errno : 0;
}

int file_replace(int dir_fd, const char *path, const void *data, size_t size, mode_t mode)
{
        _cleanup_free_ char *temporary = string_format("%s.new", path);
        int r;

        if (!temporary)
                return -ENOMEM;
        r = write_and_sync(dir_fd, temporary, data, size, mode);
        if (r >= 0 && renameat(dir_fd, temporary, dir_fd, path) < 0)
                r = -errno;
        if (r < 0) {
                (void)unlinkat(dir_fd, temporary, 0);
                return r;
        }
        return sync_folder_of(dir_fd, path);
}

int directory_make(int dir_fd, const char *path, mode_t mode)
{
        _cleanup_free_ char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        for (char *p = copy + 1; copy[0] && *p; p++) {
                if (*p != '/')
                        continue;
                *p = 0;
                if (mkdirat(dir_fd, copy, mode) < 0 && errno != EEXIST)
                        return -errno;
                *p = '/';
        }
        if (mkdirat(dir_fd, copy, mode) < 0 && errno != EEXIST)
                return -errno;
        return 0;
}

int fd_size(int fd, uint64_t *ret_bytes)
{
        struct stat status;
        uint64_t bytes;

        if (fstat(fd, &status) < 0)
                return -errno;
        if (S_ISREG(status.st_mode)) {
                *ret_bytes = (uint64_t)status.st_size;
                return 0;
        }
        if (!S_ISBLK(status.st_mode))
                return -ENOTBLK;
        if (ioctl(fd, BLKGETSIZE64, &bytes) < 0)
                return -errno;
        *ret_bytes = bytes;
        return 0;
}

char *path_join(const char *folder, const char *name)
{
        size_t length = strlen(folder);

        return string_format("%s%s%s", folder, length > 0 && folder[length - 1] == '/' ? "" : "/", name);
}

char *string_format(const char *format, ...)
{
        va_list arguments;
        char *text;
        int r;

        va_start(arguments, format);
        r = vasprintf(&text, format, arguments);
        va_end(arguments);
        return r < 0 ? NULL : text;
}

const char *size_format(uint64_t bytes, char ret[static SIZE_TEXT_MAX])
{
        static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        double value = (double)bytes;
        size_t unit = 0;

        for (; value >= 1024 && unit + 1 < ELEMENTS(units); unit++)
                value /= 1024;
        (void)snprintf(ret, SIZE_TEXT_MAX, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
        return ret;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
        static const char suffixes[] = "KMGT";
        unsigned long long value;
        uint64_t factor = 1, bytes;
        char *end;

        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        errno = 0;
        value = strtoull(text, &end, 10);
        if (errno != 0)
                return -ERANGE;
        if (*end) {
                const char *suffix = strchr(suffixes, *end);

                if (!suffix || end[1])
                        return -EINVAL;
                for (const char *p = suffixes; p <= suffix; p++)
                        factor *= 1024;
        }
        if (MUL_OVERFLOWS((uint64_t)value, factor, &bytes))
                return -ERANGE;
        *ret_bytes = bytes;
        return 0;
}
