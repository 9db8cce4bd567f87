/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-code.h"

#include "file.h"
#include "patch-writer.h"
#include "payload-code-recomp.h"
#include "program-match.h"
#include "x86-parts.h"

#include <string.h>
#include <zstd.h>

struct PayloadCoder {
        const PayloadInputs *inputs;
        const PayloadPlan *plan;
        PatchWriter *patches;
        uint64_t group_offset; /* of the group at hand */
        ZSTD_CCtx *zstd;
        uint8_t *target; /* of the group at hand */
        uint8_t *ranges; /* of the op at hand */
        size_t ranges_capacity;
};

/* Turns one op into bytes of blob. May choose a plainer op: it then changes `op`, which is a copy. */
typedef struct OpCoder {
        int (*code)(PayloadCoder *coder, PlanOp *op, const uint8_t *target, Buffer *blob, Error *error);
} OpCoder;

/* Makes room for so many bytes in `ranges`. */
static int make_room(PayloadCoder *coder, size_t size, Error *error)
{
        uint8_t *larger;

        if (size <= coder->ranges_capacity)
                return 0;
        larger = realloc(coder->ranges, size);
        if (!larger)
                return error_oom(error);
        coder->ranges = larger;
        coder->ranges_capacity = size;
        return 0;
}

static int raw_code(PayloadCoder *coder, PlanOp *op, const uint8_t *target, Buffer *blob, Error *error)
{
        op->number = PAYLOAD_OP_RAW;
        op->range_count = 0;
        return buffer_append(blob, target, op->target_size_bytes) < 0 ? error_oom(error) : 0;
}

/* Code is filtered where that helps: the op is then another, and what to compress another copy of it. */
static int filter_code(PayloadCoder *coder, PlanOp *op, const uint8_t **target, Buffer *blob, Error *error)
{
        uint64_t parts;
        int r = make_room(coder, op->target_size_bytes, error);

        if (r < 0)
                return r;
        r = x86_parts_choose(coder->zstd, *target, op->target_size_bytes, coder->ranges, blob, &parts);
        if (r < 0)
                return error_oom(error);
        if (parts == 0)
                return 0;
        op->number = PAYLOAD_OP_ZX86;
        op->parameters[PAYLOAD_ZX86_PARTS] = parts;
        *target = coder->ranges;
        return 0;
}

static int zfull_code(PayloadCoder *coder, PlanOp *op, const uint8_t *plain, Buffer *blob, Error *error)
{
        size_t before = blob->size, prefix_size;
        const uint8_t *prefix, *target = plain;
        int r = payload_coder_ranges(coder, op, &prefix, &prefix_size, error);

        if (r >= 0 && op->range_count == 0)
                r = filter_code(coder, op, &target, blob, error);
        if (r >= 0)
                r = payload_coder_zstd(
                                coder, target, op->target_size_bytes, prefix, prefix_size, blob, error);
        if (r < 0 || blob->size - before < op->target_size_bytes)
                return r;
        blob->size = before;
        return raw_code(coder, op, plain, blob, error);
}

/* The sources of the plan, joined, as an old file. */
static int read_sources(void *data, uint64_t offset, void *ret, size_t size, Error *error)
{
        const PayloadCoder *coder = data;
        uint8_t *to = ret;

        for (size_t i = 0; i < PAYLOAD_SOURCE_TARGET && size > 0; i++) {
                const PayloadSource *source = &coder->inputs->sources[i];
                uint64_t source_size = coder->plan->source_size_bytes[i];
                size_t part;
                int r;

                if (offset >= source_size) {
                        offset -= source_size;
                        continue;
                }
                part = MIN_OF((uint64_t)size, source_size - offset);
                r = pread_full(source->fd, to, part, source->offset + offset);
                if (r < 0)
                        return error_set(
                                        error, ERROR_IO, -r, "cannot read a source image: %s", strerror(-r));
                to += part;
                size -= part;
                offset = 0;
        }
        return size == 0 ? 0 : error_set(error, ERROR_FAILED, EINVAL, "a patch reads past the sources");
}

