/* SPDX-License-Identifier: Apache-2.0 */
#include "apply.h"

#include "file.h"
#include "roles.h"
#include "transfer-frames.h"

#include <fcntl.h>
#include <string.h>

/* A blob is never much longer than what it decodes to. */
#define BLOB_MAX (PAYLOAD_GROUP_MAX + 1 * MIB)
/* So much is written before the kernel is told to write it out and forget it. */
#define FLUSH_BYTES (8 * MIB)
#define PROGRESS_BYTES (1 * MIB)
#define SCAN_BYTES (16 * MIB)

typedef struct Range {
        uint64_t start, end;
} Range;

typedef struct Apply {
        ApplySetup setup;
        PayloadSource sources[PAYLOAD_SOURCES_MAX];
        uint64_t right_bytes, written_bytes, told_bytes;
        Range *stale; /* of the target: what the first payload could not make */
        size_t stale_count;
} Apply;

static int send_need(size_t payload, uint64_t offset, uint64_t size)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);
        int failed = frame_put_u64(&body, payload);
        failed |= frame_put_u64(&body, offset);
        failed |= frame_put_u64(&body, size);
        return failed ? -ENOMEM : frame_send(ROLE_FD_CONTROL, FRAME_NEED, &body);
}

static int send_progress(Apply *apply, FrameType type, bool always)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);
        if (!always && apply->right_bytes - apply->told_bytes < PROGRESS_BYTES)
                return 0;
        apply->told_bytes = apply->right_bytes;
        int failed = frame_put_u64(&body, apply->right_bytes);
        failed |= frame_put_u64(&body, apply->written_bytes);
        return failed ? -ENOMEM : frame_send(ROLE_FD_CONTROL, type, &body);
}

static int target_error(int r, const char *what, Error *error)
{
        return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot %s the target: %s",
                        what, strerror(-r));
}

/* Asks for bytes of a payload and reads them. */
static int receive(void *ret, size_t size, Error *error)
{
        int r = read_full(ROLE_FD_DATA, ret, size);
        if (r < 0)
                return error_set(error, ERROR_NETWORK, -r, "the transfer ended early");
        return 0;
}

static int load_index(Apply *apply, size_t payload, PayloadIndex **ret, Error *error)
{
        const PayloadExpectation *expectation = &apply->setup.payloads[payload];
        size_t size = (size_t)expectation->index_size_bytes;
        _cleanup_free_ uint8_t *data = malloc(size);
        if (!data)
                return error_oom(error);
        int r = send_need(payload, 0, size);
        if (r >= 0)
                r = receive(data, size, error);
        return r < 0 ? r : payload_index_parse(data, size, expectation, ret, error);
}

static bool is_group_wanted(const PayloadGroup *group, const Range *ranges, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (group->target_offset < ranges[i].end &&
                                group->target_offset + group->target_size_bytes > ranges[i].start)
                        return true;
        return count == 0;
}

