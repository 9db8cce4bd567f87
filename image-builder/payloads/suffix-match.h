/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finds what a new file has of an old one: runs that are the same but for a few bytes, by a suffix array of
 * the old file, after Percival's "Naive Differences of Executable Code". Deterministic. Memory: 4 bytes for
 * each byte of the old file, besides both files; time is bounded whatever the files hold (zeros for
 * gigabytes, one page over and over). */

#include "error.h"
#include "patch-fields.h"

/* Runs in order of new_offset. */
typedef struct SegmentList {
        PatchSegment *list;
        size_t count, capacity;
} SegmentList;

void segment_list_done(SegmentList *segments);
/* Appends; empty runs are left out. -ENOMEM. */
int segment_list_add(SegmentList *segments, uint64_t old_offset, uint64_t new_offset, uint64_t size_bytes);

#define SUFFIX_MATCH_MAX (1 * GIB) /* bytes of old file */

/* Appends what it finds; nothing for an empty file. -E2BIG beyond SUFFIX_MATCH_MAX, -ENOMEM. */
int suffix_match(const uint8_t *old_data, size_t old_size, const uint8_t *new_data, size_t new_size,
                SegmentList *ret);