/* Whether an op makes what the old root has at the same place: 1, 0, or an error. */
static int is_same(const PayloadCoder *coder, const PlanOp *op, const uint8_t *target, uint64_t offset)
{
        const PayloadSource *old_root = &coder->inputs->sources[PAYLOAD_SOURCE_OLD_ROOT];
        const PatchSegment *run = op->segments.list;
        uint8_t window[16 * KIB];

        if (op->segments.count != 1 || run->old_offset != offset ||
                        run->size_bytes != op->target_size_bytes ||
                        offset + run->size_bytes > coder->plan->source_size_bytes[PAYLOAD_SOURCE_OLD_ROOT])
                return 0;
        for (uint64_t at = 0; at < run->size_bytes; at += sizeof(window)) {
                size_t part = MIN_OF(run->size_bytes - at, (uint64_t)sizeof(window));
                int r = pread_full(old_root->fd, window, part, old_root->offset + offset + at);

                if (r < 0)
                        return r;
                if (memcmp(window, target + at, part) != 0)
                        return 0;
        }
        return 1;
}

static int whole_code(PayloadCoder *coder, PlanOp *op, const uint8_t *target, Error *error)
{
        PatchView old_file = { .read = read_sources, .data = coder };
        PatchInput input = { .old_file = &old_file,
                .new_data = target,
                .new_size = op->target_size_bytes,
                .segments = op->segments.list,
                .segment_count = op->segments.count,
                .continues = true,
                .new_base = coder->group_offset + (uint64_t)(target - coder->target) };
        PatchPlan plan;
        int r = is_same(coder, op, target, input.new_base);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read a source image: %s", strerror(-r));
        if (r > 0) {
                op->number = PAYLOAD_OP_SAME;
                return 0;
        }
        for (size_t i = 0; i < PAYLOAD_SOURCE_TARGET; i++)
                old_file.size_bytes += coder->plan->source_size_bytes[i];
        r = patch_writer_add(coder->patches, &input, &plan, error);
        if (r >= 0)
                op->parameters[0] = plan.segment_count;
        return r;
}

static int read_memory(void *data, uint64_t offset, void *ret, size_t size, Error *error)
{
        const PayloadCoder *coder = data;

        memcpy(ret, coder->ranges + offset, size);
        return 0;
}

/* The file that an op makes, with the rest that stands elsewhere. */
static int new_file(
                PayloadCoder *coder, const PlanOp *op, const uint8_t *target, uint8_t **ret, Error *error)
{
        _cleanup_free_ uint8_t *data = malloc(op->target_size_bytes + op->rest.size_bytes);
        int r;

        if (!data)
                return error_oom(error);
        memcpy(data, target, op->target_size_bytes);
        r = pread_full(coder->inputs->target_fd, data + op->target_size_bytes, op->rest.size_bytes,
                        op->rest.offset);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the image: %s", strerror(-r));
        *ret = TAKE_PTR(data);
        return 0;
}

static int patch_code(PayloadCoder *coder, PlanOp *op, const uint8_t *target, Buffer *blob, Error *error)
{
        _cleanup_(segment_list_done) SegmentList segments = { 0 };
        _cleanup_free_ uint8_t *data = NULL;
        PatchView old_file = { .read = read_memory, .data = coder };
        PatchInput input = { .old_file = &old_file,
                .new_size = op->target_size_bytes + op->rest.size_bytes,
                .predicts = op->number == PAYLOAD_OP_PATCH_ELF };
        const uint8_t *old_data;
        size_t old_size;
        PatchPlan plan;
        int r;

        if (op->range_count == 0)
                return whole_code(coder, op, target, error);
        r = payload_coder_ranges(coder, op, &old_data, &old_size, error);
        if (r >= 0)
                r = new_file(coder, op, target, &data, error);
        if (r < 0)
                return r;
        old_file.size_bytes = old_size;
        input.new_data = data;
        input.left_out = op->parameters[PAYLOAD_PATCH_HOLE] > 0 ? 0 : op->rest.size_bytes;
        r = program_match(old_data, old_size, data, input.new_size, input.left_out, &segments);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot compare a file with an old one: %s",
                                strerror(-r));
        input.segments = segments.list;
        input.segment_count = segments.count;
        r = patch_writer_add(coder->patches, &input, &plan, error);
        if (r < 0)
                return r;
        op->parameters[PAYLOAD_PATCH_RUNS] = plan.segment_count;
        op->parameters[PAYLOAD_PATCH_SHAPE] = plan.shape_bytes;
        op->parameters[PAYLOAD_PATCH_REST] = op->rest.size_bytes;
        return 0;
}

