/* SPDX-License-Identifier: Apache-2.0 */
#include "x86-parts.h"

#include <string.h>

#define TRIAL_LEVEL 1

static int packed_size(ZSTD_CCtx *context, const uint8_t *bytes, size_t size, Buffer *scratch, size_t *ret)
{
        size_t bound = ZSTD_compressBound(size), r;
        int error = buffer_reserve(scratch, bound);

        if (error < 0)
                return error;
        r = ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
        if (!ZSTD_isError(r))
                r = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, TRIAL_LEVEL);
        if (!ZSTD_isError(r))
                r = ZSTD_compress2(context, scratch->data + scratch->size, bound, bytes, size);
        if (ZSTD_isError(r))
                return -ENOMEM;
        *ret = r;
        return 0;
}

int x86_parts_choose(ZSTD_CCtx *context, const uint8_t *bytes, size_t size, uint8_t *filtered,
                Buffer *scratch, uint64_t *ret_parts)
{
        size_t part = x86_part_size(size);
        uint64_t parts = 0, bit = 1;

        memcpy(filtered, bytes, size);
        x86_filter(filtered, size, UINT64_MAX);
        for (size_t at = 0; at < size; at += part, bit <<= 1) {
                size_t now = MIN_OF(part, size - at), plain, smaller;
                int r;

                if (memcmp(filtered + at, bytes + at, now) == 0)
                        continue;
                r = packed_size(context, bytes + at, now, scratch, &plain);
                if (r >= 0)
                        r = packed_size(context, filtered + at, now, scratch, &smaller);
                if (r < 0)
                        return r;
                if (smaller < plain)
                        parts |= bit;
                else
                        memcpy(filtered + at, bytes + at, now);
        }
        *ret_parts = parts;
        return 0;
}
