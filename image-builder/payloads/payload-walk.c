/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-walk.h"

#include "file.h"
#include "output-file.h"
#include "payload-format.h"

#include <string.h>

/* Does something with the decoded bytes of a group. */
typedef int (*GroupVisitor)(int fd, const uint8_t *target, const PayloadGroup *group, Error *error);

int payload_file_open(int fd, PayloadIndex **ret, PayloadExpectation *expectation, Error *error)
{
        _cleanup_free_ uint8_t *data = NULL;
        uint8_t fixed[PAYLOAD_HEADER_SIZE];
        PayloadExpectation expected = { .memory_max_bytes = PAYLOAD_MEMORY_MAX };
        PayloadHeader header;
        uint64_t size;
        int r = fd_size(fd, &size);

        if (r >= 0)
                r = pread_full(fd, fixed, MIN_OF(size, sizeof(fixed)), 0);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the payload: %s", strerror(-r));
        r = payload_header_parse(fixed, MIN_OF(size, sizeof(fixed)), &header, error);
        if (r < 0)
                return r;
        if (header.payload_size_bytes != size)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "the payload is %llu bytes long and must be %llu", (unsigned long long)size,
                                (unsigned long long)header.payload_size_bytes);
        data = malloc(header.index_size_bytes);
        if (!data)
                return error_oom(error);
        r = pread_full(fd, data, header.index_size_bytes, 0);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the payload: %s", strerror(-r));
        expected.payload_size_bytes = size;
        expected.index_size_bytes = header.index_size_bytes;
        expected.target_size_bytes = header.target_size_bytes;
        sha256_of(data, header.index_size_bytes, expected.index_sha256);
        if (expectation)
                *expectation = expected;
        return payload_index_parse(data, header.index_size_bytes, &expected, ret, error);
}

static int walk_group(int fd, PayloadDecoder *decoder, const PayloadGroup *group, size_t number,
                uint8_t *blob, GroupVisitor visit, int visit_fd, Error *error)
{
        const uint8_t *target;
        int r = pread_full(fd, blob, group->blob_size_bytes, group->blob_offset);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the payload: %s", strerror(-r));
        r = payload_group_decode(decoder, number, blob, group->blob_size_bytes, &target, error);
        return r < 0 ? r : visit(visit_fd, target, group, error);
}

static int walk(int fd, const PayloadIndex *index, const PayloadSource *sources, int target_fd,
                GroupVisitor visit, PayloadProgress progress, void *progress_data, Error *error)
{
        _cleanup_(payload_decoder_freep) PayloadDecoder *decoder = NULL;
        _cleanup_free_ uint8_t *blob = NULL;
        PayloadSource all[PAYLOAD_SOURCES_MAX];
        uint64_t blob_max = 0;
        int r;

        memcpy(all, sources, sizeof(all));
        all[PAYLOAD_SOURCE_TARGET] =
                        (PayloadSource){ .fd = target_fd, .size_bytes = payload_target_size_bytes(index) };
        for (size_t i = 0; i < payload_group_count(index); i++)
                blob_max = MAX_OF(blob_max, payload_group(index, i)->blob_size_bytes);
        blob = malloc(blob_max + 1);
        if (!blob)
                return error_oom(error);
        r = payload_decoder_new(index, all, ELEMENTS(all), &decoder, error);
        for (size_t i = 0; r >= 0 && i < payload_group_count(index); i++) {
                const PayloadGroup *group = payload_group(index, i);

                r = walk_group(fd, decoder, group, i, blob, visit, target_fd, error);
                if (progress)
                        progress(progress_data, group->target_offset + group->target_size_bytes);
        }
        return r;
}

static int write_group(int fd, const uint8_t *target, const PayloadGroup *group, Error *error)
{
        int r = pwrite_full(fd, target, group->target_size_bytes, group->target_offset);

        return r < 0 ? error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                       "cannot write the image: %s", strerror(-r))
                     : 0;
}

int payload_file_apply(int fd, const PayloadIndex *index, const PayloadSource *sources, int output_fd,
                PayloadProgress progress, void *progress_data, Error *error)
{
        return walk(fd, index, sources, output_fd, write_group, progress, progress_data, error);
}

static int compare_group(int fd, const uint8_t *target, const PayloadGroup *group, Error *error)
{
        uint8_t wanted[64 * KIB];

        for (uint64_t done = 0; done < group->target_size_bytes;) {
                size_t part = MIN_OF(group->target_size_bytes - done, sizeof(wanted));
                int r = pread_full(fd, wanted, part, group->target_offset + done);

                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read the image: %s", strerror(-r));
                if (memcmp(wanted, target + done, part) != 0)
                        return error_set(error, ERROR_CORRUPT, EBADMSG,
                                        "the payload decodes to other bytes than the image has near byte "
                                        "%llu",
                                        (unsigned long long)(group->target_offset + done));
                done += part;
        }
        return 0;
}

static void show_progress(void *data, uint64_t done_bytes)
{
        progress_update(data, done_bytes);
}

int payload_file_restore(int fd, const char *scratch_path, const char *step, Progress *progress, int *ret,
                Error *error)
{
        const PayloadSource none[PAYLOAD_SOURCES_MAX] = { { -1, 0, 0 }, { -1, 0, 0 }, { -1, 0, 0 },
                { -1, 0, 0 } };
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        _cleanup_fd_ int image_fd = -1;
        int r = payload_file_open(fd, &index, NULL, error);

        if (r >= 0)
                r = scratch_file_open(scratch_path, &image_fd, error);
        if (r < 0)
                return r;
        if (progress)
                progress_begin(progress, step, payload_target_size_bytes(index));
        r = payload_file_apply(fd, index, none, image_fd, progress ? show_progress : NULL, progress, error);
        if (progress)
                progress_end(progress, r < 0 ? "failed" : "");
        if (r >= 0)
                *ret = TAKE_FD(image_fd);
        return r;
}

int payload_file_compare(int fd, const PayloadIndex *index, const PayloadSource *sources, int target_fd,
                PayloadProgress progress, void *progress_data, Error *error)
{
        return walk(fd, index, sources, target_fd, compare_group, progress, progress_data, error);
}
