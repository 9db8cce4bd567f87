/* SPDX-License-Identifier: Apache-2.0 */
#include "printable.h"

#include "macro.h"

#include <string.h>

/* Bytes of the letter that begins here (The Unicode Standard 15.0, table 3-7, surrogates let through); 0
 * when none does. */
static size_t letter_size(const uint8_t *text)
{
        uint8_t first = text[0];
        size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

        if (first > 0xf4 || (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90) ||
                        (first == 0xf4 && text[1] > 0x8f))
                return 0;
        for (size_t i = 1; i < size; i++)
                if ((text[i] & 0xc0) != 0x80)
                        return 0;
        return size;
}

static bool is_control(const uint8_t *letter)
{
        return letter[0] < 0x20 || letter[0] == 0x7f || (letter[0] == 0xc2 && letter[1] < 0xa0);
}

void printable_make(char *text)
{
        uint8_t *at = (uint8_t *)text;

        while (*at) {
                size_t size = letter_size(at);

                if (size == 0 || is_control(at))
                        memset(at, '?', MAX_OF(size, (size_t)1));
                at += MAX_OF(size, (size_t)1);
        }
}

char *printable_copy(const char *text)
{
        char *copy = strdup(text);

        if (copy)
                printable_make(copy);
        return copy;
}

size_t printable_length(const char *text, size_t max_bytes)
{
        size_t length = strnlen(text, max_bytes + 1);

        if (length <= max_bytes)
                return length;
        for (length = max_bytes; length > 0 && ((uint8_t)text[length] & 0xc0) == 0x80;)
                length--;
        return length;
}
