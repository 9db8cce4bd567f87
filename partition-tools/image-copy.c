/* SPDX-License-Identifier: Apache-2.0 */
#include "image-copy.h"

#include "file.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#define CHUNK_SIZE MIB
/* O_DIRECT wants offsets, sizes and memory in multiples of the sector. */
#define DIRECT_ALIGNMENT 4096

static uint64_t source_at(const ImageCopy *copy, uint64_t at)
{
        return at - copy->first_bytes + copy->from_bytes;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
        return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Where the next stretch of data, or hole, of the image ends; both inside of [at, end). */
static uint64_t stretch_end(int fd, uint64_t at, uint64_t end, bool *ret_is_data)
{
        off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

        if (data < 0 && errno == ENXIO) {
                *ret_is_data = false;
                return end;
        }
        if (data < 0) { /* a filesystem that knows no holes */
                *ret_is_data = true;
                return end;
        }
        if ((uint64_t)data > at) {
                *ret_is_data = false;
                return MIN_OF((uint64_t)data, end);
        }
        hole = lseek(fd, (off_t)at, SEEK_HOLE);
        *ret_is_data = true;
        return hole < 0 ? end : MIN_OF((uint64_t)hole, end);
}

static int write_zeros(int fd, uint8_t *chunk, uint64_t at, uint64_t end)
{
        memset(chunk, 0, CHUNK_SIZE);
        while (at < end) {
                size_t part = MIN_OF(end - at, CHUNK_SIZE);
                int r = pwrite_full(fd, chunk, part, at);

                if (r < 0)
                        return r;
                at += part;
        }
        return 0;
}

/* What was on the disk there must go: an old superblock in a slot that the image leaves empty would count.
 */
static int make_hole(const ImageCopy *copy, uint8_t *chunk, uint64_t at, uint64_t end)
{
        uint64_t range[2] = { at, end - at };

        if (copy->to_is_block_device ? ioctl(copy->to_fd, BLKZEROOUT, range) >= 0
                                     : fallocate(copy->to_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                                       (off_t)at, (off_t)(end - at)) >= 0)
                return 0;
        return write_zeros(copy->to_fd, chunk, at, end);
}

/* A device knows no holes: what would be one in a file is zeros there. */
static int copy_data(const ImageCopy *copy, uint8_t *chunk, uint64_t at, uint64_t end, uint64_t *written,
                Error *error)
{
        while (at < end) {
                size_t part = MIN_OF(end - at, CHUNK_SIZE);
                int r = pread_full(copy->from_fd, chunk, part, source_at(copy, at));
                bool is_data = r >= 0 && !is_zero(chunk, part);

                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read the image at byte %ju: %s",
                                        (uintmax_t)source_at(copy, at), strerror(-r));
                r = is_data ? pwrite_full(copy->to_fd, chunk, part, at)
                            : make_hole(copy, chunk, at, at + part);
                *written += is_data ? part : 0;
                if (r < 0)
                        return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                        "cannot write to %s at byte %ju: %s", copy->to_path, (uintmax_t)at,
                                        strerror(-r));
                at += part;
                progress_update(copy->progress, at - copy->first_bytes);
        }
        return 0;
}

int image_copy(const ImageCopy *copy, uint64_t *ret_written_bytes, Error *error)
{
        _cleanup_free_ uint8_t *chunk = aligned_alloc(DIRECT_ALIGNMENT, CHUNK_SIZE);
        char remark[SIZE_TEXT_MAX];
        uint64_t written = 0;
        int r = 0;

        if (!chunk)
                return error_oom(error);
        progress_begin(copy->progress, "copy", copy->end_bytes - copy->first_bytes);
        for (uint64_t at = copy->first_bytes, next; at < copy->end_bytes; at = next) {
                bool is_data;

                next = at +
                       stretch_end(copy->from_fd, source_at(copy, at), source_at(copy, copy->end_bytes),
                                       &is_data) -
                       source_at(copy, at);
                if (is_data) {
                        r = copy_data(copy, chunk, at, next, &written, error);
                } else {
                        r = make_hole(copy, chunk, at, next);
                        if (r < 0)
                                (void)error_set(error, ERROR_IO, -r, "cannot clear %s at byte %ju: %s",
                                                copy->to_path, (uintmax_t)at, strerror(-r));
                }
                if (r < 0)
                        return r;
        }
        if (fsync(copy->to_fd) < 0)
                return error_set(error, ERROR_IO, errno, "cannot flush %s: %s", copy->to_path,
                                strerror(errno));
        progress_end(copy->progress, size_format(written, remark));
        *ret_written_bytes = written;
        return 0;
}

/* A descriptor that reads what is on the device and not what is in memory, where that can be had. */
static int open_to_read_back(const ImageCopy *copy)
{
        int fd = -1;

        if (copy->first_bytes % DIRECT_ALIGNMENT == 0 && copy->end_bytes % DIRECT_ALIGNMENT == 0)
                fd = open(copy->to_path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                fd = open(copy->to_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd >= 0)
                (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        return fd;
}

static size_t first_difference(const uint8_t *a, const uint8_t *b, size_t size)
{
        size_t i = 0;

        while (i < size && a[i] == b[i])
                i++;
        return i;
}

int image_compare(const ImageCopy *copy, Error *error)
{
        _cleanup_free_ uint8_t *wanted = aligned_alloc(DIRECT_ALIGNMENT, CHUNK_SIZE);
        _cleanup_free_ uint8_t *found = aligned_alloc(DIRECT_ALIGNMENT, CHUNK_SIZE);
        _cleanup_fd_ int fd = open_to_read_back(copy);

        if (!wanted || !found)
                return error_oom(error);
        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open %s to read it back: %s", copy->to_path,
                                strerror(errno));
        /* Of the image too: what is compared must not be what memory made of it while it was copied. */
        (void)posix_fadvise(copy->from_fd, (off_t)copy->from_bytes,
                        (off_t)(copy->end_bytes - copy->first_bytes), POSIX_FADV_DONTNEED);
        progress_begin(copy->progress, "read back", copy->end_bytes - copy->first_bytes);
        for (uint64_t at = copy->first_bytes; at < copy->end_bytes;) {
                size_t part = MIN_OF(copy->end_bytes - at, CHUNK_SIZE);
                int r = pread_full(copy->from_fd, wanted, part, source_at(copy, at));

                if (r >= 0)
                        r = pread_full(fd, found, part, at);
                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read back byte %ju of %s: %s",
                                        (uintmax_t)at, copy->to_path, strerror(-r));
                if (memcmp(wanted, found, part) != 0)
                        return error_set(error, ERROR_CORRUPT, EBADMSG,
                                        "%s does not hold what was written to it, first at byte %ju: the "
                                        "disk is not to be trusted",
                                        copy->to_path,
                                        (uintmax_t)(at + first_difference(wanted, found, part)));
                at += part;
                progress_update(copy->progress, at - copy->first_bytes);
        }
        progress_end(copy->progress, "as written");
        return 0;
}
