/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parsed index, for the parser and the decoder only. */

#include "payload-op.h"

typedef struct IndexGroup {
        PayloadGroup group;
        uint64_t ops_offset, ops_size; /* in PayloadIndex.ops */
        uint64_t streams_offset;       /* in the group's blob; its size when there are none */
        unsigned sources;              /* bit 1 << PayloadSourceKind */
} IndexGroup;

struct PayloadIndex {
        PayloadHeader header;
        uint8_t *table;     /* unpacked, table_full_bytes; checked, but still read with bounds */
        const uint8_t *ops; /* inside the table */
        IndexGroup *groups;
        unsigned sources;
        PayloadMemory memory;
};

_Static_assert(sizeof(IndexGroup) <= PAYLOAD_MEMORY_PER_GROUP, "the memory rule must cover a parsed group");
