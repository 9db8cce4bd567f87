/* SPDX-License-Identifier: Apache-2.0 */
#include "byte-reader.h"

#define VARINT_MAX 10 /* bytes */

int reader_byte(ByteReader *reader, uint8_t *ret)
{
        if (reader->next == reader->end)
                return -EBADMSG;
        *ret = *reader->next++;
        return 0;
}

int reader_varint(ByteReader *reader, uint64_t *ret)
{
        uint64_t value = 0;

        for (unsigned i = 0; i < VARINT_MAX; i++) {
                uint8_t byte;

                if (reader_byte(reader, &byte) < 0)
                        return -EBADMSG;
                if (i == VARINT_MAX - 1 && byte > 1)
                        return -EBADMSG;
                value |= (uint64_t)(byte & 0x7f) << (7 * i);
                if (byte & 0x80)
                        continue;
                if (byte == 0 && i > 0)
                        return -EBADMSG;
                *ret = value;
                return 0;
        }
        return -EBADMSG;
}

int reader_signed_varint(ByteReader *reader, int64_t *ret)
{
        uint64_t folded;

        if (reader_varint(reader, &folded) < 0)
                return -EBADMSG;
        *ret = (int64_t)((folded >> 1) ^ (0 - (folded & 1)));
        return 0;
}

int reader_bytes(ByteReader *reader, size_t size, const uint8_t **ret)
{
        if (reader_left(reader) < size)
                return -EBADMSG;
        *ret = reader->next;
        reader->next += size;
        return 0;
}

int buffer_append_varint(Buffer *buffer, uint64_t value)
{
        uint8_t bytes[VARINT_MAX];
        size_t size = 0;

        do {
                bytes[size++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
                value >>= 7;
        } while (value > 0);
        return buffer_append(buffer, bytes, size);
}

int buffer_append_signed_varint(Buffer *buffer, int64_t value)
{
        return buffer_append_varint(buffer, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}
