/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Makes x86-64 code easier to compress: the displacements of calls, jumps and operands in memory, which say
 * how far something is, become the place where it is, so that all that refer to one thing look alike. Works
 * on bytes of any kind and can always be undone.
 *
 * Bytes are taken in parts (x86_part_size()), of which bit N of `parts` says whether part N is filtered:
 * data is not. A field in a part is 4 bytes, little-endian, that stand
 *
 *     after e8 or e9, or
 *     after 80 to 8f and a byte that is 05 under the mask c7,
 *
 * looked for from the front of the part, each behind the one before, and none where fewer than 9 bytes of
 * the part are left from the first byte of this. With P the place behind the field and S the number of all
 * bytes, a displacement D with -P < D < S becomes D + P when that is below S, and D - S otherwise. But 0
 * (one that a linker has yet to fill in) stays, and -P becomes P instead of 0. */

#include "macro.h"

#define X86_PARTS_MAX 64

/* 256 KiB, or as much more (doubling) as it takes for 64 parts to be enough. */
size_t x86_part_size(size_t size);

void x86_filter(uint8_t *bytes, size_t size, uint64_t parts);
void x86_unfilter(uint8_t *bytes, size_t size, uint64_t parts);
