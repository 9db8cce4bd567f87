/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finds what two files have in common; of programs, what is the same but for where things are. */

#include "suffix-match.h"

/* Appends the runs of the new file in all but `left_out` bytes at its end. As suffix_match(), with a copy of
 * each file and what patch_blur() takes besides. */
int program_match(const uint8_t *old_data, size_t old_size, const uint8_t *new_data, size_t new_size,
                size_t left_out, SegmentList *ret);
