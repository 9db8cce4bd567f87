/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "payload-index.h"
#include "zstd-frame.h"

#include <string.h>
#include <sys/mman.h>

typedef struct Hole {
        uint8_t *target;
        uint64_t size_bytes;
} Hole;

struct PayloadWork {
        PayloadSource sources[PAYLOAD_SOURCES_MAX];
        uint64_t source_size_bytes[PAYLOAD_SOURCES_MAX]; /* as the payload has them */
        uint8_t *scratch;
        ZSTD_DCtx *zstd;
        PatchGroup *patches; /* of the group at hand */
        uint64_t group_offset;
        Hole *holes; /* of that group; PAYLOAD_HOLES_MAX */
        size_t hole_count;
};

struct PayloadDecoder {
        const PayloadIndex *index;
        uint8_t *target; /* of the largest group */
        bool reads_back;
        PayloadWork work;
};

static const char *const source_names[PAYLOAD_SOURCES_MAX] = {
        [PAYLOAD_SOURCE_OLD_ROOT] = "the old root image",
        [PAYLOAD_SOURCE_OLD_UKI] = "the old kernel image",
        [PAYLOAD_SOURCE_NEW_ROOT] = "the new root image",
        [PAYLOAD_SOURCE_TARGET] = "what was already written",
};

PayloadDecoder *payload_decoder_free(PayloadDecoder *decoder)
{
        if (!decoder)
                return NULL;
        free(decoder->target);
        free(decoder->work.scratch);
        free(decoder->work.holes);
        (void)ZSTD_freeDCtx(decoder->work.zstd);
        (void)patch_group_free(decoder->work.patches);
        free(decoder);
        return NULL;
}

static int check_sources(const PayloadIndex *index, const PayloadSource *sources, Error *error)
{
        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX; i++) {
                uint64_t needed = i == PAYLOAD_SOURCE_TARGET ? index->header.target_size_bytes
                                                             : index->header.source_size_bytes[i];

                if (!(index->sources >> i & 1))
                        continue;
                if (sources[i].fd < 0)
                        return error_set(error, ERROR_INCOMPATIBLE, ENODEV,
                                        "the payload reads %s, which is not there; use the full payload",
                                        source_names[i]);
                if (sources[i].size_bytes < needed)
                        return error_set(error, ERROR_INCOMPATIBLE, ENODEV,
                                        "%s is %llu bytes, the payload expects %llu; use the full payload",
                                        source_names[i], (unsigned long long)sources[i].size_bytes,
                                        (unsigned long long)needed);
        }
        return 0;
}

int payload_decoder_new(const PayloadIndex *index, const PayloadSource *sources, size_t source_count,
                PayloadDecoder **ret, Error *error)
{
        _cleanup_(payload_decoder_freep) PayloadDecoder *decoder = calloc(1, sizeof(*decoder));
        int r;

        if (!decoder)
                return error_oom(error);
        decoder->index = index;
        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX; i++)
                decoder->work.sources[i] = i < source_count ? sources[i] : (PayloadSource){ .fd = -1 };
        memcpy(decoder->work.source_size_bytes, index->header.source_size_bytes,
                        sizeof(decoder->work.source_size_bytes));
        r = check_sources(index, decoder->work.sources, error);
        if (r < 0)
                return r;
        decoder->target = malloc(index->memory.target_max);
        decoder->work.scratch = malloc(index->memory.scratch_max + 1);
        decoder->work.zstd = ZSTD_createDCtx();
        if (!decoder->target || !decoder->work.scratch || !decoder->work.zstd)
                return error_oom(error);
        *ret = TAKE_PTR(decoder);
        return 0;
}

void payload_decoder_reads_back(PayloadDecoder *decoder)
{
        decoder->reads_back = true;
}

uint8_t *payload_work_scratch(PayloadWork *work)
{
        return work->scratch;
}

PatchGroup *payload_work_patches(PayloadWork *work)
{
        return work->patches;
}

uint64_t payload_work_group_offset(const PayloadWork *work)
{
        return work->group_offset;
}

