/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where what was at some place of the old file is in the new one: first by the copied segments, and then by
 * what was learned of addresses for which they gave a wrong answer. Places are file offsets below 4 GiB for
 * the first, addresses of the space of patch-elf.h for the second. */

#include "patch-fields.h"

typedef struct PatchProjection PatchProjection;
typedef struct PatchLearned PatchLearned;

/* Segments may overlap in the old file: then the longest counts. -EBADMSG when they are not in order of
 * new_offset, overlap there, or leave the files. Memory: 12 bytes a segment, and 256 KiB. */
int patch_projection_new(uint64_t old_size, uint64_t new_size, const PatchSegment *segments, size_t count,
                PatchProjection **ret);
PatchProjection *patch_projection_free(PatchProjection *projection);
uint64_t patch_projection_memory_bytes(size_t count);

/* The new offset of an old one; that of the nearest segment when none holds it, and then *ret_exact is
 * false. It can be anything, beyond the file also. */
uint64_t patch_project(const PatchProjection *projection, uint64_t old_offset, bool *ret_exact);

/* A table of fixed size; what is learned late replaces what was learned early when it is full. `log2_slots`
 * is 6 to 24; memory: 8 bytes a slot, and
 * 65 KiB. */
PatchLearned *patch_learned_new(unsigned log2_slots);
PatchLearned *patch_learned_free(PatchLearned *learned);

/* Whether something was learned of a key, and what. Values are 32 bits. */
bool patch_learned_get(const PatchLearned *learned, uint64_t key, uint32_t *ret_value);
void patch_learned_put(PatchLearned *learned, uint64_t key, uint32_t value);
