/* SPDX-License-Identifier: Apache-2.0 */
#include "zstd-frame.h"

#include "bytes.h"

#include <zstd_errors.h>

/* A library can be built to read the formats of before version 1.0 too, whose decoders nobody checks
 * any more, and passes over skippable frames: neither is ours. */
static bool is_one_frame(const uint8_t *frame, size_t size)
{
        return size >= 4 && read_le32(frame) == ZSTD_MAGICNUMBER &&
               ZSTD_findFrameCompressedSize(frame, size) == size;
}

int zstd_frame_decode(ZSTD_DCtx *context, const uint8_t *frame, size_t frame_size, const uint8_t *prefix,
                size_t prefix_size, uint8_t *target, size_t target_size)
{
        size_t done;

        if (!is_one_frame(frame, frame_size))
                return -EBADMSG;
        done = ZSTD_DCtx_reset(context, ZSTD_reset_session_and_parameters);
        if (!ZSTD_isError(done) && prefix_size > 0)
                done = ZSTD_DCtx_refPrefix(context, prefix, prefix_size);
        if (!ZSTD_isError(done))
                done = ZSTD_decompressDCtx(context, target, target_size, frame, frame_size);
        if (ZSTD_isError(done))
                return ZSTD_getErrorCode(done) == ZSTD_error_memory_allocation ? -ENOMEM : -EBADMSG;
        return done == target_size ? 0 : -EBADMSG;
}
