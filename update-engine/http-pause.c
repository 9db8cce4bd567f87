/* SPDX-License-Identifier: Apache-2.0 */
#include "http-pause.h"

uint64_t http_pause_ms(uint64_t retry_seconds, unsigned round, uint64_t chance)
{
        uint64_t base = MIN_OF(retry_seconds, HTTP_PAUSE_MAX_MS / 1000) * 1000;

        for (; round > 0 && base > 0 && base < HTTP_PAUSE_MAX_MS; round--)
                base *= 2;
        base = MIN_OF(base, HTTP_PAUSE_MAX_MS);
        return MAX_OF(base / 2 + chance % (base + 1), HTTP_PAUSE_MIN_MS);
}
