/* SPDX-License-Identifier: Apache-2.0 */
#include "uki.h"

#include "bytes.h"

#include <string.h>

/* Offsets in the PE headers (Microsoft, PE Format). */
#define DOS_PE_OFFSET 0x3c
#define COFF_SIZE 24 /* with the signature */
#define COFF_MACHINE 4
#define COFF_SECTION_COUNT 6
#define COFF_SYMBOLS_OFFSET 12
#define COFF_SYMBOLS_COUNT 16
#define COFF_OPTIONAL_SIZE 20
#define OPTIONAL_MAGIC_PLUS 0x20b
#define OPTIONAL_INITIALIZED_DATA 8
#define OPTIONAL_SECTION_ALIGNMENT 32
#define OPTIONAL_IMAGE_SIZE 56
#define OPTIONAL_HEADERS_SIZE 60
#define OPTIONAL_CHECKSUM 64
#define OPTIONAL_CERTIFICATES 144 /* data directory 4 */
#define OPTIONAL_SIZE_MIN 152
#define SECTION_SIZE 40
#define SECTION_VIRTUAL_SIZE 8
#define SECTION_VIRTUAL_ADDRESS 12
#define SECTION_RAW_SIZE 16
#define SECTION_RAW_OFFSET 20
#define SECTION_FLAGS 36
#define SECTION_DATA_READABLE 0x40000040U

#define ALIGNMENT 4096
#define SECTIONS_MAX 96

typedef struct Pe {
        size_t coff;     /* offset of the signature */
        size_t optional; /* of the optional header */
        size_t table;    /* of the section table */
        unsigned section_count;
        uint64_t file_end, memory_end; /* after the last section */
} Pe;

static uint64_t align_up(uint64_t value)
{
        return (value + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static int bad(const char *what, Error *error)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "the EFI stub cannot be used: %s", what);
}

/* The sections that are there lie in the file one after the other; where the last ends in memory. A gap is
 * refused because firmware and signing tools do not agree on how to hash one. */
static int check_sections(const uint8_t *data, size_t size, Pe *pe, Error *error)
{
        for (unsigned i = 0; i < pe->section_count; i++) {
                const uint8_t *section = data + pe->table + (size_t)i * SECTION_SIZE;
                uint64_t raw_offset = read_le32(section + SECTION_RAW_OFFSET);
                uint64_t memory_end = (uint64_t)read_le32(section + SECTION_VIRTUAL_ADDRESS) +
                                      read_le32(section + SECTION_VIRTUAL_SIZE);

                if (raw_offset != pe->file_end)
                        return bad("there are gaps between its sections", error);
                pe->file_end = raw_offset + read_le32(section + SECTION_RAW_SIZE);
                if (pe->file_end > size)
                        return bad("a section lies beyond its end", error);
                pe->memory_end = MAX_OF(pe->memory_end, memory_end);
        }
        return 0;
}

static int read_headers(const uint8_t *data, size_t size, Pe *ret, Error *error)
{
        Pe pe = { 0 };
        uint16_t optional_size;

        if (size < 64 || memcmp(data, "MZ", 2) != 0)
                return bad("it is no PE file", error);
        pe.coff = read_le32(data + DOS_PE_OFFSET);
        if (pe.coff > size || size - pe.coff < COFF_SIZE + OPTIONAL_SIZE_MIN ||
                        memcmp(data + pe.coff, "PE\0\0", 4) != 0)
                return bad("it is no PE file", error);
        pe.section_count = read_le16(data + pe.coff + COFF_SECTION_COUNT);
        optional_size = read_le16(data + pe.coff + COFF_OPTIONAL_SIZE);
        pe.optional = pe.coff + COFF_SIZE;
        pe.table = pe.optional + optional_size;
        if (optional_size < OPTIONAL_SIZE_MIN || read_le16(data + pe.optional) != OPTIONAL_MAGIC_PLUS)
                return bad("it is not a 64-bit program", error);
        if (pe.section_count == 0 || pe.section_count > SECTIONS_MAX || pe.table > size ||
                        (size - pe.table) / SECTION_SIZE < pe.section_count)
                return bad("its section table is damaged", error);
        if (read_le32(data + pe.optional + OPTIONAL_SECTION_ALIGNMENT) > ALIGNMENT)
                return bad("its sections are aligned to more than 4 KiB", error);
        if (read_le32(data + pe.optional + OPTIONAL_CERTIFICATES) != 0)
                return bad("it is signed already", error);
        pe.file_end = read_le32(data + pe.optional + OPTIONAL_HEADERS_SIZE);
        if (check_sections(data, size, &pe, error) < 0)
                return -EBADMSG;
        *ret = pe;
        return 0;
}

typedef struct Section {
        const char *name;
        const void *data;
        size_t size;
} Section;