static int recomp_code(PayloadCoder *coder, PlanOp *op, const uint8_t *target, Buffer *blob, Error *error)
{
        const uint8_t *packed;
        size_t packed_size;
        int r = payload_coder_ranges(coder, op, &packed, &packed_size, error);

        return r < 0 ? r : payload_recomp_code(coder->patches, op, packed, packed_size, target, error);
}

/* SAME, COPY and ZERO have no blob. */
static const OpCoder coders[PAYLOAD_OP_MAX] = {
        [PAYLOAD_OP_PATCH] = { patch_code },
        [PAYLOAD_OP_PATCH_ELF] = { patch_code },
        [PAYLOAD_OP_RAW] = { raw_code },
        [PAYLOAD_OP_RECOMP] = { recomp_code },
        [PAYLOAD_OP_ZFULL] = { zfull_code },
};

void coded_group_done(CodedGroup *coded)
{
        buffer_done(&coded->blob);
        buffer_done(&coded->ops);
        cost_list_done(&coded->costs);
}

int payload_coder_new(const PayloadInputs *inputs, const PayloadPlan *plan, PayloadCoder **ret, Error *error)
{
        _cleanup_(payload_coder_freep) PayloadCoder *coder = calloc(1, sizeof(*coder));

        if (!coder)
                return error_oom(error);
        coder->inputs = inputs;
        coder->plan = plan;
        coder->patches = patch_writer_new();
        coder->zstd = ZSTD_createCCtx();
        coder->target = malloc(PAYLOAD_GROUP_MAX);
        if (!coder->zstd || !coder->target || !coder->patches)
                return error_oom(error);
        *ret = TAKE_PTR(coder);
        return 0;
}

PayloadCoder *payload_coder_free(PayloadCoder *coder)
{
        if (!coder)
                return NULL;
        (void)ZSTD_freeCCtx(coder->zstd);
        (void)patch_writer_free(coder->patches);
        free(coder->target);
        free(coder->ranges);
        free(coder);
        return NULL;
}

static int read_range(const PayloadInputs *inputs, const PayloadRange *range, uint8_t *ret, Error *error)
{
        bool is_target = range->source == PAYLOAD_SOURCE_TARGET;
        int fd = is_target ? inputs->target_fd : inputs->sources[range->source].fd;
        int r = pread_full(fd, ret, range->size_bytes,
                        range->offset + (is_target ? 0 : inputs->sources[range->source].offset));

        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read a source image: %s", strerror(-r)) : 0;
}

int payload_coder_ranges(
                PayloadCoder *coder, const PlanOp *op, const uint8_t **ret, size_t *ret_size, Error *error)
{
        size_t size = 0, done = 0;
        int r;

        for (size_t i = 0; i < op->range_count; i++)
                size += op->ranges[i].size_bytes;
        r = make_room(coder, size, error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < op->range_count; i++) {
                r = read_range(coder->inputs, &op->ranges[i], coder->ranges + done, error);
                if (r < 0)
                        return r;
                done += op->ranges[i].size_bytes;
        }
        *ret = coder->ranges;
        *ret_size = size;
        return 0;
}

/* The smallest window that reaches from the last byte back to the first of the prefix. */
static int window_log(size_t size)
{
        int log = 10;

        while (((size_t)1 << log) < size)
                log++;
        return log;
}

static size_t set_parameters(PayloadCoder *coder, size_t reach)
{
        size_t r = ZSTD_CCtx_reset(coder->zstd, ZSTD_reset_session_and_parameters);

        if (!ZSTD_isError(r))
                r = ZSTD_CCtx_setParameter(coder->zstd, ZSTD_c_compressionLevel, coder->inputs->level);
        if (!ZSTD_isError(r))
                r = ZSTD_CCtx_setParameter(coder->zstd, ZSTD_c_windowLog, window_log(reach));
        return r;
}

int payload_coder_zstd(PayloadCoder *coder, const uint8_t *data, size_t size, const uint8_t *prefix,
                size_t prefix_size, Buffer *blob, Error *error)
{
        size_t bound = ZSTD_compressBound(size), r;

        if (buffer_reserve(blob, bound) < 0)
                return error_oom(error);
        r = set_parameters(coder, size + prefix_size);
        if (!ZSTD_isError(r) && prefix_size > 0)
                r = ZSTD_CCtx_refPrefix(coder->zstd, prefix, prefix_size);
        if (!ZSTD_isError(r))
                r = ZSTD_compress2(coder->zstd, blob->data + blob->size, bound, data, size);
        if (ZSTD_isError(r))
                return error_set(
                                error, ERROR_FAILED, ENOMEM, "compression failed: %s", ZSTD_getErrorName(r));
        blob->size += r;
        return 0;
}

