/* SPDX-License-Identifier: Apache-2.0 */
#include "hex.h"

#include <string.h>

void hex_encode(const void *data, size_t size, char *ret)
{
        static const char digits[] = "0123456789abcdef";
        const uint8_t *bytes = data;

        for (size_t i = 0; i < size; i++) {
                *ret++ = digits[bytes[i] >> 4];
                *ret++ = digits[bytes[i] & 15];
        }
        *ret = 0;
}

static int digit_value(char digit)
{
        if (digit >= '0' && digit <= '9')
                return digit - '0';
        if (digit >= 'a' && digit <= 'f')
                return digit - 'a' + 10;
        if (digit >= 'A' && digit <= 'F')
                return digit - 'A' + 10;
        return -1;
}

int hex_decode(const char *text, void *ret, size_t size)
{
        uint8_t *bytes = ret;

        if (strlen(text) != size * 2)
                return -EINVAL;
        for (size_t i = 0; i < size * 2; i++)
                if (digit_value(text[i]) < 0)
                        return -EINVAL;
        for (size_t i = 0; i < size; i++)
                bytes[i] = (uint8_t)(digit_value(text[2 * i]) << 4 | digit_value(text[2 * i + 1]));
        return 0;
}
