/* SPDX-License-Identifier: Apache-2.0 */
#include "xml-text.h"

#include <string.h>

/* Bytes of the character at `text`, or 0 when it is none that XML may hold. */
static size_t character_size(const uint8_t *text, size_t size)
{
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t length = text[0] < 0x80   ? 1
                        : text[0] < 0xc0 ? 0
                        : text[0] < 0xe0 ? 2
                        : text[0] < 0xf0 ? 3
                                         : 4;
        uint32_t code = text[0];

        if (length == 1)
                return code >= 0x20 || code == '\t' || code == '\n' ? 1 : 0;
        if (length == 0 || length > size || text[0] > 0xf4)
                return 0;
        code &= 0x7fU >> length;
        for (size_t i = 1; i < length; i++) {
                if ((text[i] & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (text[i] & 0x3f);
        }
        if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ||
                        code == 0xfffe || code == 0xffff)
                return 0;
        return length;
}

/* Length of a control sequence (ECMA-48, 5.4) at `text`; 0: there is none. */
static size_t sequence_size(const uint8_t *text, size_t size)
{
        size_t i = 2;

        if (size < 3 || text[0] != 0x1b || text[1] != '[')
                return 0;
        while (i < size && text[i] >= 0x20 && text[i] < 0x40)
                i++;
        return i < size && text[i] >= 0x40 && text[i] < 0x7f ? i + 1 : 0;
}

static const char *entity(uint8_t byte)
{
        switch (byte) {
        case '<':
                return "&lt;";
        case '>':
                return "&gt;";
        case '&':
                return "&amp;";
        case '"':
                return "&quot;";
        default:
                return NULL;
        }
}

int xml_append(Buffer *buffer, const void *text, size_t size)
{
        const uint8_t *at = text;
        int r = 0;

        while (r >= 0 && size > 0) {
                size_t length = sequence_size(at, size);

                if (length == 0 && *at == '\r') {
                        length = 1;
                } else if (length == 0 && entity(*at)) {
                        length = 1;
                        r = buffer_append_string(buffer, entity(*at));
                } else if (length == 0) {
                        length = character_size(at, size);
                        r = length > 0 ? buffer_append(buffer, at, length) : buffer_append_byte(buffer, '?');
                        length = MAX_OF(length, (size_t)1);
                }
                at += length;
                size -= length;
        }
        return r;
}

int xml_append_string(Buffer *buffer, const char *text)
{
        return xml_append(buffer, text, strlen(text));
}
