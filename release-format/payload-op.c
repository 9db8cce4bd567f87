/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-op.h"

#include <string.h>

static int same_check(const PayloadOp *op, Error *error)
{
        /* One spelling for one thing: a range elsewhere is a COPY. */
        if (op->blob_size_bytes != 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "op SAME has a blob");
        return 0;
}

static int raw_check(const PayloadOp *op, Error *error)
{
        if (op->blob_size_bytes != op->target_size_bytes)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "op RAW has a blob of another size than its target");
        return 0;
}

static uint64_t ranges_size(const PayloadOp *op)
{
        uint64_t size = 0;

        for (size_t i = 0; i < op->range_count; i++)
                if (ADD_OVERFLOWS(size, op->ranges[i].size_bytes, &size))
                        return UINT64_MAX;
        return size;
}

static int copy_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error)
{
        return payload_work_read(work, &op->ranges[0], target, error);
}

static int zero_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error)
{
        memset(target, 0, op->target_size_bytes);
        return 0;
}

static int raw_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error)
{
        memcpy(target, blob, op->target_size_bytes);
        return 0;
}

/* Another op of the group fills it. */
static int hole_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error)
{
        return 0;
}

const PayloadCodec payload_codecs[PAYLOAD_OP_MAX] = {
        [PAYLOAD_OP_SAME] = { .name = "SAME", .check = same_check, .decode = copy_decode },
        [PAYLOAD_OP_COPY] = { .name = "COPY",
                        .copies = true,
                        .ranges_min = 1,
                        .ranges_max = 1,
                        .decode = copy_decode },
        [PAYLOAD_OP_ZERO] = { .name = "ZERO", .decode = zero_decode },
        [PAYLOAD_OP_RAW] = { .name = "RAW", .takes_blob = true, .check = raw_check, .decode = raw_decode },
        [PAYLOAD_OP_ZFULL] = { .name = "ZFULL",
                        .takes_blob = true,
                        .ranges_max = PAYLOAD_RANGES_MAX,
                        .memory = ranges_size,
                        .decode = payload_zfull_decode },
        [PAYLOAD_OP_PATCH] = { .name = "PATCH",
                        .takes_streams = true,
                        .parameter_count = 1,
                        .ranges_max = PAYLOAD_RANGES_MAX,
                        .check = payload_patch_check,
                        .heap = payload_patch_heap,
                        .decode = payload_patch_decode },
        [PAYLOAD_OP_PATCH_ELF] = { .name = "PATCH_ELF",
                        .takes_streams = true,
                        .parameter_count = 4,
                        .ranges_min = 1,
                        .ranges_max = PAYLOAD_RANGES_MAX,
                        .check = payload_patch_check,
                        .heap = payload_patch_heap,
                        .decode = payload_patch_decode },
        [PAYLOAD_OP_HOLE] = { .name = "HOLE", .is_hole = true, .decode = hole_decode },
        [PAYLOAD_OP_RECOMP] = { .name = "RECOMP",
                        .takes_streams = true,
                        .parameter_count = PAYLOAD_RECOMP_PARAMETERS,
                        .ranges_min = 1,
                        .ranges_max = PAYLOAD_RANGES_MAX,
                        .check = payload_recomp_check,
                        .heap = payload_recomp_heap,
                        .decode = payload_recomp_decode },
        [PAYLOAD_OP_ZX86] = { .name = "ZX86",
                        .takes_blob = true,
                        .parameter_count = 1,
                        .decode = payload_zx86_decode },
};

const PayloadCodec *payload_codec(uint8_t number)
{
        return number < PAYLOAD_OP_MAX && payload_codecs[number].name ? &payload_codecs[number] : NULL;
}

void payload_op_cursor_init(
                PayloadOpCursor *cursor, const uint8_t *ops, size_t size, uint64_t group_target_offset)
{
        *cursor = (PayloadOpCursor){ .reader = { ops, ops + size },
                .group_target_offset = group_target_offset };
        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX; i++)
                cursor->range_ends[i] = group_target_offset;
}

static int malformed(const char *what, Error *error)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "an op's %s is malformed", what);
}

static int read_range(PayloadOpCursor *cursor, const PayloadCodec *codec, uint64_t target_size,
                PayloadRange *ret, Error *error)
{
        uint64_t source, offset, size = target_size;
        int64_t distance;

        if (reader_varint(&cursor->reader, &source) < 0 || source >= PAYLOAD_SOURCES_MAX)
                return malformed("source", error);
        if (reader_signed_varint(&cursor->reader, &distance) < 0 ||
                        ADD_OVERFLOWS(cursor->range_ends[source], distance, &offset))
                return malformed("range offset", error);
        if (!codec->copies && (reader_varint(&cursor->reader, &size) < 0 || size == 0))
                return malformed("range size", error);
        if (ADD_OVERFLOWS(offset, size, &cursor->range_ends[source]))
                return malformed("range end", error);
        *ret = (PayloadRange){ (uint8_t)source, offset, size };
        return 0;
}

