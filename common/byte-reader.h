/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading hostile bytes front to back, and the variable-length integers that our binary formats use.
 *
 * A varint is 1 to 10 bytes, seven bits a byte, lowest first; the top bit says that another byte follows.
 * Each number has one spelling only: a last byte of zero (unless it is the first) and bits beyond 64 are
 * refused. A signed varint folds the sign into the lowest bit: 0, -1, 1, -2 are 0, 1, 2, 3. */

#include "buffer.h"

/* Borrows the bytes from `next` up to but not including `end`. */
typedef struct ByteReader {
        const uint8_t *next, *end;
} ByteReader;

#define BYTE_READER(data, size) ((ByteReader){ (data), (data) + (size) })

static inline size_t reader_left(const ByteReader *reader)
{
        return (size_t)(reader->end - reader->next);
}

/* Each returns -EBADMSG, and leaves *ret alone, when the bytes end too early or are malformed. */
int reader_byte(ByteReader *reader, uint8_t *ret);
int reader_varint(ByteReader *reader, uint64_t *ret);
int reader_signed_varint(ByteReader *reader, int64_t *ret);
/* Points *ret at the next `size` bytes and passes them. */
int reader_bytes(ByteReader *reader, size_t size, const uint8_t **ret);

/* As buffer_append(). */
int buffer_append_varint(Buffer *buffer, uint64_t value);
int buffer_append_signed_varint(Buffer *buffer, int64_t value);
