/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Byte accessors for on-disk integers: no alignment needed, no cast, bounds are the caller's. */

#include "macro.h"

static inline uint16_t read_le16(const uint8_t *p)
{
        return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t read_le32(const uint8_t *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t read_le64(const uint8_t *p)
{
        return (uint64_t)read_le32(p) | (uint64_t)read_le32(p + 4) << 32;
}

static inline void write_le16(uint8_t *p, uint16_t value)
{
        p[0] = (uint8_t)value;
        p[1] = (uint8_t)(value >> 8);
}

static inline void write_le32(uint8_t *p, uint32_t value)
{
        write_le16(p, (uint16_t)value);
        write_le16(p + 2, (uint16_t)(value >> 16));
}

static inline void write_le64(uint8_t *p, uint64_t value)
{
        write_le32(p, (uint32_t)value);
        write_le32(p + 4, (uint32_t)(value >> 32));
}
