/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"

#include "bytes.h"

#include <stdarg.h>
#include <string.h>

int buffer_reserve(Buffer *buffer, size_t size)
{
        size_t wanted, capacity;
        uint8_t *data;

        if (ADD_OVERFLOWS(buffer->size, size, &wanted) || wanted > buffer->cap)
                return -E2BIG;
        if (buffer->data && wanted <= buffer->capacity)
                return 0;
        capacity = MAX_OF(buffer->capacity, (size_t)64);
        while (capacity < wanted)
                capacity = capacity > buffer->cap / 2 ? buffer->cap : capacity * 2;
        capacity = MAX_OF(capacity, wanted);
        data = realloc(buffer->data, capacity + 1);
        if (!data)
                return -ENOMEM;
        data[buffer->size] = 0;
        buffer->data = data;
        buffer->capacity = capacity;
        return 0;
}

int buffer_append(Buffer *buffer, const void *data, size_t size)
{
        int r = buffer_reserve(buffer, size);

        if (r < 0)
                return r;
        if (size > 0)
                memcpy(buffer->data + buffer->size, data, size);
        buffer->size += size;
        buffer->data[buffer->size] = 0;
        return 0;
}

int buffer_append_string(Buffer *buffer, const char *text)
{
        return buffer_append(buffer, text, strlen(text));
}

int buffer_append_byte(Buffer *buffer, uint8_t byte)
{
        return buffer_append(buffer, &byte, 1);
}

int buffer_append_zeros(Buffer *buffer, size_t size)
{
        int r = buffer_reserve(buffer, size);

        if (r < 0)
                return r;
        memset(buffer->data + buffer->size, 0, size + 1);
        buffer->size += size;
        return 0;
}

int buffer_printf(Buffer *buffer, const char *format, ...)
{
        va_list arguments;
        int length, r;

        va_start(arguments, format);
        length = vsnprintf(NULL, 0, format, arguments);
        va_end(arguments);
        if (length < 0)
                return -EINVAL;
        r = buffer_reserve(buffer, (size_t)length);
        if (r < 0)
                return r;
        va_start(arguments, format);
        (void)vsnprintf((char *)buffer->data + buffer->size, (size_t)length + 1, format, arguments);
        va_end(arguments);
        buffer->size += (size_t)length;
        return 0;
}

int buffer_append_u16(Buffer *buffer, uint16_t value)
{
        uint8_t raw[2];

        write_le16(raw, value);
        return buffer_append(buffer, raw, sizeof(raw));
}

int buffer_append_u32(Buffer *buffer, uint32_t value)
{
        uint8_t raw[4];

        write_le32(raw, value);
        return buffer_append(buffer, raw, sizeof(raw));
}

int buffer_append_u64(Buffer *buffer, uint64_t value)
{
        uint8_t raw[8];

        write_le64(raw, value);
        return buffer_append(buffer, raw, sizeof(raw));
}

void buffer_clear(Buffer *buffer)
{
        buffer->size = 0;
        if (buffer->data)
                buffer->data[0] = 0;
}

char *buffer_take(Buffer *buffer, size_t *ret_size)
{
        char *data;

        if (!buffer->data && buffer_reserve(buffer, 0) < 0)
                return NULL;
        data = (char *)buffer->data;
        if (ret_size)
                *ret_size = buffer->size;
        *buffer = BUFFER_WITH_CAP(buffer->cap);
        return data;
}

void buffer_done(Buffer *buffer)
{
        free(buffer->data);
        *buffer = BUFFER_WITH_CAP(buffer->cap);
}
