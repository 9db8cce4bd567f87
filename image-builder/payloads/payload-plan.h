/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a payload will consist of, before anything is compressed: which bytes of the target come from where.
 * A matcher (payload-match.h) makes a plan; the coder (payload-code.h) turns its ops into bytes. So a new
 * way to find likenesses touches no coding, and a new codec no matching. */

#include "error.h"
#include "payload-op.h"
#include "suffix-match.h"

/* One op to be. Sizes of blobs are not known yet; the coder may also choose a plainer op than the plan asks
 * for (a frame that would not be smaller becomes RAW). */
typedef struct PlanOp {
        uint8_t number; /* PayloadOpNumber */
        uint64_t target_size_bytes;
        uint64_t parameters[PAYLOAD_PARAMETERS_MAX];
        PayloadRange *ranges;
        size_t range_count;
        SegmentList segments; /* of a patch of the sources as a whole (one without ranges): where its runs
                               * are, with offsets of old bytes in the sources joined, of new ones from the
                               * op's start. A patch with ranges is matched by the coder. */
        PayloadRange rest; /* of a program: the part of the image where its file goes on; size 0: nowhere */
        char *name;        /* of the file that it makes, or NULL */
} PlanOp;

/* Groups cover the target in order; ops cover their group in order. */
typedef struct PlanGroup {
        uint64_t target_offset, target_size_bytes;
        PlanOp *ops;
        size_t op_count;
} PlanGroup;

typedef struct PayloadPlan {
        uint64_t target_size_bytes;
        uint64_t source_size_bytes[PAYLOAD_SOURCE_TARGET]; /* of those that any op reads; else 0 */
        PlanGroup *groups;
        size_t group_count;
} PayloadPlan;

PayloadPlan *payload_plan_new(uint64_t target_size_bytes);
PayloadPlan *payload_plan_free(PayloadPlan *plan);
DEFINE_CLEANUP(PayloadPlan *, payload_plan_free)

/* Appends an empty group after the last. The pointer holds until the next is added. -EINVAL for a size of 0,
 * beyond PAYLOAD_GROUP_MAX or beyond the target, or for a group after one that is not whole blocks. */
int payload_plan_add_group(PayloadPlan *plan, uint64_t size_bytes, PlanGroup **ret);

/* Appends an op whose ranges are copied. What else an op has can be put into group->ops afterwards; the plan
 * owns it. */
int plan_group_add_op(PlanGroup *group, uint8_t number, uint64_t target_size_bytes,
                const PayloadRange *ranges, size_t range_count);
