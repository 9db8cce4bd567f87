/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One zstd frame (RFC 8878) in memory, hostile: nothing before or after it, no other frame type, no
 * dictionary but the prefix given, and exactly as many bytes as the caller expects. Memory is what the
 * context holds (under 256 KiB): the target is the window. */

#include "error.h"

#include <zstd.h>

/* -EBADMSG when the bytes are not such a frame, -ENOMEM. `prefix` (raw bytes that the frame may refer to)
 * may be empty. */
int zstd_frame_decode(ZSTD_DCtx *context, const uint8_t *frame, size_t frame_size, const uint8_t *prefix,
                size_t prefix_size, uint8_t *target, size_t target_size);
