/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-cost.h"

#include <string.h>

void cost_list_done(CostList *costs)
{
        free(costs->list);
        *costs = (CostList){ 0 };
}

int cost_list_add(CostList *costs, const OpCost *cost)
{
        if (costs->count == costs->capacity) {
                size_t capacity = costs->capacity > 0 ? 2 * costs->capacity : 64;
                OpCost *list = reallocarray(costs->list, capacity, sizeof(*list));

                if (!list)
                        return -ENOMEM;
                costs->list = list;
                costs->capacity = capacity;
        }
        costs->list[costs->count++] = *cost;
        return 0;
}

uint64_t cost_of(const OpCost *cost, const StreamSizes *sizes)
{
        double sum = 0;

        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++)
                if (sizes->full[i] > 0)
                        sum += (double)cost->stream_bytes[i] * (double)sizes->stored[i] /
                               (double)sizes->full[i];
        return cost->blob_bytes + (uint64_t)(sum + 0.5);
}

void dearest_files_add(
                DearestFiles *dearest, const char *name, uint64_t target_bytes, uint64_t payload_bytes)
{
        size_t at = DEAREST_FILES, length = strlen(name), max = sizeof(dearest->list[0].name) - 1;

        while (at > 0 && (dearest->list[at - 1].name[0] == 0 ||
                                         dearest->list[at - 1].payload_bytes < payload_bytes))
                at--;
        if (at == DEAREST_FILES || length == 0)
                return;
        memmove(&dearest->list[at + 1], &dearest->list[at],
                        (DEAREST_FILES - at - 1) * sizeof(dearest->list[0]));
        (void)snprintf(dearest->list[at].name, max + 1, "%s", length > max ? name + length - max : name);
        dearest->list[at].target_bytes = target_bytes;
        dearest->list[at].payload_bytes = payload_bytes;
}
