/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "payload-index.h"
#include "zstd-frame.h"

#include <string.h>

struct PayloadWork {
        PayloadSource sources[PAYLOAD_SOURCES_MAX];
        uint8_t *scratch;
        ZSTD_DCtx *zstd;
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
        (void)ZSTD_freeDCtx(decoder->work.zstd);
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
        r = check_sources(index, decoder->work.sources, error);
        if (r < 0)
                return r;
        decoder->target = malloc(index->target_max);
        decoder->work.scratch = malloc(index->scratch_max + 1);
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

int payload_group_run(PayloadDecoder *decoder, size_t number, const uint8_t *blob,
                const uint8_t **ret_target, Error *error)
{
        PayloadOpCursor cursor;
        PayloadOp op;
        int r;

        payload_op_cursor(decoder->index, number, &cursor);
        while ((r = payload_op_next(&cursor, &op, error)) > 0) {
                r = payload_codec(op.number)->decode(&decoder->work, &op, blob + op.blob_offset,
                                decoder->target + op.target_offset, error);
                if (r < 0)
                        return error_prefix(error, r, "op %s at byte %llu of the image",
                                        payload_codec(op.number)->name,
                                        (unsigned long long)(cursor.group_target_offset + op.target_offset));
        }
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
