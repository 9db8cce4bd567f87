/* SPDX-License-Identifier: Apache-2.0 */
#include "uuid.h"

#include "hex.h"

#include <string.h>
#include <sys/random.h>

/* Digits before each dash. */
static const size_t dash_after[] = { 8, 12, 16, 20 };

const char *uuid_format(const uint8_t uuid[static UUID_SIZE], char ret[static UUID_TEXT_SIZE])
{
        char digits[2 * UUID_SIZE + 1];

        hex_encode(uuid, UUID_SIZE, digits);
        (void)snprintf(ret, UUID_TEXT_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12,
                        digits + 16, digits + 20);
        return ret;
}

int uuid_parse(const char *text, uint8_t ret[static UUID_SIZE])
{
        char digits[2 * UUID_SIZE + 1];
        size_t used = 0, dash = 0;

        if (strlen(text) != UUID_TEXT_SIZE - 1)
                return -EINVAL;
        for (const char *p = text; *p; p++) {
                if (dash < ELEMENTS(dash_after) && used == dash_after[dash]) {
                        if (*p != '-')
                                return -EINVAL;
                        dash++;
                        continue;
                }
                digits[used++] = *p;
        }
        digits[used] = 0;
        return hex_decode(digits, ret, UUID_SIZE);
}

int uuid_random(uint8_t ret[static UUID_SIZE])
{
        uint8_t uuid[UUID_SIZE];

        if (getrandom(uuid, sizeof(uuid), 0) != (ssize_t)sizeof(uuid))
                return errno ? -errno : -EIO;
        uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
        uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
        memcpy(ret, uuid, sizeof(uuid));
        return 0;
}

bool uuid_is_nil(const uint8_t uuid[static UUID_SIZE])
{
        static const uint8_t nil[UUID_SIZE];

        return memcmp(uuid, nil, UUID_SIZE) == 0;
}
