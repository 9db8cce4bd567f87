/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-code-recomp.h"

#include "program-match.h"
#include "recomp-find.h"

#include <string.h>

typedef struct Content {
        uint8_t *data;
        size_t size;
} Content;

static void content_done(Content *content)
{
        free(content->data);
}

/* All that a stream unpacks to. */
static int unpack(uint8_t codec, const uint8_t *packed, size_t packed_size, Content *ret, Error *error)
{
        PatchView stream = recomp_bytes_view(packed, packed_size);
        _cleanup_(recomp_view_freep) RecompView *view = NULL;
        int r = recomp_view_new(codec, &stream, UINT64_MAX, &view, error);
        PatchView clear;

        if (r < 0)
                return r;
        clear = recomp_view_clear(view);
        ret->size = clear.size_bytes;
        ret->data = malloc(ret->size + 1);
        if (!ret->data)
                return error_oom(error);
        return clear.read(clear.data, 0, ret->data, ret->size, error);
}

int payload_recomp_code(PatchWriter *patches, PlanOp *op, const uint8_t *packed, size_t packed_size,
                const uint8_t *target, Error *error)
{
        _cleanup_(content_done) Content old_content = { 0 }, new_content = { 0 };
        _cleanup_(segment_list_done) SegmentList segments = { 0 };
        PatchInput input = { .predicts = true };
        RecompCoding coding;
        PatchView old_view;
        PatchPlan plan;
        int r = recomp_coding_unpack(op->parameters[PAYLOAD_RECOMP_CODING], &coding, error);

        if (r >= 0)
                r = unpack((uint8_t)op->parameters[PAYLOAD_RECOMP_OLD_CODEC], packed, packed_size,
                                &old_content, error);
        if (r >= 0)
                r = unpack(coding.codec, target, op->target_size_bytes, &new_content, error);
        if (r < 0)
                return r;
        r = program_match(old_content.data, old_content.size, new_content.data, new_content.size, 0,
                        &segments);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot compare a stream with an old one: %s",
                                strerror(-r));
        old_view = recomp_bytes_view(old_content.data, old_content.size);
        input.old_file = &old_view;
        input.new_data = new_content.data;
        input.new_size = new_content.size;
        input.segments = segments.list;
        input.segment_count = segments.count;
        r = patch_writer_add(patches, &input, &plan, error);
        if (r < 0)
                return r;
        op->parameters[PAYLOAD_RECOMP_RUNS] = plan.segment_count;
        op->parameters[PAYLOAD_RECOMP_SHAPE] = plan.shape_bytes;
        return 0;
}
