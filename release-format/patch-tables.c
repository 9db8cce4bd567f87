/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-walk.h"

#include "bytes.h"

#include <elf.h>
#include <string.h>

/* Tables of linked programs whose entries have a fixed size. */

static PatchReference reference_at(
                const PatchScan *scan, size_t at, uint8_t width, PatchKind kind, PatchRule rule)
{
        const uint8_t *p = scan->bytes + at;

        return (PatchReference){
                .value = width == 8   ? read_le64(p)
                         : width == 4 ? read_le32(p)
                                      : read_le16(p),
                .old_offset = (uint32_t)(scan->at + at),
                .section = scan->region->section,
                .width = width,
                .kind = (uint8_t)kind,
                .rule = (uint8_t)rule,
        };
}

static void add(PatchFields *fields, const PatchScan *scan, size_t at, uint8_t width, PatchKind kind,
                PatchRule rule)
{
        PatchReference reference = reference_at(scan, at, width, kind, rule);

        patch_walk_add(fields, &reference);
}

static void add_in_section(PatchFields *fields, const PatchScan *scan, size_t at, uint8_t width,
                PatchKind kind, PatchRule rule, uint32_t section)
{
        PatchReference reference = reference_at(scan, at, width, kind, rule);

        if (section >= fields->old_elf.section_count)
                return;
        reference.section = (uint16_t)section;
        patch_walk_add(fields, &reference);
}

static void add_given(PatchFields *fields, const PatchScan *scan, size_t at, uint8_t width, uint64_t given)
{
        PatchReference reference = reference_at(scan, at, width, PATCH_KIND_HEADER, PATCH_RULE_GIVEN);

        reference.start = given;
        patch_walk_add(fields, &reference);
}

static bool is_address(PatchFields *fields, uint64_t value)
{
        return value >= 0x200 && patch_walk_section_at(fields, value) != PATCH_NO_SECTION;
}

/* Elf64_Rela: where, symbol and type, addend. */
size_t patch_scan_rela(PatchFields *fields, const PatchScan *scan)
{
        const PatchSection *section = &fields->old_elf.sections[scan->region->section];
        size_t at = 0;

        for (; at < scan->limit && at + PATCH_ELF_RELA_SIZE <= scan->available; at += PATCH_ELF_RELA_SIZE) {
                const uint8_t *p = scan->bytes + at;

                if (is_address(fields, read_le64(p)))
                        add(fields, scan, at, 8, PATCH_KIND_LOCATION, PATCH_RULE_ABSOLUTE);
                if (read_le32(p + 12) > 0)
                        add_in_section(fields, scan, at + 12, 4, PATCH_KIND_SYMBOL, PATCH_RULE_INDEX,
                                        section->link);
                if (is_address(fields, read_le64(p + 16)))
                        add(fields, scan, at + 16, 8, PATCH_KIND_POINTER, PATCH_RULE_ABSOLUTE);
        }
        return at;
}

size_t patch_scan_pointers(PatchFields *fields, const PatchScan *scan)
{
        const PatchSection *section = &fields->old_elf.sections[scan->region->section];
        size_t at = 0;

        for (; at < scan->limit && at + 8 <= scan->available; at += 8) {
                uint64_t address = section->address + (scan->at + at - section->offset);

                if (fields->relocated &&
                                (address < fields->relocated_first || address >= fields->relocated_end ||
                                                !(fields->relocated[(address - fields->relocated_first) /
                                                                    64] >> (address - fields->relocated_first) /
                                                                                                8 % 8 &
                                                                1)))
                        continue;
                if (is_address(fields, read_le64(scan->bytes + at)))
                        add(fields, scan, at, 8, PATCH_KIND_POINTER, PATCH_RULE_ABSOLUTE);
        }
        return at;
}

/* Entries of distances from the field to something, columns of which the role names. */
size_t patch_scan_relatives(PatchFields *fields, const PatchScan *scan)
{
        const PatchSection *section = &fields->old_elf.sections[scan->region->section];
        const PatchRegion *region = scan->region;
        size_t at = 0;

        for (; at < scan->limit && at + region->stride <= scan->available; at += region->stride) {
                for (unsigned column = 0; column < region->stride / 4u; column++) {
                        size_t field = at + 4 * (size_t)column;
                        int32_t value = (int32_t)read_le32(scan->bytes + field);
                        uint64_t target = section->address + (scan->at + field - section->offset) +
                                          (uint64_t)(int64_t)value;

                        if (region->columns >> column & 1 && value != 0 && is_address(fields, target))
                                add(fields, scan, field, 4, PATCH_KIND_RELATIVE, PATCH_RULE_RELATIVE);
                }
        }
        return at;
}

