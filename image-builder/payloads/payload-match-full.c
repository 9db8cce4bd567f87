/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "payload-match.h"

#include <string.h>

#define GROUP_DEFAULT (16 * MIB)

/* Shorter runs cost less inside a frame than the second frame that an op in the middle needs. */
#define ZERO_RUN_MIN (256 * KIB)

static bool is_zero(const uint8_t *data, size_t size)
{
        return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* Bytes from `offset` that are zero in whole blocks (the last may be shorter). */
static uint64_t zero_run(const uint8_t *data, uint64_t offset, uint64_t size)
{
        uint64_t end = offset;

        while (end < size) {
                uint64_t part = MIN_OF(size - end, (uint64_t)PAYLOAD_BLOCK_SIZE);

                if (!is_zero(data + end, part))
                        break;
                end += part;
        }
        return end - offset;
}

static int add_frame(PlanGroup *group, uint64_t size, uint64_t history)
{
        PayloadRange before = { .source = PAYLOAD_SOURCE_TARGET,
                .size_bytes = MIN_OF(history, group->target_offset) };

        before.offset = group->target_offset - before.size_bytes;
        return size == 0 ? 0
                         : plan_group_add_op(group, PAYLOAD_OP_ZFULL, size, &before,
                                           before.size_bytes > 0 ? 1 : 0);
}

static int fill_group(PlanGroup *group, const uint8_t *data, uint64_t history)
{
        uint64_t size = group->target_size_bytes, start = 0, at = 0;
        int r;

        while (at < size) {
                uint64_t run = zero_run(data, at, size);

                if (run < ZERO_RUN_MIN && run < size) {
                        at += run > 0 ? run : PAYLOAD_BLOCK_SIZE;
                        continue;
                }
                r = add_frame(group, at - start, history);
                if (r >= 0)
                        r = plan_group_add_op(group, PAYLOAD_OP_ZERO, run, NULL, 0);
                if (r < 0)
                        return r;
                at += run;
                start = at;
        }
        return add_frame(group, size - MIN_OF(start, size), history);
}

int payload_match_full(int target_fd, uint64_t target_size_bytes, uint64_t group_size_bytes,
                uint64_t history_bytes, PayloadPlan **ret, Error *error)
{
        uint64_t group_size = group_size_bytes > 0 ? group_size_bytes : GROUP_DEFAULT;
        _cleanup_(payload_plan_freep) PayloadPlan *plan = payload_plan_new(target_size_bytes);
        _cleanup_free_ uint8_t *data = malloc(group_size);

        if (!plan || !data)
                return error_oom(error);
        for (uint64_t offset = 0; offset < target_size_bytes;) {
                uint64_t size = MIN_OF(group_size, target_size_bytes - offset);
                PlanGroup *group;
                int r = pread_full(target_fd, data, size, offset);

                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read the image: %s", strerror(-r));
                r = payload_plan_add_group(plan, size, &group);
                if (r >= 0)
                        r = fill_group(group, data, history_bytes);
                if (r < 0)
                        return error_set(error, ERROR_FAILED, -r, "cannot plan a group of %llu bytes: %s",
                                        (unsigned long long)size, strerror(-r));
                offset += size;
        }
        *ret = TAKE_PTR(plan);
        return 0;
}
