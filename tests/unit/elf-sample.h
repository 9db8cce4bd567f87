/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Small ELF files made by hand: sections one after the other, 16 bytes aligned, then names and section
 * table. What is inserted in the first section moves all that follows. */

#include "buffer.h"
#include "bytes.h"

#include <elf.h>
#include <string.h>

#define SAMPLE_SECTIONS_MAX 24

typedef struct SampleSection {
        const char *name;
        uint32_t type, link, info;
        uint64_t flags, offset;
        Buffer bytes;
} SampleSection;

typedef struct SampleElf {
        uint16_t type, machine;
        uint64_t address; /* of the file's first byte; 0 for files that are not linked */
        SampleSection sections[SAMPLE_SECTIONS_MAX];
        size_t count; /* the first is the empty one */
        Buffer tail;  /* behind all else */
} SampleElf;

static inline SampleElf sample_elf(uint16_t type, uint64_t address)
{
        return (SampleElf){ .type = type,
                .machine = EM_X86_64,
                .address = address,
                .count = 1,
                .tail = BUFFER_WITH_CAP(4 * MIB) };
}

/* Adds a section of `size` zero bytes and returns its number. Sizes must be settled before offsets are asked
 * for, so contents are filled in afterwards. */
static inline uint32_t sample_section(
                SampleElf *elf, const char *name, uint32_t type, uint64_t flags, size_t size)
{
        SampleSection *section = &elf->sections[elf->count];

        *section = (SampleSection){ .name = name, .type = type, .flags = flags };
        section->bytes = BUFFER_WITH_CAP(4 * MIB);
        if (buffer_append_zeros(&section->bytes, size) < 0)
                abort();
        return (uint32_t)elf->count++;
}

static inline void sample_layout(SampleElf *elf)
{
        uint64_t at = 64;

        for (size_t i = 1; i < elf->count; i++) {
                elf->sections[i].offset = at;
                at += (elf->sections[i].bytes.size + 15) & ~UINT64_C(15);
        }
}

static inline uint8_t *sample_bytes(SampleElf *elf, uint32_t section)
{
        return elf->sections[section].bytes.data;
}

static inline uint64_t sample_address(const SampleElf *elf, uint32_t section)
{
        return elf->address + elf->sections[section].offset;
}

static inline void sample_header(const SampleElf *elf, uint8_t *p, uint64_t sections_at)
{
        memcpy(p, "\177ELF\2\1\1", 7);
        write_le16(p + 16, elf->type);
        write_le16(p + 18, elf->machine);
        write_le32(p + 20, 1);
        write_le64(p + 24, elf->type == ET_EXEC ? 0x1000 : 0);
        write_le64(p + 40, sections_at);
        write_le16(p + 52, 64);
        write_le16(p + 54, 56);
        write_le16(p + 58, 64);
        write_le16(p + 60, (uint16_t)(elf->count + 1));
        write_le16(p + 62, (uint16_t)elf->count);
}

static inline void sample_row(
                const SampleElf *elf, uint8_t *p, const SampleSection *section, uint32_t name_at)
{
        write_le32(p, name_at);
        write_le32(p + 4, section->type);
        write_le64(p + 8, section->flags);
        write_le64(p + 16, section->flags & SHF_ALLOC && elf->address ? elf->address + section->offset : 0);
        write_le64(p + 24, section->offset);
        write_le64(p + 32, section->bytes.size);
        write_le32(p + 40, section->link);
        write_le32(p + 44, section->info);
        write_le64(p + 48, 16);
}

/* The whole file; frees the sections. */
static inline void sample_finish(SampleElf *elf, Buffer *ret)
{
        uint8_t row[64] = { 0 };
        SampleSection names = { .name = ".shstrtab", .type = SHT_STRTAB };
        uint32_t name_at[SAMPLE_SECTIONS_MAX + 1] = { 0 };
        uint64_t at = 64;

        names.bytes = BUFFER_WITH_CAP(64 * KIB);
        (void)buffer_append_zeros(&names.bytes, 1);
        for (size_t i = 1; i <= elf->count; i++) {
                const char *name = i < elf->count ? elf->sections[i].name : names.name;

                name_at[i] = (uint32_t)names.bytes.size;
                (void)buffer_append(&names.bytes, name, strlen(name) + 1);
        }
        (void)buffer_append_zeros(ret, 64);
        for (size_t i = 1; i < elf->count; i++) {
                (void)buffer_append_zeros(ret, elf->sections[i].offset - at);
                (void)buffer_append(ret, elf->sections[i].bytes.data, elf->sections[i].bytes.size);
                at = elf->sections[i].offset + elf->sections[i].bytes.size;
        }
        (void)buffer_append_zeros(ret, (16 - ret->size % 16) % 16);
        names.offset = ret->size;
        (void)buffer_append(ret, names.bytes.data, names.bytes.size);
        (void)buffer_append_zeros(ret, (16 - ret->size % 16) % 16);
        sample_header(elf, ret->data, ret->size);
        (void)buffer_append(ret, row, sizeof(row));
        for (size_t i = 1; i <= elf->count; i++) {
                sample_row(elf, row, i < elf->count ? &elf->sections[i] : &names, name_at[i]);
                (void)buffer_append(ret, row, sizeof(row));
                if (i < elf->count)
                        buffer_done(&elf->sections[i].bytes);
        }
        (void)buffer_append(ret, elf->tail.data, elf->tail.size);
        buffer_done(&names.bytes);
        buffer_done(&elf->tail);
}