static int read_ranges(PayloadOpCursor *cursor, const PayloadCodec *codec, PayloadOp *op, Error *error)
{
        uint64_t count = codec->ranges_min;

        if (op->number == PAYLOAD_OP_SAME) {
                op->ranges[0] = (PayloadRange){ PAYLOAD_SOURCE_OLD_ROOT,
                        cursor->group_target_offset + op->target_offset, op->target_size_bytes };
                op->range_count = 1;
                return 0;
        }
        if (codec->ranges_min != codec->ranges_max &&
                        (reader_varint(&cursor->reader, &count) < 0 || count < codec->ranges_min ||
                                        count > codec->ranges_max))
                return malformed("number of ranges", error);
        for (op->range_count = 0; op->range_count < count; op->range_count++) {
                int r = read_range(
                                cursor, codec, op->target_size_bytes, &op->ranges[op->range_count], error);

                if (r < 0)
                        return r;
        }
        return 0;
}

int payload_op_next(PayloadOpCursor *cursor, PayloadOp *ret, Error *error)
{
        const PayloadCodec *codec;
        int r;

        if (reader_byte(&cursor->reader, &ret->number) < 0)
                return 0;
        codec = payload_codec(ret->number);
        if (!codec)
                return error_set(error, ERROR_INCOMPATIBLE, EPROTONOSUPPORT,
                                "the payload uses op %u, which this version does not know; update bascule "
                                "first",
                                ret->number);
        ret->target_offset = cursor->target_done;
        ret->blob_offset = cursor->blob_done;
        ret->blob_size_bytes = 0;
        if (reader_varint(&cursor->reader, &ret->target_size_bytes) < 0 || ret->target_size_bytes == 0 ||
                        ADD_OVERFLOWS(cursor->target_done, ret->target_size_bytes, &cursor->target_done))
                return malformed("target size", error);
        if (codec->takes_blob && (reader_varint(&cursor->reader, &ret->blob_size_bytes) < 0 ||
                                                 ret->blob_size_bytes == 0 ||
                                                 ADD_OVERFLOWS(cursor->blob_done, ret->blob_size_bytes,
                                                                 &cursor->blob_done)))
                return malformed("blob size", error);
        for (unsigned i = 0; i < codec->parameter_count; i++)
                if (reader_varint(&cursor->reader, &ret->parameters[i]) < 0)
                        return malformed("parameter", error);
        r = read_ranges(cursor, codec, ret, error);
        if (r < 0)
                return r;
        if (codec->check) {
                r = codec->check(ret, error);
                if (r < 0)
                        return r;
        }
        return 1;
}

static int append_range(
                PayloadOpCursor *cursor, const PayloadCodec *codec, const PayloadRange *range, Buffer *ops)
{
        int r = buffer_append_varint(ops, range->source);

        if (r >= 0)
                r = buffer_append_signed_varint(
                                ops, (int64_t)(range->offset - cursor->range_ends[range->source]));
        if (r >= 0 && !codec->copies)
                r = buffer_append_varint(ops, range->size_bytes);
        cursor->range_ends[range->source] = range->offset + range->size_bytes;
        return r;
}

int payload_op_append(PayloadOpCursor *cursor, const PayloadOp *op, Buffer *ops)
{
        const PayloadCodec *codec = payload_codec(op->number);
        int r;

        if (!codec)
                return -EINVAL;
        r = buffer_append_byte(ops, op->number);
        if (r >= 0)
                r = buffer_append_varint(ops, op->target_size_bytes);
        if (r >= 0 && codec->takes_blob)
                r = buffer_append_varint(ops, op->blob_size_bytes);
        for (unsigned i = 0; r >= 0 && i < codec->parameter_count; i++)
                r = buffer_append_varint(ops, op->parameters[i]);
        if (op->number == PAYLOAD_OP_SAME)
                return r;
        if (r >= 0 && codec->ranges_min != codec->ranges_max)
                r = buffer_append_varint(ops, op->range_count);
        for (size_t i = 0; r >= 0 && i < op->range_count; i++)
                r = append_range(cursor, codec, &op->ranges[i], ops);
        return r;
}

void payload_memory_add_op(PayloadMemory *memory, const PayloadOp *op)
{
        const PayloadCodec *codec = payload_codec(op->number);

        if (codec->memory)
                memory->scratch_max = MAX_OF(memory->scratch_max, codec->memory(op));
        if (codec->heap)
                memory->heap_max = MAX_OF(memory->heap_max, codec->heap(op));
        memory->takes_streams |= codec->takes_streams;
}

void payload_memory_add_group(PayloadMemory *memory, const PayloadMemory *ops, uint64_t target_size_bytes,
                uint64_t blob_size_bytes)
{
        uint64_t sum;

        if (ADD_OVERFLOWS(target_size_bytes, ops->heap_max, &sum))
                sum = UINT64_MAX;
        memory->target_max = MAX_OF(memory->target_max, target_size_bytes);
        memory->blob_max = MAX_OF(memory->blob_max, blob_size_bytes);
        memory->scratch_max = MAX_OF(memory->scratch_max, ops->scratch_max);
        memory->heap_max = MAX_OF(memory->heap_max, ops->heap_max);
        memory->group_max = MAX_OF(memory->group_max, sum);
        memory->takes_streams |= ops->takes_streams;
}

uint64_t payload_memory_needed(uint64_t table_size, size_t group_count, const PayloadMemory *memory)
{
        const uint64_t parts[] = { group_count * PAYLOAD_MEMORY_PER_GROUP, memory->group_max,
                memory->blob_max, memory->scratch_max,
                memory->takes_streams ? patch_group_memory_bytes() : 0, PAYLOAD_MEMORY_BASE };
        uint64_t sum = table_size;

        for (size_t i = 0; i < ELEMENTS(parts); i++)
                if (ADD_OVERFLOWS(sum, parts[i], &sum))
                        return UINT64_MAX;
        return sum;
}
