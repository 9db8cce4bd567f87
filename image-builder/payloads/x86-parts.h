/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finds out which parts of some bytes compress better once they are filtered as x86 code (x86-filter.h). */

#include "buffer.h"
#include "x86-filter.h"

#include <zstd.h>

/* Tries each part at the lowest level. `filtered` (as many bytes) gets the bytes with those parts filtered
 * that *ret_parts names. `scratch` is used and left as it was. -ENOMEM, or -E2BIG when a part does not fit
 * its cap. */
int x86_parts_choose(ZSTD_CCtx *context, const uint8_t *bytes, size_t size, uint8_t *filtered,
                Buffer *scratch, uint64_t *ret_parts);
