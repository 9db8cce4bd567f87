/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which op, and which file, a payload's bytes go to. Streams are shared, so a patch's part of one is what it
 * put into it, less what compression took off the whole. */

#include "payload-plan.h"
#include "stream-writer.h"

typedef struct OpCost {
        const char *name; /* of the file, borrowed from the plan; NULL: none */
        uint8_t number;   /* of the op */
        uint64_t target_bytes, blob_bytes;
        uint64_t stream_bytes[PAYLOAD_STREAMS_MAX]; /* before compression */
} OpCost;

typedef struct CostList {
        OpCost *list;
        size_t count, capacity;
} CostList;

void cost_list_done(CostList *costs);
int cost_list_add(CostList *costs, const OpCost *cost);

/* What an op costs, given what became of its group's streams. */
uint64_t cost_of(const OpCost *cost, const StreamSizes *sizes);

#define DEAREST_FILES 20

/* The files that cost most, dearest first; an empty name ends them. */
typedef struct DearestFiles {
        struct {
                char name[160]; /* the end of it, if it is longer */
                uint64_t target_bytes, payload_bytes;
        } list[DEAREST_FILES];
} DearestFiles;

void dearest_files_add(
                DearestFiles *dearest, const char *name, uint64_t target_bytes, uint64_t payload_bytes);