uint8_t *payload_work_hole(PayloadWork *work, uint64_t number, uint64_t size_bytes)
{
        const Hole *hole = number > 0 && number <= work->hole_count ? &work->holes[number - 1] : NULL;

        return hole && hole->size_bytes == size_bytes ? hole->target : NULL;
}

static int read_old_file(void *data, uint64_t offset, void *ret, size_t size, Error *error)
{
        const PayloadOldFile *file = data;
        uint8_t *to = ret;

        for (size_t i = 0; i < file->range_count && size > 0; i++) {
                PayloadRange range = file->ranges[i];
                int r;

                if (offset >= range.size_bytes) {
                        offset -= range.size_bytes;
                        continue;
                }
                range.offset += offset;
                range.size_bytes = MIN_OF(range.size_bytes - offset, (uint64_t)size);
                r = payload_work_read(file->work, &range, to, error);
                if (r < 0)
                        return r;
                to += range.size_bytes;
                size -= range.size_bytes;
                offset = 0;
        }
        return size == 0 ? 0 : error_set(error, ERROR_CORRUPT, EBADMSG, "a patch reads past its old file");
}

void payload_work_old_file(PayloadWork *work, const PayloadOp *op, PayloadOldFile *ret)
{
        *ret = (PayloadOldFile){ .work = work, .ranges = op->ranges, .range_count = op->range_count };
        ret->view = (PatchView){ .read = read_old_file, .data = ret };
        if (op->range_count == 0) {
                ret->ranges = ret->whole;
                for (uint8_t i = 0; i < PAYLOAD_SOURCE_TARGET; i++)
                        if (work->source_size_bytes[i] > 0)
                                ret->whole[ret->range_count++] =
                                                (PayloadRange){ i, 0, work->source_size_bytes[i] };
        }
        for (size_t i = 0; i < ret->range_count; i++)
                ret->view.size_bytes += ret->ranges[i].size_bytes;
}

int payload_work_read(PayloadWork *work, const PayloadRange *range, uint8_t *ret, Error *error)
{
        const PayloadSource *source = &work->sources[range->source];
        uint64_t end, offset;

        /* The index parser has checked the range already; this is the last door before a descriptor. */
        if (ADD_OVERFLOWS(range->offset, range->size_bytes, &end) || end > source->size_bytes ||
                        ADD_OVERFLOWS(source->offset, range->offset, &offset))
                return error_set(error, ERROR_CORRUPT, ESTALE, "an op reads outside %s",
                                source_names[range->source]);
        if (pread_full(source->fd, ret, range->size_bytes, offset) < 0)
                return error_set(error, ERROR_CORRUPT, ESTALE, "%s cannot be read at byte %llu",
                                source_names[range->source], (unsigned long long)range->offset);
        return 0;
}

int payload_work_unzstd(PayloadWork *work, const uint8_t *blob, size_t blob_size, const uint8_t *prefix,
                size_t prefix_size, uint8_t *target, size_t target_size, Error *error)
{
        int r = zstd_frame_decode(work->zstd, blob, blob_size, prefix, prefix_size, target, target_size);

        if (r == -ENOMEM)
                return error_oom(error);
        return r < 0 ? error_set(error, ERROR_CORRUPT, EBADMSG, "compressed bytes do not unpack as promised")
                     : 0;
}

static int run_op(PayloadDecoder *decoder, const PayloadOp *op, const uint8_t *blob, uint64_t group_offset,
                Error *error)
{
        const PayloadCodec *codec = payload_codec(op->number);
        int r = codec->decode(&decoder->work, op, blob + op->blob_offset,
                        decoder->target + op->target_offset, error);

        return r < 0 ? error_prefix(error, r, "op %s at byte %llu of the image", codec->name,
                                       (unsigned long long)(group_offset + op->target_offset))
                     : 0;
}

