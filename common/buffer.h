/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A growing byte buffer with a cap that is stated when it is made. Growth past the cap is -E2BIG, never
 * an allocation of what hostile input asked for. `data` is always followed by a NUL byte that is not
 * counted in `size`, so a Buffer that holds text can be used as a string. The owner calls buffer_done(). */

#include "macro.h"

typedef struct Buffer {
        uint8_t *data;   /* owned; NULL while empty */
        size_t size;     /* bytes in use */
        size_t capacity; /* bytes allocated, less the NUL */
        size_t cap;      /* upper bound for size */
} Buffer;

#define BUFFER_WITH_CAP(bytes) ((Buffer){ .cap = (bytes) })

/* 0, -E2BIG past the cap, -ENOMEM. On error the content is unchanged. */
int buffer_append(Buffer *buffer, const void *data, size_t size);
int buffer_append_string(Buffer *buffer, const char *text);
int buffer_append_byte(Buffer *buffer, uint8_t byte);
int buffer_append_zeros(Buffer *buffer, size_t size);
int buffer_printf(Buffer *buffer, const char *format, ...) _printf_(2, 3);

/* Little-endian integers. */
int buffer_append_u16(Buffer *buffer, uint16_t value);
int buffer_append_u32(Buffer *buffer, uint32_t value);
int buffer_append_u64(Buffer *buffer, uint64_t value);

/* Makes room for `size` more bytes without using them. */
int buffer_reserve(Buffer *buffer, size_t size);

/* Empties the buffer but keeps its memory. */
void buffer_clear(Buffer *buffer);

/* Hands the bytes (NUL-terminated, never NULL unless out of memory) to the caller, who frees them. */
char *buffer_take(Buffer *buffer, size_t *ret_size);

/* Frees the memory; the buffer can be used again. */
void buffer_done(Buffer *buffer);

#define _cleanup_buffer_ _cleanup_(buffer_done)
