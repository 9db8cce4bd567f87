/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-elf.h"

#include "bytes.h"

#include <elf.h>
#include <string.h>

bool patch_section_has_bytes(const PatchSection *section)
{
        return section->type != SHT_NULL && section->type != SHT_NOBITS && section->size_bytes > 0;
}

void patch_elf_done(PatchElf *elf)
{
        free(elf->sections);
        free(elf->by_offset);
        free(elf->by_address);
        *elf = (PatchElf){ 0 };
}

static bool lies_within(uint64_t offset, uint64_t size, uint64_t end)
{
        return offset <= end && size <= end - offset;
}

/* The fixed header, as far as it is needed. */
static bool take_header(PatchElf *elf, const uint8_t *p)
{
        if (memcmp(p, ELFMAG, SELFMAG) != 0 || p[EI_CLASS] != ELFCLASS64 || p[EI_DATA] != ELFDATA2LSB)
                return false;
        elf->type = read_le16(p + 16);
        elf->machine = read_le16(p + 18);
        elf->entry = read_le64(p + 24);
        elf->programs_at = read_le64(p + 32);
        elf->sections_at = read_le64(p + 40);
        elf->program_count = read_le16(p + 56);
        elf->section_count = read_le16(p + 60);
        elf->names_index = read_le16(p + 62);
        return elf->section_count > 1 && elf->section_count <= PATCH_SECTIONS_MAX &&
               elf->names_index < elf->section_count && elf->program_count <= PATCH_PROGRAMS_MAX &&
               read_le16(p + 58) == PATCH_ELF_SECTION_SIZE &&
               lies_within(elf->sections_at, (uint64_t)elf->section_count * PATCH_ELF_SECTION_SIZE,
                               elf->file_size_bytes) &&
               lies_within(elf->programs_at, (uint64_t)elf->program_count * PATCH_ELF_PROGRAM_SIZE,
                               elf->file_size_bytes);
}

static bool take_section(const PatchElf *elf, PatchSection *section, const uint8_t *p)
{
        *section = (PatchSection){
                .name_at = read_le32(p),
                .type = read_le32(p + 4),
                .flags = read_le64(p + 8),
                .sh_address = read_le64(p + 16),
                .offset = read_le64(p + 24),
                .size_bytes = read_le64(p + 32),
                .link = read_le32(p + 40),
                .info = read_le32(p + 44),
                .align = read_le64(p + 48),
                .entry_size = read_le64(p + 56),
                .counterpart = PATCH_NO_SECTION,
        };
        return section->type == SHT_NOBITS || section->type == SHT_NULL ||
               lies_within(section->offset, section->size_bytes, elf->file_size_bytes);
}

static int read_sections(const PatchView *view, PatchElf *elf, Error *error)
{
        size_t size = (size_t)elf->section_count * PATCH_ELF_SECTION_SIZE;
        _cleanup_free_ uint8_t *table = malloc(size);
        int r;

        elf->sections = calloc(elf->section_count, sizeof(PatchSection));
        if (!table || !elf->sections)
                return error_oom(error);
        r = view->read(view->data, elf->sections_at, table, size, error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < elf->section_count; i++)
                if (!take_section(elf, &elf->sections[i], table + i * PATCH_ELF_SECTION_SIZE))
                        return 0;
        return 1;
}

static int read_names(const PatchView *view, PatchElf *elf, Error *error)
{
        const PatchSection *names = &elf->sections[elf->names_index];
        uint64_t size = names->type == SHT_STRTAB ? MIN_OF(names->size_bytes, 256 * KIB) : 0;
        _cleanup_free_ char *text = calloc(1, size + PATCH_NAME_MAX);
        int r;

        if (!text)
                return error_oom(error);
        r = size > 0 ? view->read(view->data, names->offset, text, size, error) : 0;
        if (r < 0)
                return r;
        for (size_t i = 0; i < elf->section_count; i++)
                if (elf->sections[i].name_at < size)
                        memccpy(elf->sections[i].name, text + elf->sections[i].name_at, 0,
                                        PATCH_NAME_MAX - 1);
        return 1;
}