static int find_holes(PayloadDecoder *decoder, size_t number, Error *error)
{
        PayloadWork *work = &decoder->work;
        PayloadOpCursor cursor;
        PayloadOp op;
        int r;

        work->hole_count = 0;
        payload_op_cursor(decoder->index, number, &cursor);
        while ((r = payload_op_next(&cursor, &op, error)) > 0) {
                if (!payload_codec(op.number)->is_hole || work->hole_count == PAYLOAD_HOLES_MAX)
                        continue;
                if (!work->holes)
                        work->holes = calloc(PAYLOAD_HOLES_MAX, sizeof(*work->holes));
                if (!work->holes)
                        return error_oom(error);
                work->holes[work->hole_count++] =
                                (Hole){ decoder->target + op.target_offset, op.target_size_bytes };
        }
        return r;
}

/* The group's streams, if it has any. */
static int open_patches(PayloadDecoder *decoder, const IndexGroup *group, const uint8_t *blob, Error *error)
{
        decoder->work.patches = patch_group_free(decoder->work.patches);
        if (group->streams_offset == group->group.blob_size_bytes)
                return 0;
        return patch_group_new(blob + group->streams_offset,
                        group->group.blob_size_bytes - group->streams_offset, &decoder->work.patches, error);
}

/* Gives back what a larger group before used of the target: the ops of this one may need it. */
static void forget_rest(PayloadDecoder *decoder, uint64_t target_size)
{
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        uintptr_t from = ((uintptr_t)decoder->target + target_size + page - 1) / page * page;
        uintptr_t end = ((uintptr_t)decoder->target + decoder->index->memory.target_max) / page * page;

        if (from < end)
                (void)madvise((void *)from, end - from, MADV_DONTNEED);
}

int payload_group_run(PayloadDecoder *decoder, size_t number, const uint8_t *blob,
                const uint8_t **ret_target, Error *error)
{
        PayloadOpCursor cursor;
        PayloadOp op;
        int r;

        forget_rest(decoder, decoder->index->groups[number].group.target_size_bytes);
        r = open_patches(decoder, &decoder->index->groups[number], blob, error);

        if (r >= 0)
                r = find_holes(decoder, number, error);
        payload_op_cursor(decoder->index, number, &cursor);
        decoder->work.group_offset = cursor.group_target_offset;
        while (r >= 0 && (r = payload_op_next(&cursor, &op, error)) > 0)
                r = run_op(decoder, &op, blob, cursor.group_target_offset, error);
        if (r >= 0 && decoder->work.patches)
                r = patch_group_finish(decoder->work.patches, error);
        decoder->work.patches = patch_group_free(decoder->work.patches);
        if (r < 0)
                return r;
        *ret_target = decoder->target;
        return 0;
}

/* Whether the sources alone can be to blame: the blob is proved, so whatever else a group read is not. */
static int blame(const PayloadDecoder *decoder, size_t number, int r)
{
        return r == -EBADMSG && payload_group_sources(decoder->index, number) != 0 ? -ESTALE : r;
}

int payload_group_decode(PayloadDecoder *decoder, size_t number, const void *blob, size_t blob_size,
                const uint8_t **ret_target, Error *error)
{
        const PayloadGroup *group = payload_group(decoder->index, number);
        uint8_t sha256[SHA256_SIZE];
        const uint8_t *target;
        int r;

        if (!group)
                return error_set(error, ERROR_FAILED, EINVAL, "the payload has no group %zu", number);
        if (blob_size != group->blob_size_bytes)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "group %zu is %zu bytes, not the %llu signed", number, blob_size,
                                (unsigned long long)group->blob_size_bytes);
        sha256_of(blob, blob_size, sha256);
        if (memcmp(sha256, group->blob_sha256, SHA256_SIZE) != 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "group %zu of the payload is not what was signed", number);
        r = payload_group_run(decoder, number, blob, &target, error);
        if (r < 0)
                return blame(decoder, number, r);
        if (decoder->reads_back && payload_group_sources(decoder->index, number) == 0) {
                *ret_target = target;
                return 0;
        }
        sha256_of(target, group->target_size_bytes, sha256);
        if (memcmp(sha256, group->target_sha256, SHA256_SIZE) != 0)
                return error_set(error, ERROR_CORRUPT, -blame(decoder, number, -EBADMSG),
                                "group %zu decodes to other bytes than were signed%s", number,
                                payload_group_sources(decoder->index, number)
                                                ? ": a source is damaged or another one"
                                                : "");
        *ret_target = target;
        return 0;
}
