/* SPDX-License-Identifier: Apache-2.0 */
#include "apply.h"

#include "apply-internal.h"
#include "file.h"
#include "roles.h"

#include <fcntl.h>
#include <string.h>

/* A blob is never much longer than what it decodes to. */
#define BLOB_MAX (PAYLOAD_GROUP_MAX + 1 * MIB)
#define SCAN_BYTES (16 * MIB)

int apply_load_index(Apply *apply, size_t payload, const PayloadIndex **ret, Error *error)
{
        const PayloadExpectation *expectation = &apply->setup.payloads[payload];
        size_t size = (size_t)expectation->index_size_bytes;
        if (!apply->indexes[payload]) {
                _cleanup_free_ uint8_t *data = malloc(size);
                if (!data)
                        return error_oom(error);
                int r = apply_need(payload, 0, size);
                if (r >= 0)
                        r = apply_receive(data, size, error);
                if (r >= 0)
                        r = payload_index_parse(data, size, expectation, &apply->indexes[payload], error);
                if (r < 0)
                        return r;
        }
        *ret = apply->indexes[payload];
        return 0;
}

/* Marks the groups that must be fetched: wanted, and not in the target already. */
static int find_missing(
                Apply *apply, const PayloadIndex *index, const Ranges *wanted, bool *missing, Error *error)
{
        uint64_t scanned = 0;
        for (size_t i = 0; i < payload_group_count(index); i++) {
                const PayloadGroup *group = payload_group(index, i);
                uint8_t hash[SHA256_SIZE];
                missing[i] = false;
                if (!ranges_meet(wanted, group->target_offset,
                                    group->target_offset + group->target_size_bytes))
                        continue;
                int r = sha256_of_fd(ROLE_FD_TARGET, apply->setup.target_offset + group->target_offset,
                                group->target_size_bytes, hash);
                missing[i] = r < 0 || memcmp(hash, group->target_sha256, SHA256_SIZE) != 0;
                if (r == -ENOMEM)
                        return error_oom(error);
                if (!missing[i])
                        apply->right_bytes = MIN_OF(apply->right_bytes + group->target_size_bytes,
                                        apply->setup.target_size_bytes);
                /* What was read is not read again soon. */
                (void)posix_fadvise(ROLE_FD_TARGET,
                                (off_t)(apply->setup.target_offset + group->target_offset),
                                (off_t)group->target_size_bytes, POSIX_FADV_DONTNEED);
                /* Also when nothing was right: reading takes its time, and basculed wants to see signs of
                 * life. */
                scanned += group->target_size_bytes;
                r = apply_tell(apply, FRAME_PROGRESS, scanned >= SCAN_BYTES);
                if (scanned >= SCAN_BYTES)
                        scanned = 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What goes wrong with one payload and not with another of the same image. Bytes that are not those that
 * were signed are another mirror's business, all else is the machine's. */
static bool is_of_this_payload(const Error *problem)
{
        return problem->code == ERROR_CORRUPT || problem->code == ERROR_INCOMPATIBLE;
}

static int do_group(Apply *apply, const PayloadIndex *index, PayloadDecoder *decoder, size_t number,
                Ranges *left, uint8_t *blob, Error *error)
{
        const PayloadGroup *group = payload_group(index, number);
        const uint8_t *target = NULL;
        Error problem = { 0 };
        int r = apply_receive(blob, (size_t)group->blob_size_bytes, error);
        if (r < 0)
                return r;
        r = payload_group_decode(decoder, number, blob, (size_t)group->blob_size_bytes, &target, &problem);
        /* A source that is damaged, or cannot be read, or a group that does not decode for another reason.
         */
        if (r < 0 && left && is_of_this_payload(&problem))
                return ranges_add(left, group->target_offset,
                                group->target_offset + group->target_size_bytes, error);
        if (r < 0) {
                if (error && !error_is_set(error))
                        *error = problem;
                return r;
        }
        return apply_write(apply, group->target_offset, target, group->target_size_bytes, error);
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
        return end > start ? apply_need(payload, start, end - start) : 0;
}

static int make_groups(Apply *apply, const PayloadIndex *index, size_t payload, const bool *missing,
                PayloadDecoder *decoder, Ranges *left, uint8_t *blob, Error *error)
{
        size_t end = 0;
        int r = 0;
        for (size_t i = 0; i < payload_group_count(index) && r >= 0; i++) {
                if (!missing[i])
                        continue;
                if (i >= end)
                        r = request_run(index, payload, missing, i, &end);
                if (r >= 0)
                        r = do_group(apply, index, decoder, i, left, blob, error);
        }
        return r;
}

int apply_groups(Apply *apply, size_t payload, const Ranges *wanted, Ranges *left, Error *error)
{
        const PayloadIndex *index;
        _cleanup_(payload_decoder_freep) PayloadDecoder *decoder = NULL;
        _cleanup_free_ bool *missing = NULL;
        _cleanup_free_ uint8_t *blob = NULL;
        uint64_t longest = 1;

        int r = apply_load_index(apply, payload, &index, error);
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
                r = find_missing(apply, index, wanted, missing, error);
        }
        return r < 0 ? r : make_groups(apply, index, payload, missing, decoder, left, blob, error);
}

/* One payload after the other, each for what those before could not make. */
static int run_payloads(Apply *apply, Error *error)
{
        _cleanup_ranges_ Ranges wanted = { 0 };
        size_t last = apply->setup.payload_count - 1;
        int r = ranges_add(&wanted, 0, apply->setup.target_size_bytes, error);

        for (size_t i = 0; r >= 0 && i <= last && wanted.count > 0; i++) {
                _cleanup_ranges_ Ranges left = { 0 };
                Ranges *unmade = i < last ? &left : NULL;
                Error problem = { 0 };

                if (wanted.list[0].end - wanted.list[0].start == apply->setup.target_size_bytes)
                        apply->right_bytes = apply->told_bytes = 0;
                r = apply->setup.are_pieces[i] ? apply_pieces(apply, i, last, &wanted, unmade, &problem)
                                               : apply_groups(apply, i, &wanted, unmade, &problem);
                if (r < 0 && i < last && is_of_this_payload(&problem)) {
                        r = 0; /* no source, no such op, too much memory: the next one for all of it */
                        continue;
                }
                if (r < 0 && error && !error_is_set(error))
                        *error = problem;
                ranges_done(&wanted);
                wanted = left;
                left = (Ranges){ 0 };
        }
        return r;
}

static int run(Apply *apply, Error *error)
{
        int r = run_payloads(apply, error);
        if (r < 0)
                return r;
        if (fsync(ROLE_FD_TARGET) < 0)
                return apply_target_error(-errno, "flush", error);
        (void)posix_fadvise(ROLE_FD_TARGET, (off_t)apply->setup.target_offset,
                        (off_t)apply->setup.target_size_bytes, POSIX_FADV_DONTNEED);
        return apply_tell(apply, FRAME_APPLIED, true);
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
                role_tell_failure(ROLE_APPLY, r, &error);
        for (size_t i = 0; i < APPLY_PAYLOADS_MAX; i++)
                payload_index_free(apply.indexes[i]);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