static void assign_addresses(PatchElf *elf)
{
        uint64_t beyond = PATCH_PSEUDO_ADDRESS + elf->file_size_bytes;

        elf->end_bytes = MAX_OF(elf->sections_at + (uint64_t)elf->section_count * PATCH_ELF_SECTION_SIZE,
                        elf->programs_at + (uint64_t)elf->program_count * PATCH_ELF_PROGRAM_SIZE);
        for (size_t i = 0; i < elf->section_count; i++) {
                PatchSection *section = &elf->sections[i];

                if (section->type != SHT_NOBITS && section->type != SHT_NULL)
                        elf->end_bytes = MAX_OF(elf->end_bytes, section->offset + section->size_bytes);
                if (elf->type != ET_REL && section->flags & SHF_ALLOC) {
                        section->address = section->sh_address;
                } else if (section->type != SHT_NOBITS) {
                        section->address = PATCH_PSEUDO_ADDRESS + section->offset;
                } else {
                        section->address = beyond;
                        beyond += MIN_OF(section->size_bytes, GIB) + 1;
                }
        }
}

static bool is_loaded(const PatchElf *elf, const PatchSection *section)
{
        return section->type != SHT_NULL && section->size_bytes > 0 &&
               section->size_bytes <= UINT64_MAX - section->address &&
               !(elf->type != ET_REL && section->type == SHT_NOBITS && section->flags & SHF_TLS);
}

/* Insertion into a sorted list of indices; sections are few and nearly in order. */
static void insert_sorted(
                const PatchElf *elf, uint16_t *list, size_t *count, uint16_t index, bool by_address)
{
        const PatchSection *s = elf->sections;
        size_t at = (*count)++;

        while (at > 0 && (by_address ? s[list[at - 1]].address > s[index].address
                                     : s[list[at - 1]].offset > s[index].offset)) {
                list[at] = list[at - 1];
                at--;
        }
        list[at] = index;
}

int patch_elf_arrange(PatchElf *elf)
{
        assign_addresses(elf);
        elf->by_offset = calloc(elf->section_count, sizeof(uint16_t));
        elf->by_address = calloc(elf->section_count, sizeof(uint16_t));
        if (!elf->by_offset || !elf->by_address)
                return -ENOMEM;
        for (uint16_t i = 0; i < elf->section_count; i++) {
                if (patch_section_has_bytes(&elf->sections[i]))
                        insert_sorted(elf, elf->by_offset, &elf->by_offset_count, i, false);
                if (is_loaded(elf, &elf->sections[i]))
                        insert_sorted(elf, elf->by_address, &elf->by_address_count, i, true);
        }
        return 0;
}

static int read_all(const PatchView *view, PatchElf *elf, Error *error)
{
        uint8_t header[PATCH_ELF_HEADER_SIZE];
        int r;

        if (view->size_bytes < sizeof(header) || view->size_bytes > UINT32_MAX)
                return 0;
        elf->file_size_bytes = view->size_bytes;
        r = view->read(view->data, 0, header, sizeof(header), error);
        if (r < 0)
                return r;
        if (!take_header(elf, header))
                return 0;
        r = read_sections(view, elf, error);
        if (r <= 0)
                return r;
        r = read_names(view, elf, error);
        if (r < 0)
                return r;
        return patch_elf_arrange(elf) < 0 ? error_oom(error) : 1;
}

int patch_elf_read(const PatchView *view, PatchElf *ret, Error *error)
{
        PatchElf elf = { 0 };
        int r = read_all(view, &elf, error);

        if (r <= 0)
                patch_elf_done(&elf);
        else
                *ret = elf;
        return r;
}

uint16_t patch_elf_at_offset(const PatchElf *elf, uint64_t offset, size_t *hint)
{
        size_t low = 0, high = elf->by_offset_count;

        if (*hint < high) {
                const PatchSection *last = &elf->sections[elf->by_offset[*hint]];

                if (offset >= last->offset && offset - last->offset < last->size_bytes)
                        return elf->by_offset[*hint];
        }
        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (elf->sections[elf->by_offset[middle]].offset <= offset)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low == 0)
                return PATCH_NO_SECTION;
        *hint = low - 1;
        return offset - elf->sections[elf->by_offset[low - 1]].offset <
                                               elf->sections[elf->by_offset[low - 1]].size_bytes
                               ? elf->by_offset[low - 1]
                               : PATCH_NO_SECTION;
}

uint16_t patch_elf_at_address(const PatchElf *elf, uint64_t address, size_t *hint)
{
        size_t low = 0, high = elf->by_address_count;

        if (*hint < high) {
                const PatchSection *last = &elf->sections[elf->by_address[*hint]];

                if (address >= last->address && address - last->address < last->size_bytes)
                        return elf->by_address[*hint];
        }
        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (elf->sections[elf->by_address[middle]].address <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low == 0)
                return PATCH_NO_SECTION;
        *hint = low - 1;
        return address - elf->sections[elf->by_address[low - 1]].address <=
                                               elf->sections[elf->by_address[low - 1]].size_bytes
                               ? elf->by_address[low - 1]
                               : PATCH_NO_SECTION;
}
