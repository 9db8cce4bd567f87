/* SPDX-License-Identifier: Apache-2.0 */
#include "percent.h"

#include <string.h>

static bool is_unreserved(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               strchr("-._~", c);
}

int percent_encode(Buffer *buffer, const char *text, const char *keep)
{
        for (const char *p = text; *p; p++) {
                int r;

                if (is_unreserved(*p) || (keep && strchr(keep, *p)))
                        r = buffer_append_byte(buffer, (uint8_t)*p);
                else
                        r = buffer_printf(buffer, "%%%02X", (unsigned)(uint8_t)*p);
                if (r < 0)
                        return r;
        }
        return 0;
}
