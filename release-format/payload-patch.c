/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-op.h"

/* The ops PATCH and PATCH_ELF. A PATCH without ranges patches the sources as a whole, at the place of the
 * image where it stands. */

static PatchPlan plan_of(const PayloadOp *op)
{
        PatchPlan plan = { .new_size_bytes = op->target_size_bytes,
                .segment_count = op->parameters[PAYLOAD_PATCH_RUNS],
                .continues = op->range_count == 0 };

        if (op->number == PAYLOAD_OP_PATCH_ELF) {
                plan.new_size_bytes += op->parameters[PAYLOAD_PATCH_REST];
                plan.shape_bytes = op->parameters[PAYLOAD_PATCH_SHAPE];
        }
        return plan;
}

int payload_patch_check(const PayloadOp *op, Error *error)
{
        const uint64_t *parameters = op->parameters;

        if (parameters[PAYLOAD_PATCH_RUNS] > PATCH_SEGMENTS_MAX)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "a patch has too many runs");
        if (op->number != PAYLOAD_OP_PATCH_ELF)
                return 0;
        if (parameters[PAYLOAD_PATCH_SHAPE] > PATCH_SHAPE_MAX)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "a patch of a program has an impossible shape");
        if (parameters[PAYLOAD_PATCH_REST] > PAYLOAD_GROUP_MAX ||
                        parameters[PAYLOAD_PATCH_HOLE] > PAYLOAD_HOLES_MAX)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "a patch of a program has an impossible rest");
        return 0;
}

uint64_t payload_patch_heap(const PayloadOp *op)
{
        PatchPlan plan = plan_of(op);
        uint64_t old_size = 0;

        for (size_t i = 0; i < op->range_count; i++)
                if (ADD_OVERFLOWS(old_size, op->ranges[i].size_bytes, &old_size))
                        return UINT64_MAX;
        /* No program is that large, and sums stay sums. */
        if (old_size > UINT32_MAX)
                return UINT64_MAX;
        return patch_reader_memory_bytes(&plan, old_size);
}

int payload_patch_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error)
{
        _cleanup_(patch_reader_freep) PatchReader *reader = NULL;
        uint64_t rest = op->number == PAYLOAD_OP_PATCH_ELF ? op->parameters[PAYLOAD_PATCH_REST] : 0;
        PatchPlan plan = plan_of(op);
        PayloadOldFile old_file;
        uint8_t *hole;
        int r;

        plan.new_base = payload_work_group_offset(work) + op->target_offset;
        payload_work_old_file(work, op, &old_file);
        r = patch_reader_new(payload_work_patches(work), &old_file.view, &plan, &reader, error);
        if (r >= 0)
                r = patch_reader_read(reader, target, op->target_size_bytes, error);
        if (r < 0 || rest == 0 || op->parameters[PAYLOAD_PATCH_HOLE] == 0)
                return r;
        hole = payload_work_hole(work, op->parameters[PAYLOAD_PATCH_HOLE], rest);
        return hole ? patch_reader_read(reader, hole, rest, error)
                    : error_set(error, ERROR_CORRUPT, EBADMSG, "a patch fills a hole that is not there");
}