static int note_cost(PayloadCoder *coder, const PlanOp *op, uint64_t blob_bytes, const uint64_t *before,
                CodedGroup *ret, Error *error)
{
        OpCost cost = { .name = op->name,
                .number = op->number,
                .target_bytes = op->target_size_bytes,
                .blob_bytes = blob_bytes };

        patch_writer_sizes(coder->patches, cost.stream_bytes);
        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++)
                cost.stream_bytes[i] -= before[i];
        return cost_list_add(&ret->costs, &cost) < 0 ? error_oom(error) : 0;
}

static int code_op(PayloadCoder *coder, PayloadOpCursor *cursor, const PlanOp *plan, uint64_t target_offset,
                CodedGroup *ret, Error *error)
{
        _cleanup_free_ PayloadOp *coded = calloc(1, sizeof(*coded));
        uint64_t streams_before[PAYLOAD_STREAMS_MAX];
        size_t before = ret->blob.size;
        const PayloadCodec *codec;
        PlanOp op = *plan;

        if (!coded)
                return error_oom(error);
        patch_writer_sizes(coder->patches, streams_before);
        if (coders[op.number].code) {
                int r = coders[op.number].code(coder, &op, coder->target + target_offset, &ret->blob, error);

                if (r < 0)
                        return r;
        }
        codec = payload_codec(op.number);
        if (!codec || op.range_count > PAYLOAD_RANGES_MAX)
                return error_set(error, ERROR_FAILED, EINVAL, "op %u cannot be coded", op.number);
        coded->number = op.number;
        coded->target_size_bytes = op.target_size_bytes;
        coded->blob_size_bytes = ret->blob.size - before;
        coded->range_count = op.range_count;
        memcpy(coded->parameters, op.parameters, sizeof(op.parameters));
        if (op.range_count > 0)
                memcpy(coded->ranges, op.ranges, op.range_count * sizeof(*op.ranges));
        payload_memory_add_op(&ret->memory, coded);
        ret->reads_all |= codec->takes_streams && op.range_count == 0;
        for (size_t i = 0; i < op.range_count; i++)
                ret->sources |= 1U << op.ranges[i].source;
        if (op.number == PAYLOAD_OP_SAME)
                ret->sources |= 1U << PAYLOAD_SOURCE_OLD_ROOT;
        if (payload_op_append(cursor, coded, &ret->ops) < 0)
                return error_oom(error);
        return note_cost(coder, &op, coded->blob_size_bytes, streams_before, ret, error);
}

int payload_coder_run(PayloadCoder *coder, const PlanGroup *group, CodedGroup *ret, Error *error)
{
        PayloadOpCursor cursor;
        uint64_t done = 0;
        int r = pread_full(coder->inputs->target_fd, coder->target, group->target_size_bytes,
                        group->target_offset);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the image: %s", strerror(-r));
        buffer_clear(&ret->blob);
        buffer_clear(&ret->ops);
        /* Room to try a frame after all the others were stored as they are. */
        ret->blob.cap = 2 * ZSTD_compressBound(PAYLOAD_GROUP_MAX);
        ret->ops.cap = PAYLOAD_TABLE_MAX;
        ret->memory = (PayloadMemory){ 0 };
        ret->reads_all = false;
        ret->stream_sizes = (StreamSizes){ 0 };
        coder->group_offset = group->target_offset;
        ret->sources = 0;
        ret->costs.count = 0;
        payload_op_cursor_init(&cursor, NULL, 0, group->target_offset);
        for (size_t i = 0; i < group->op_count; i++) {
                r = code_op(coder, &cursor, &group->ops[i], done, ret, error);
                if (r < 0)
                        return r;
                done += group->ops[i].target_size_bytes;
        }
        if (patch_writer_is_used(coder->patches)) {
                r = patch_writer_finish(coder->patches, &ret->blob, &ret->stream_sizes, error);
                if (r < 0)
                        return r;
        }
        ret->group = (PayloadGroup){ .target_offset = group->target_offset,
                .target_size_bytes = group->target_size_bytes,
                .blob_size_bytes = ret->blob.size };
        sha256_of(ret->blob.data, ret->blob.size, ret->group.blob_sha256);
        sha256_of(coder->target, group->target_size_bytes, ret->group.target_sha256);
        return 0;
}