static bool tag_is_address(uint64_t tag)
{
        static const uint64_t tags[] = { DT_PLTGOT, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_INIT, DT_FINI,
                DT_JMPREL, DT_INIT_ARRAY, DT_FINI_ARRAY, DT_PREINIT_ARRAY, DT_GNU_HASH, DT_VERSYM, DT_VERDEF,
                DT_VERNEED, DT_RELR };

        for (size_t i = 0; i < ELEMENTS(tags); i++)
                if (tags[i] == tag)
                        return true;
        return false;
}

size_t patch_scan_dynamic(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        for (; at < scan->limit && at + 16 <= scan->available; at += 16)
                if (tag_is_address(read_le64(scan->bytes + at)) &&
                                is_address(fields, read_le64(scan->bytes + at + 8)))
                        add(fields, scan, at + 8, 8, PATCH_KIND_POINTER, PATCH_RULE_ABSOLUTE);
        return at;
}

/* Elf64_Sym: name, info, other, section, value, size. */
size_t patch_scan_symbols(PatchFields *fields, const PatchScan *scan)
{
        const PatchElf *elf = &fields->old_elf;
        const PatchSection *section = &elf->sections[scan->region->section];
        size_t at = 0;

        for (; at < scan->limit && at + PATCH_ELF_SYMBOL_SIZE <= scan->available;
                        at += PATCH_ELF_SYMBOL_SIZE) {
                const uint8_t *p = scan->bytes + at;
                uint16_t home = read_le16(p + 6);
                uint64_t value = read_le64(p + 8), size = read_le64(p + 16);
                bool defined = home > 0 && home < elf->section_count && (p[4] & 15) != STT_TLS;

                if (read_le32(p) > 0)
                        add_in_section(fields, scan, at, 4, PATCH_KIND_STRING, PATCH_RULE_SECTION,
                                        section->link);
                if (!defined)
                        continue;
                if (elf->sections[home].counterpart != PATCH_NO_SECTION)
                        add_given(fields, scan, at + 6, 2, elf->sections[home].counterpart);
                if (elf->type == ET_REL)
                        value += elf->sections[home].address;
                if (value == 0)
                        continue;
                if (elf->type == ET_REL)
                        add_in_section(fields, scan, at + 8, 8, PATCH_KIND_POINTER, PATCH_RULE_SECTION,
                                        home);
                else
                        add(fields, scan, at + 8, 8, PATCH_KIND_POINTER, PATCH_RULE_ABSOLUTE);
                if (size > 0 && size <= elf->sections[home].size_bytes) {
                        PatchReference span =
                                        reference_at(scan, at + 16, 8, PATCH_KIND_SIZE, PATCH_RULE_SPAN);

                        span.start = value;
                        patch_walk_add(fields, &span);
                }
        }
        return at;
}

/* A table in the read-only data of distances from its start to code, as a switch is compiled. It begins
 * where code refers to, and ends with the first distance that does not lead into code. */
size_t patch_scan_jump_tables(PatchFields *fields, const PatchScan *scan)
{
        const PatchElf *elf = &fields->old_elf;
        const PatchSection *section = &elf->sections[scan->region->section];
        uint64_t from = scan->at - section->offset;
        size_t at = 0;

        if (!fields->table_starts)
                return 0;
        if (fields->jump_next != scan->at) {
                fields->jump_table = 0;
                for (uint64_t k = from; k >= 4 && from - k < PATCH_CHUNK && fields->jump_table == 0; k -= 4)
                        if (fields->table_starts[(k - 4) / 32] >> (k - 4) / 4 % 8 & 1)
                                fields->jump_table = section->address + k - 4;
        }
        for (; at < scan->limit && at + 4 <= scan->available; at += 4) {
                uint64_t k = from + at, target;
                uint16_t home;

                if (fields->table_starts[k / 32] >> k / 4 % 8 & 1)
                        fields->jump_table = section->address + k;
                if (fields->jump_table == 0)
                        continue;
                target = fields->jump_table + (uint64_t)(int64_t)(int32_t)read_le32(scan->bytes + at);
                home = patch_walk_section_at(fields, target);
                if (home != PATCH_NO_SECTION && elf->sections[home].flags & SHF_EXECINSTR) {
                        PatchReference entry =
                                        reference_at(scan, at, 4, PATCH_KIND_RELATIVE, PATCH_RULE_TABLE);

                        entry.start = fields->jump_table;
                        patch_walk_add(fields, &entry);
                } else {
                        fields->jump_table = 0;
                }
        }
        fields->jump_next = scan->at + at;
        return at;
}

