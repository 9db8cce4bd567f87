/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-op.h"
#include "recomp.h"

#include <malloc.h>

/* The op RECOMP: the content of an old stream is patched, and what comes out is compressed into the target,
 * piece by piece as the encoder asks for it. */

static PatchPlan plan_of(const PayloadOp *op)
{
        return (PatchPlan){ .new_size_bytes = op->parameters[PAYLOAD_RECOMP_CLEAR],
                .segment_count = op->parameters[PAYLOAD_RECOMP_RUNS],
                .shape_bytes = op->parameters[PAYLOAD_RECOMP_SHAPE] };
}

int payload_recomp_check(const PayloadOp *op, Error *error)
{
        const uint64_t *parameters = op->parameters;
        RecompCoding coding;
        int r = recomp_coding_unpack(parameters[PAYLOAD_RECOMP_CODING], &coding, error);

        if (r < 0)
                return r;
        if (parameters[PAYLOAD_RECOMP_OLD_CODEC] >= RECOMP_CODECS_MAX)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "an old stream has an unknown codec");
        if (parameters[PAYLOAD_RECOMP_RUNS] > PATCH_SEGMENTS_MAX ||
                        parameters[PAYLOAD_RECOMP_SHAPE] > PATCH_SHAPE_MAX)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "a patch has too many runs");
        /* No larger stream is ever worth it, and sums stay sums. */
        if (parameters[PAYLOAD_RECOMP_CLEAR] > UINT32_MAX ||
                        parameters[PAYLOAD_RECOMP_OLD_CLEAR] > UINT32_MAX ||
                        parameters[PAYLOAD_RECOMP_OLD_VIEW] > UINT32_MAX)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "a stream is larger than any");
        return 0;
}

uint64_t payload_recomp_heap(const PayloadOp *op)
{
        const uint64_t *parameters = op->parameters;
        PatchPlan plan = plan_of(op);
        RecompCoding coding;
        uint64_t size;

        if (recomp_coding_unpack(parameters[PAYLOAD_RECOMP_CODING], &coding, NULL) < 0)
                return UINT64_MAX;
        size = recomp_memory((uint8_t)parameters[PAYLOAD_RECOMP_OLD_CODEC],
                        parameters[PAYLOAD_RECOMP_OLD_VIEW], &coding, parameters[PAYLOAD_RECOMP_CLEAR]);
        return ADD_OVERFLOWS(size, patch_reader_memory_bytes(&plan, parameters[PAYLOAD_RECOMP_OLD_CLEAR]),
                               &size)
                               ? UINT64_MAX
                               : size;
}

static int read_patched(void *data, void *ret, size_t size, Error *error)
{
        return patch_reader_read(data, ret, size, error);
}

static int decode(PayloadWork *work, const PayloadOp *op, uint8_t *target, Error *error)
{
        _cleanup_(recomp_view_freep) RecompView *view = NULL;
        _cleanup_(patch_reader_freep) PatchReader *reader = NULL;
        PatchPlan plan = plan_of(op);
        RecompReader clear = { .read = read_patched, .size_bytes = plan.new_size_bytes };
        PayloadOldFile old_stream;
        RecompCoding coding;
        PatchView old_clear;
        int r = recomp_coding_unpack(op->parameters[PAYLOAD_RECOMP_CODING], &coding, error);

        if (r < 0)
                return r;
        payload_work_old_file(work, op, &old_stream);
        r = recomp_view_new((uint8_t)op->parameters[PAYLOAD_RECOMP_OLD_CODEC], &old_stream.view,
                        op->parameters[PAYLOAD_RECOMP_OLD_VIEW], &view, error);
        if (r < 0)
                return r;
        old_clear = recomp_view_clear(view);
        if (old_clear.size_bytes != op->parameters[PAYLOAD_RECOMP_OLD_CLEAR])
                return error_set(error, ERROR_CORRUPT, EBADMSG, "an old stream has another size");
        r = patch_reader_new(payload_work_patches(work), &old_clear, &plan, &reader, error);
        if (r < 0)
                return r;
        clear.data = reader;
        return recomp_encode(&coding, &clear, target, op->target_size_bytes, error);
}

int payload_recomp_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error)
{
        int r = decode(work, op, target, error);

        /* Other groups have larger targets instead: what was freed is not kept besides. */
        (void)malloc_trim(0);
        return r;
}