/* Appends the bytes of one section and fills its header. */
static int add_section(Buffer *out, Pe *pe, const Section *section, Error *error)
{
        uint64_t offset = out->size, address = align_up(pe->memory_end);
        size_t header = pe->table + (size_t)pe->section_count * SECTION_SIZE;
        uint8_t *p;
        int r;

        if (section->size > UKI_MAX || address + section->size > UINT32_MAX)
                return error_set(error, ERROR_NO_SPACE, E2BIG, "the section %s is too large", section->name);
        r = buffer_append(out, section->data, section->size);
        if (r >= 0)
                r = buffer_append_zeros(out, align_up(section->size) - section->size);
        if (r < 0)
                return error_set(error, ERROR_NO_SPACE, -r, "the kernel image would be larger than %llu MiB",
                                (unsigned long long)(UKI_MAX / MIB));
        p = out->data + header;
        memset(p, 0, SECTION_SIZE);
        memcpy(p, section->name, strnlen(section->name, 8));
        write_le32(p + SECTION_VIRTUAL_SIZE, (uint32_t)section->size);
        write_le32(p + SECTION_VIRTUAL_ADDRESS, (uint32_t)address);
        write_le32(p + SECTION_RAW_SIZE, (uint32_t)align_up(section->size));
        write_le32(p + SECTION_RAW_OFFSET, (uint32_t)offset);
        write_le32(p + SECTION_FLAGS, SECTION_DATA_READABLE);
        pe->section_count++;
        pe->memory_end = address + section->size;
        return 0;
}

/* The stub as far as its last section, which grows so that what follows is aligned: without symbols, and
 * without a gap. */
static int add_stub(Buffer *out, const UkiParts *parts, const Pe *pe)
{
        size_t last = pe->table + (size_t)(pe->section_count - 1) * SECTION_SIZE + SECTION_RAW_SIZE;
        size_t padding = align_up(pe->file_end) - pe->file_end;
        int r = buffer_append(out, parts->stub, pe->file_end);

        if (r >= 0)
                r = buffer_append_zeros(out, padding);
        if (r < 0)
                return r;
        write_le32(out->data + last, read_le32(out->data + last) + (uint32_t)padding);
        write_le32(out->data + pe->coff + COFF_SYMBOLS_OFFSET, 0);
        write_le32(out->data + pe->coff + COFF_SYMBOLS_COUNT, 0);
        return 0;
}

static void finish_headers(Buffer *out, const Pe *pe, uint64_t added)
{
        uint8_t *optional = out->data + pe->optional;

        write_le16(out->data + pe->coff + COFF_SECTION_COUNT, (uint16_t)pe->section_count);
        write_le32(optional + OPTIONAL_IMAGE_SIZE, (uint32_t)align_up(pe->memory_end));
        write_le32(optional + OPTIONAL_INITIALIZED_DATA,
                        read_le32(optional + OPTIONAL_INITIALIZED_DATA) + (uint32_t)added);
        /* Firmware does not look at the checksum of programs, and a signature changes it anyway. */
        write_le32(optional + OPTIONAL_CHECKSUM, 0);
}

static size_t text_size(const char *text)
{
        return text ? strlen(text) : 0;
}

int uki_write(const UkiParts *parts, Buffer *ret, Error *error)
{
        const Section sections[] = {
                { ".osrel", parts->osrel, parts->osrel_size },
                { ".cmdline", parts->cmdline, parts->cmdline_size },
                { ".uname", parts->release, text_size(parts->release) },
                { ".pcrsig", parts->pcr_signature, text_size(parts->pcr_signature) },
                { ".pcrpkey", parts->pcr_public_key, text_size(parts->pcr_public_key) },
                { ".initrd", parts->initrd, parts->initrd_size },
                { ".linux", parts->kernel, parts->kernel_size },
        };
        size_t added = 0;
        uint64_t headers_end;
        Pe pe = { 0 };
        int r = read_headers(parts->stub, parts->stub_size, &pe, error);

        if (r < 0)
                return r;
        headers_end = pe.table + (pe.section_count + ELEMENTS(sections)) * SECTION_SIZE;
        if (headers_end > read_le32((const uint8_t *)parts->stub + pe.optional + OPTIONAL_HEADERS_SIZE))
                return bad("its headers have no room for more sections", error);
        if (add_stub(ret, parts, &pe) < 0)
                return error_oom(error);
        for (size_t i = 0; i < ELEMENTS(sections); i++) {
                if (sections[i].size == 0)
                        continue;
                r = add_section(ret, &pe, &sections[i], error);
                if (r < 0)
                        return r;
                added += align_up(sections[i].size);
        }
        finish_headers(ret, &pe, added);
        return 0;
}
