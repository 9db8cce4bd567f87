/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-plan.h"

#include <string.h>

PayloadPlan *payload_plan_new(uint64_t target_size_bytes)
{
        PayloadPlan *plan = calloc(1, sizeof(*plan));

        if (plan)
                plan->target_size_bytes = target_size_bytes;
        return plan;
}

static void group_done(PlanGroup *group)
{
        for (size_t i = 0; i < group->op_count; i++) {
                free(group->ops[i].ranges);
                free(group->ops[i].name);
                segment_list_done(&group->ops[i].segments);
        }
        free(group->ops);
}

PayloadPlan *payload_plan_free(PayloadPlan *plan)
{
        if (!plan)
                return NULL;
        for (size_t i = 0; i < plan->group_count; i++)
                group_done(&plan->groups[i]);
        free(plan->groups);
        free(plan);
        return NULL;
}

/* Arrays double, so that a long plan is not copied again and again: room is made whenever the count is a
 * power of two. */
static void *grow(void *array, size_t count, size_t element_size)
{
        if ((count & (count - 1)) != 0)
                return array;
        return reallocarray(array, count == 0 ? 1 : 2 * count, element_size);
}

int payload_plan_add_group(PayloadPlan *plan, uint64_t size_bytes, PlanGroup **ret)
{
        const PlanGroup *last = plan->group_count > 0 ? &plan->groups[plan->group_count - 1] : NULL;
        uint64_t offset = last ? last->target_offset + last->target_size_bytes : 0;
        PlanGroup *groups;

        if (size_bytes == 0 || size_bytes > PAYLOAD_GROUP_MAX ||
                        size_bytes > plan->target_size_bytes - offset || offset % PAYLOAD_BLOCK_SIZE != 0)
                return -EINVAL;
        groups = grow(plan->groups, plan->group_count, sizeof(*groups));
        if (!groups)
                return -ENOMEM;
        plan->groups = groups;
        groups[plan->group_count] = (PlanGroup){ .target_offset = offset, .target_size_bytes = size_bytes };
        *ret = &groups[plan->group_count++];
        return 0;
}

int plan_group_add_op(PlanGroup *group, uint8_t number, uint64_t target_size_bytes,
                const PayloadRange *ranges, size_t range_count)
{
        PlanOp *ops = grow(group->ops, group->op_count, sizeof(*ops));
        PlanOp *op;

        if (!ops)
                return -ENOMEM;
        group->ops = ops;
        op = &ops[group->op_count];
        *op = (PlanOp){
                .number = number, .target_size_bytes = target_size_bytes, .range_count = range_count
        };
        if (range_count > 0) {
                op->ranges = reallocarray(NULL, range_count, sizeof(*ranges));
                if (!op->ranges)
                        return -ENOMEM;
                memcpy(op->ranges, ranges, range_count * sizeof(*ranges));
        }
        group->op_count++;
        return 0;
}
