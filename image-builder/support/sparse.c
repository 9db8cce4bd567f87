/* SPDX-License-Identifier: Apache-2.0 */
#include "sparse.h"

#include "file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#define CHUNK (1 * MIB)
#define BLOCK 4096

bool sparse_is_zero(const void *bytes, size_t size)
{
        const uint8_t *data = bytes;

        return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/* Writes the blocks of a chunk that hold something. */
static int write_blocks(int fd, const uint8_t *data, size_t size, uint64_t offset)
{
        for (size_t done = 0; done < size;) {
                size_t run = 0;
                int r;

                while (done + run < size &&
                                !sparse_is_zero(data + done + run, MIN_OF(size - done - run, (size_t)BLOCK)))
                        run += MIN_OF(size - done - run, (size_t)BLOCK);
                if (run == 0) {
                        done += MIN_OF(size - done, (size_t)BLOCK);
                        continue;
                }
                r = pwrite_full(fd, data + done, run, offset + done);
                if (r < 0)
                        return r;
                done += run;
        }
        return 0;
}

int sparse_next(int fd, uint64_t offset, uint64_t limit, uint64_t *ret_begin, uint64_t *ret_end)
{
        off_t begin = lseek(fd, (off_t)offset, SEEK_DATA), end;

        if (begin < 0 && errno == ENXIO) {
                *ret_begin = *ret_end = limit;
                return 0;
        }
        end = begin < 0 ? -1 : lseek(fd, begin, SEEK_HOLE);
        if (end < 0) { /* the filesystem cannot tell */
                *ret_begin = offset;
                *ret_end = limit;
                return 0;
        }
        *ret_begin = MIN_OF((uint64_t)begin, limit);
        *ret_end = MIN_OF((uint64_t)end, limit);
        return 0;
}

int sparse_copy(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset, uint64_t size)
{
        _cleanup_free_ uint8_t *chunk = NULL;
        uint64_t limit = from_offset + size, position = from_offset, end = from_offset, source_size;
        int r = fd_size(from_fd, &source_size);

        if (r < 0)
                return r;
        if (limit < from_offset || limit > source_size)
                return -EIO;
        chunk = malloc(CHUNK);
        if (!chunk)
                return -ENOMEM;
        while (position < limit) {
                size_t n;

                if (position >= end) {
                        r = sparse_next(from_fd, position, limit, &position, &end);
                        if (r < 0 || position >= limit)
                                return r;
                }
                n = (size_t)MIN_OF(end - position, (uint64_t)CHUNK);
                r = pread_full(from_fd, chunk, n, position);
                if (r >= 0)
                        r = write_blocks(to_fd, chunk, n, to_offset + (position - from_offset));
                if (r < 0)
                        return r;
                position += n;
        }
        return 0;
}

int sparse_copy_file(const char *from, const char *to, Error *error)
{
        _cleanup_fd_ int from_fd = open(from, O_RDONLY | O_CLOEXEC);
        _cleanup_fd_ int to_fd = -1;
        uint64_t size;
        int r;

        if (from_fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open %s: %s", from, strerror(errno));
        to_fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (to_fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot make %s: %s", to, strerror(errno));
        r = fd_size(from_fd, &size);
        if (r >= 0 && ioctl(to_fd, FICLONE, from_fd) >= 0)
                return 0;
        if (r >= 0 && ftruncate(to_fd, (off_t)size) < 0)
                r = -errno;
        if (r >= 0)
                r = sparse_copy(from_fd, 0, to_fd, 0, size);
        return r < 0 ? error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot write %s: %s",
                                       to, strerror(-r))
                     : 0;
}

int sparse_make_file(const char *path, uint64_t size, int *ret_fd, Error *error)
{
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        int r = fd < 0 ? -errno : 0;

        if (r >= 0 && ftruncate(fd, (off_t)size) < 0)
                r = -errno;
        if (r < 0) {
                fd_close(fd);
                return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot write %s: %s",
                                path, strerror(-r));
        }
        *ret_fd = fd;
        return 0;
}