/* Marks the groups that must be fetched: wanted, and not in the target already. */
static int find_missing(Apply *apply, const PayloadIndex *index, const Range *ranges, size_t range_count,
                bool *missing, Error *error)
{
        uint64_t scanned = 0;
        for (size_t i = 0; i < payload_group_count(index); i++) {
                const PayloadGroup *group = payload_group(index, i);
                uint8_t hash[SHA256_SIZE];
                missing[i] = false;
                if (!is_group_wanted(group, ranges, range_count))
                        continue;
                int r = sha256_of_fd(ROLE_FD_TARGET, apply->setup.target_offset + group->target_offset,
                                group->target_size_bytes, hash);
                missing[i] = r < 0 || memcmp(hash, group->target_sha256, SHA256_SIZE) != 0;
                if (r == -ENOMEM)
                        return error_oom(error);
                if (!missing[i] && range_count == 0)
                        apply->right_bytes += group->target_size_bytes;
                /* What was read is not read again soon. */
                (void)posix_fadvise(ROLE_FD_TARGET,
                                (off_t)(apply->setup.target_offset + group->target_offset),
                                (off_t)group->target_size_bytes, POSIX_FADV_DONTNEED);
                /* Also when nothing was right: reading takes its time, and basculed wants to see signs of
                 * life. */
                scanned += group->target_size_bytes;
                r = send_progress(apply, FRAME_PROGRESS, scanned >= SCAN_BYTES);
                if (scanned >= SCAN_BYTES)
                        scanned = 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_stale(Apply *apply, const PayloadGroup *group, Error *error)
{
        Range *grown = reallocarray(apply->stale, apply->stale_count + 1, sizeof(Range));
        if (!grown)
                return error_oom(error);
        apply->stale = grown;
        apply->stale[apply->stale_count++] =
                        (Range){ group->target_offset, group->target_offset + group->target_size_bytes };
        return 0;
}

static int write_group(Apply *apply, const PayloadGroup *group, const uint8_t *data, Error *error)
{
        uint64_t offset = apply->setup.target_offset + group->target_offset;
        int r = pwrite_full(ROLE_FD_TARGET, data, (size_t)group->target_size_bytes, offset);
        if (r < 0)
                return target_error(r, "write", error);
        apply->written_bytes += group->target_size_bytes;
        apply->right_bytes = MIN_OF(
                        apply->right_bytes + group->target_size_bytes, apply->setup.target_size_bytes);
        /* Starts writing this group out, and drops the one that is surely out by now: the page cache stays
         * with the machine's own work. */
        (void)sync_file_range(ROLE_FD_TARGET, (off_t)offset, (off_t)group->target_size_bytes,
                        SYNC_FILE_RANGE_WRITE);
        if (group->target_offset > FLUSH_BYTES) {
                off_t old = (off_t)(offset - FLUSH_BYTES);
                (void)sync_file_range(ROLE_FD_TARGET, old, (off_t)FLUSH_BYTES,
                                SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                                SYNC_FILE_RANGE_WAIT_AFTER);
                (void)posix_fadvise(ROLE_FD_TARGET, old, (off_t)FLUSH_BYTES, POSIX_FADV_DONTNEED);
        }
        return send_progress(apply, FRAME_PROGRESS, false);
}

/* What goes wrong with one payload and not with another of the same image. Bytes that are not those that
 * were signed are another mirror's business, all else is the machine's. */
static bool is_of_this_payload(const Error *problem)
{
        return problem->code == ERROR_CORRUPT || problem->code == ERROR_INCOMPATIBLE;
}

static int do_group(Apply *apply, const PayloadIndex *index, PayloadDecoder *decoder, size_t number,
                bool may_be_stale, uint8_t *blob, Error *error)
{
        const PayloadGroup *group = payload_group(index, number);
        const uint8_t *target = NULL;
        Error problem = { 0 };
        int r = receive(blob, (size_t)group->blob_size_bytes, error);
        if (r < 0)
                return r;
        r = payload_group_decode(decoder, number, blob, (size_t)group->blob_size_bytes, &target, &problem);
        /* A source that is damaged, or cannot be read, or a group that does not decode for another reason.
         */
        if (r < 0 && may_be_stale && is_of_this_payload(&problem))
                return add_stale(apply, group, error);
        if (r < 0) {
                if (error && !error_is_set(error))
                        *error = problem;
                return r;
        }
        return write_group(apply, group, target, error);
}

/* Groups from `first` that are missing and whose blobs stand in a row; asks for them. */
static int request_run(const PayloadIndex *index, size_t payload, const bool *missing, size_t first,
                size_t *ret_end)
{
        const PayloadGroup *group = payload_group(index, first);
        uint64_t start = group->blob_offset, end = start + group->blob_size_bytes;
        size_t next = first + 1;
        while (next < payload_group_count(index) && missing[next] &&
                        payload_group(index, next)->blob_offset == end) {
                end += payload_group(index, next)->blob_size_bytes;
                next++;
        }
        *ret_end = next;
        return end > start ? send_need(payload, start, end - start) : 0;
}

/* Makes the wanted ranges (all, when there are none) of the target from one payload. */
static int apply_payload(Apply *apply, size_t payload, const Range *ranges, size_t range_count, Error *error)
{
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        _cleanup_(payload_decoder_freep) PayloadDecoder *decoder = NULL;
        _cleanup_free_ bool *missing = NULL;
        _cleanup_free_ uint8_t *blob = NULL;
        uint64_t longest = 1;
        size_t end = 0;

        int r = load_index(apply, payload, &index, error);
        if (r < 0)
                return r;
        size_t count = payload_group_count(index);
        for (size_t i = 0; i < count; i++)
                longest = MAX_OF(longest, payload_group(index, i)->blob_size_bytes);
        if (longest > BLOB_MAX)
                return error_set(error, ERROR_CORRUPT, E2BIG,
                                "a group of the payload is longer than it may be");
        missing = calloc(count + 1, sizeof(*missing));
        blob = malloc((size_t)longest);
        if (!missing || !blob)
                return error_oom(error);
        r = payload_decoder_new(index, apply->sources, PAYLOAD_SOURCES_MAX, &decoder, error);
        if (r >= 0) {
                /* The slot is hashed into a verity tree afterwards, the UKI compared with the manifest. */
                payload_decoder_reads_back(decoder);
                r = find_missing(apply, index, ranges, range_count, missing, error);
        }
        for (size_t i = 0; i < count && r >= 0; i++) {
                if (!missing[i])
                        continue;
                if (i >= end)
                        r = request_run(index, payload, missing, i, &end);
                if (r >= 0)
                        r = do_group(apply, index, decoder, i, payload + 1 < apply->setup.payload_count,
                                        blob, error);
        }
        return r;
}

static int run(Apply *apply, Error *error)
{
        bool has_full = apply->setup.payload_count > 1;
        Error problem = { 0 };
        int r = apply_payload(apply, 0, NULL, 0, has_full ? &problem : error);
        if (r >= 0 && apply->stale_count > 0)
                r = apply_payload(apply, 1, apply->stale, apply->stale_count, error);
        else if (r < 0 && has_full && is_of_this_payload(&problem))
                r = apply_payload(apply, 1, NULL, 0, error); /* no source, no such op, too much memory */
        else if (r < 0 && has_full && error)
                *error = problem;
        if (r < 0)
                return r;
        if (fsync(ROLE_FD_TARGET) < 0)
                return target_error(-errno, "flush", error);
        (void)posix_fadvise(ROLE_FD_TARGET, (off_t)apply->setup.target_offset,
                        (off_t)apply->setup.target_size_bytes, POSIX_FADV_DONTNEED);
        return send_progress(apply, FRAME_APPLIED, true);
}

static int receive_setup(Apply *apply, Error *error)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(4 * KIB);
        Frame frame;
        int r = frame_receive(&reader, ROLE_FD_CONTROL, &frame);
        if (r >= 0)
                r = frame.type == FRAME_APPLY_SETUP ? apply_setup_take(&frame, &apply->setup) : -EBADMSG;
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "apply got no orders");
        for (int i = 0; i < PAYLOAD_SOURCES_MAX; i++) {
                const ApplySource *source = &apply->setup.sources[i];
                apply->sources[i] = (PayloadSource){ .fd = source->exists ? ROLE_FD_SOURCES + i : -1,
                        .offset = source->offset,
                        .size_bytes = source->size_bytes };
        }
        apply->sources[PAYLOAD_SOURCE_TARGET] = (PayloadSource){ .fd = ROLE_FD_TARGET,
                .offset = apply->setup.target_offset,
                .size_bytes = apply->setup.target_size_bytes };
        return 0;
}

int apply_main(void)
{
        Apply apply = { 0 };
        Error error = { 0 };
        int r = receive_setup(&apply, &error);
        if (r >= 0)
                r = run(&apply, &error);
        if (r < 0)
                (void)frame_send_error(ROLE_FD_CONTROL, r, &error);
        free(apply.stale);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
