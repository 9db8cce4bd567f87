/* SPDX-License-Identifier: Apache-2.0 */
#include "x86-filter.h"

#include "bytes.h"

#include <string.h>

#define LOOKAHEAD 9
#define EVERY_BYTE UINT64_C(0x0101010101010101)
#define LOW_BITS (EVERY_BYTE * 0x7f)
#define HIGH_BITS (EVERY_BYTE * 0x80)

size_t x86_part_size(size_t size)
{
        size_t part = 256 * KIB;

        while (size / part > X86_PARTS_MAX - 1 && size > part * X86_PARTS_MAX)
                part *= 2;
        return part;
}

/* The high bit of each byte that is zero. */
static uint64_t zero_bytes(uint64_t v)
{
        return ~(((v & LOW_BITS) + LOW_BITS) | v) & HIGH_BITS;
}

static uint64_t load(const uint8_t *p)
{
        uint64_t v;

        memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        v = __builtin_bswap64(v);
#endif
        return v;
}

static uint32_t filter_field(int64_t distance, int64_t end, int64_t size)
{
        if (distance == 0 || distance < -end || distance >= size)
                return (uint32_t)distance;
        /* 0 stays, so what would become 0 takes what 0 would become. */
        distance = distance == -end ? 0 : distance;
        return (uint32_t)(distance < size - end ? distance + end : distance - size);
}

static uint32_t unfilter_field(int64_t place, int64_t end, int64_t size)
{
        int64_t distance;

        if (place == 0 || place < -end || place >= size)
                return (uint32_t)place;
        distance = place < 0 ? place + size : place - end;
        return (uint32_t)(distance == 0 ? -end : distance);
}

typedef struct Candidates {
        uint64_t branches, operands; /* the high bit of each of 8 bytes */
} Candidates;

static inline Candidates find_candidates(const uint8_t *p)
{
        uint64_t bytes = load(p), next = load(p + 1);

        return (Candidates){ zero_bytes((bytes & (EVERY_BYTE * 0xfe)) ^ (EVERY_BYTE * 0xe8)),
                zero_bytes((bytes & (EVERY_BYTE * 0xf0)) ^ (EVERY_BYTE * 0x80)) &
                                zero_bytes((next & (EVERY_BYTE * 0xc7)) ^ (EVERY_BYTE * 0x05)) };
}

typedef uint32_t Change(int64_t value, int64_t end, int64_t size);

/* Inlined with its last argument, or it takes twice the time. */
static inline __attribute__((always_inline)) void run(
                uint8_t *bytes, size_t at, size_t part_end, size_t size, Change *change)
{
        while (at + LOOKAHEAD <= part_end) {
                Candidates found = find_candidates(bytes + at);
                uint64_t first = found.branches | found.operands;
                size_t begin;

                if (first == 0) {
                        at += 8;
                        continue;
                }
                first &= ~first + 1;
                begin = at + (size_t)__builtin_ctzll(first) / 8;
                if (begin + LOOKAHEAD > part_end)
                        return;
                at = begin + (found.branches & first ? 5 : 6);
                write_le32(bytes + at - 4,
                                change((int32_t)read_le32(bytes + at - 4), (int64_t)at, (int64_t)size));
        }
}

static inline __attribute__((always_inline)) void run_parts(
                uint8_t *bytes, size_t size, uint64_t parts, Change *change)
{
        size_t part = x86_part_size(size);

        for (size_t at = 0; at < size; at += part, parts >>= 1)
                if (parts & 1)
                        run(bytes, at, MIN_OF(size, at + part), size, change);
}

void x86_filter(uint8_t *bytes, size_t size, uint64_t parts)
{
        run_parts(bytes, size, parts, filter_field);
}

void x86_unfilter(uint8_t *bytes, size_t size, uint64_t parts)
{
        run_parts(bytes, size, parts, unfilter_field);
}