/* The relocations that the kernel's own loader applies: after the ELF file, 32 bits of address each. */
size_t patch_scan_relocation_list(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        for (; at < scan->limit && at + 4 <= scan->available; at += 4) {
                uint64_t address = (uint64_t)(int64_t)(int32_t)read_le32(scan->bytes + at);

                if (is_address(fields, address))
                        add(fields, scan, at, 4, PATCH_KIND_LOCATION, PATCH_RULE_ABSOLUTE);
        }
        return at;
}

size_t patch_scan_elf_header(PatchFields *fields, const PatchScan *scan)
{
        const PatchElf *elf = &fields->new_elf;

        if (scan->at > 0 || scan->available < PATCH_ELF_HEADER_SIZE)
                return 0;
        add_given(fields, scan, 24, 8, elf->entry);
        add_given(fields, scan, 32, 8, elf->programs_at);
        add_given(fields, scan, 40, 8, elf->sections_at);
        add_given(fields, scan, 56, 2, elf->program_count);
        add_given(fields, scan, 60, 2, elf->section_count);
        add_given(fields, scan, 62, 2, elf->names_index);
        return PATCH_ELF_HEADER_SIZE;
}

size_t patch_scan_section_table(PatchFields *fields, const PatchScan *scan)
{
        static const uint8_t widths[] = { 4, 4, 8, 8, 8, 8, 4, 4, 8, 8 };
        size_t at = 0;

        for (; at < scan->limit && at + PATCH_ELF_SECTION_SIZE <= scan->available;) {
                for (size_t i = 0; i < ELEMENTS(widths); i++) {
                        add(fields, scan, at, widths[i], PATCH_KIND_HEADER, PATCH_RULE_ROW);
                        at += widths[i];
                }
        }
        return at;
}

/* The new values of a program header's start and end: those of the sections that begin and end it. */
static bool map_extent(const PatchElf *old_elf, const PatchElf *new_elf, uint64_t start, uint64_t end,
                uint64_t *ret_start_shift, uint64_t *ret_end_shift)
{
        bool found = false;
        uint64_t first = 0, last = 0;

        for (size_t i = 0; i < old_elf->by_address_count; i++) {
                const PatchSection *s = &old_elf->sections[old_elf->by_address[i]], *t;

                if (s->counterpart == PATCH_NO_SECTION || s->address < start ||
                                s->address + s->size_bytes > end || !(s->flags & SHF_ALLOC))
                        continue;
                t = &new_elf->sections[s->counterpart];
                if (!found || s->address < first) {
                        first = s->address;
                        *ret_start_shift = t->address - s->address;
                }
                if (!found || s->address + s->size_bytes > last) {
                        last = s->address + s->size_bytes;
                        *ret_end_shift = t->address + t->size_bytes - last;
                }
                found = true;
        }
        return found;
}

/* Elf64_Phdr: type, flags, offset, two addresses, size in the file and in memory, alignment. */
size_t patch_scan_program_table(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        for (; at < scan->limit && at + PATCH_ELF_PROGRAM_SIZE <= scan->available;
                        at += PATCH_ELF_PROGRAM_SIZE) {
                const uint8_t *p = scan->bytes + at;
                uint64_t address = read_le64(p + 16), sizes[2] = { read_le64(p + 32), read_le64(p + 40) };
                uint64_t start_shift = 0, end_shift = 0;

                if (!map_extent(&fields->old_elf, &fields->new_elf, address, address + sizes[1],
                                    &start_shift, &end_shift))
                        continue;
                add_given(fields, scan, at + 8, 8, read_le64(p + 8) + start_shift);
                add_given(fields, scan, at + 16, 8, address + start_shift);
                add_given(fields, scan, at + 24, 8, read_le64(p + 24) + start_shift);
                if (sizes[0] == sizes[1] || map_extent(&fields->old_elf, &fields->new_elf, address,
                                                            address + sizes[0], &start_shift, &end_shift))
                        add_given(fields, scan, at + 32, 8, sizes[0] + end_shift - start_shift);
                if (map_extent(&fields->old_elf, &fields->new_elf, address, address + sizes[1], &start_shift,
                                    &end_shift))
                        add_given(fields, scan, at + 40, 8, sizes[1] + end_shift - start_shift);
        }
        return at;
}
