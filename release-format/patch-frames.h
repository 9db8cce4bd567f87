/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Records of .eh_frame: their lengths lead from one to the next, so to begin in the middle it takes marks.
 */

#include "patch-walk.h"

/* Reads the lengths of a region once, from its start. Memory: 4 bytes for each 512. */
int patch_frames_mark(PatchFields *fields, PatchRegion *region, Error *error);

/* Where a record begins, at most a step of 512 bytes before the offset, or the first one after it. */
uint64_t patch_frames_sync(const PatchRegion *region, uint64_t offset);
