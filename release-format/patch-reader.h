/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads a patched file from front to back: copied runs of an old file, with what is different in them added,
 * and what no run brings. Where the runs are, the differences and the rest come from the solid streams of
 * the group (payload-streams.h); addresses in copied runs of programs are predicted (patch-fields.h).
 *
 * Streams and segments are hostile: -EBADMSG with ERROR_CORRUPT when they are malformed; what reading the
 * old file gave is passed on. Memory stays below patch_reader_memory_bytes(), whatever the file's size. */

#include "patch-fields.h"
#include "payload-streams.h"

/* What the patches of a group share. They must be read in the order in which they were made, each to its
 * end. */
typedef struct PatchGroup PatchGroup;
int patch_group_new(const uint8_t *streams, size_t size, PatchGroup **ret, Error *error);
PatchGroup *patch_group_free(PatchGroup *group);
DEFINE_CLEANUP(PatchGroup *, patch_group_free)
/* 0 when all streams were used up, else -EBADMSG. */
int patch_group_finish(PatchGroup *group, Error *error);
uint64_t patch_group_memory_bytes(void);

typedef struct PatchPlan {
        uint64_t new_size_bytes;
        uint64_t segment_count; /* at most PATCH_SEGMENTS_MAX */
        uint64_t shape_bytes;   /* at most PATCH_SHAPE_MAX; 0: nothing is predicted */
        /* Where old and new file begin in something larger, so that runs of several patches in a row can
         * continue each other: the first run is expected as far from its place as the last of the patch
         * before. */
        bool continues;
        uint64_t new_base;
} PatchPlan;

typedef struct PatchReader PatchReader;

/* The view and the group are borrowed; reads the segments and the shape. */
int patch_reader_new(PatchGroup *group, const PatchView *old_file, const PatchPlan *plan, PatchReader **ret,
                Error *error);
PatchReader *patch_reader_free(PatchReader *reader);
DEFINE_CLEANUP(PatchReader *, patch_reader_free)

/* The next `size` bytes of the new file; -EBADMSG past its end. */
int patch_reader_read(PatchReader *reader, uint8_t *ret, size_t size, Error *error);

/* `old_size_bytes` counts only when something is predicted. */
uint64_t patch_reader_memory_bytes(const PatchPlan *plan, uint64_t old_size_bytes);
