/* SPDX-License-Identifier: Apache-2.0 */
#include "apply-internal.h"
#include "file.h"
#include "roles.h"

#include <fcntl.h>
#include <string.h>

/* So much is written before the kernel is told to write it out and forget it. */
#define FLUSH_BYTES (8 * MIB)
#define PROGRESS_BYTES (1 * MIB)

int ranges_add(Ranges *ranges, uint64_t start, uint64_t end, Error *error)
{
        Range *last = ranges->count > 0 ? &ranges->list[ranges->count - 1] : NULL;
        Range *grown;

        if (last && last->end == start) {
                last->end = end;
                return 0;
        }
        grown = reallocarray(ranges->list, ranges->count + 1, sizeof(*grown));
        if (!grown)
                return error_oom(error);
        ranges->list = grown;
        ranges->list[ranges->count++] = (Range){ start, end };
        return 0;
}

bool ranges_meet(const Ranges *ranges, uint64_t start, uint64_t end)
{
        for (size_t i = 0; i < ranges->count; i++)
                if (start < ranges->list[i].end && end > ranges->list[i].start)
                        return true;
        return false;
}

void ranges_done(Ranges *ranges)
{
        free(ranges->list);
        *ranges = (Ranges){ 0 };
}

int apply_need(size_t payload, uint64_t offset, uint64_t size)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);
        int failed = frame_put_u64(&body, payload);
        failed |= frame_put_u64(&body, offset);
        failed |= frame_put_u64(&body, size);
        return failed ? -ENOMEM : frame_send(ROLE_FD_CONTROL, FRAME_NEED, &body);
}

int apply_tell(Apply *apply, FrameType type, bool always)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);
        if (!always && apply->right_bytes - apply->told_bytes < PROGRESS_BYTES)
                return 0;
        apply->told_bytes = apply->right_bytes;
        int failed = frame_put_u64(&body, apply->right_bytes);
        failed |= frame_put_u64(&body, apply->written_bytes);
        return failed ? -ENOMEM : frame_send(ROLE_FD_CONTROL, type, &body);
}

int apply_target_error(int r, const char *what, Error *error)
{
        return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot %s the target: %s",
                        what, strerror(-r));
}

int apply_receive(void *ret, size_t size, Error *error)
{
        int r = read_full(ROLE_FD_DATA, ret, size);
        if (r < 0)
                return error_set(error, ERROR_NETWORK, -r, "the transfer ended early");
        return 0;
}

int apply_write(Apply *apply, uint64_t target_offset, const uint8_t *data, uint64_t size, Error *error)
{
        uint64_t offset = apply->setup.target_offset + target_offset;
        int r = pwrite_full(ROLE_FD_TARGET, data, (size_t)size, offset);
        if (r < 0)
                return apply_target_error(r, "write", error);
        apply->written_bytes += size;
        apply->right_bytes = MIN_OF(apply->right_bytes + size, apply->setup.target_size_bytes);
        /* Starts writing this out, and drops what is surely out by now: the page cache stays with the
         * machine's own work. */
        (void)sync_file_range(ROLE_FD_TARGET, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
        if (target_offset > FLUSH_BYTES) {
                off_t old = (off_t)(offset - FLUSH_BYTES);
                (void)sync_file_range(ROLE_FD_TARGET, old, (off_t)FLUSH_BYTES,
                                SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                                SYNC_FILE_RANGE_WAIT_AFTER);
                (void)posix_fadvise(ROLE_FD_TARGET, old, (off_t)FLUSH_BYTES, POSIX_FADV_DONTNEED);
        }
        return apply_tell(apply, FRAME_PROGRESS, false);
}
