/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-reloc.h"

#include "bytes.h"

#include <elf.h>
#include <string.h>

/* Files that are not linked yet, as modules of the kernel: what refers to something is 0 in the bytes, and
 * stands in relocations. */

#define SYMBOLS_MAX (256u * 1024)

/* Relocations mostly refer to the symbol of a section and say in the addend where in it, so it must be known
 * which symbols are such. */
int patch_reloc_prepare(PatchFields *fields, Error *error)
{
        const PatchElf *elf = &fields->old_elf;

        for (uint16_t i = 0; i < elf->section_count && elf->type == ET_REL; i++) {
                const PatchSection *s = &elf->sections[i];
                uint32_t count = (uint32_t)MIN_OF(
                                s->size_bytes / PATCH_ELF_SYMBOL_SIZE, (uint64_t)SYMBOLS_MAX);

                if (s->type != SHT_SYMTAB)
                        continue;
                fields->symbol_sections = calloc(count + 1, sizeof(uint16_t));
                if (!fields->symbol_sections)
                        return error_oom(error);
                fields->symbol_table = i;
                fields->symbol_count = count;
                for (uint32_t k = 0; k < count; k++) {
                        const uint8_t *p;
                        int r = patch_walk_bytes(fields, s->offset + (uint64_t)k * PATCH_ELF_SYMBOL_SIZE,
                                        PATCH_ELF_SYMBOL_SIZE, &p, error);

                        if (r < 0)
                                return r;
                        if ((p[4] & 15) == STT_SECTION)
                                fields->symbol_sections[k] = read_le16(p + 6);
                }
                break;
        }
        return 0;
}

/* The section that a symbol stands for, or 0. */
static uint16_t section_of_symbol(const PatchFields *fields, uint32_t table, uint32_t symbol)
{
        uint16_t home;

        if (!fields->symbol_sections || table != fields->symbol_table || symbol >= fields->symbol_count)
                return 0;
        home = fields->symbol_sections[symbol];
        return home < fields->old_elf.section_count ? home : 0;
}

/* Distances in code count from the end of their 4 bytes. */
static int addend_adjustment(const PatchElf *elf, uint32_t type, uint32_t applies_to)
{
        bool distance = elf->machine == EM_X86_64 && (type == R_X86_64_PC32 || type == R_X86_64_PLT32);

        return distance && elf->sections[applies_to].flags & SHF_EXECINSTR ? 4 : 0;
}

size_t patch_scan_reloc(PatchFields *fields, const PatchScan *scan)
{
        const PatchElf *elf = &fields->old_elf;
        const PatchSection *section = &elf->sections[scan->region->section];
        size_t at = 0;

        if (section->info >= elf->section_count || section->link >= elf->section_count)
                return 0;
        for (; at < scan->limit && at + PATCH_ELF_RELA_SIZE <= scan->available; at += PATCH_ELF_RELA_SIZE) {
                const uint8_t *p = scan->bytes + at;
                uint32_t symbol = read_le32(p + 12);
                uint16_t home = section_of_symbol(fields, section->link, symbol);
                PatchReference reference = { .value = read_le64(p),
                        .old_offset = (uint32_t)(scan->at + at),
                        .section = (uint16_t)section->info,
                        .width = 8,
                        .kind = PATCH_KIND_LOCATION,
                        .rule = PATCH_RULE_SECTION };

                if (!(elf->sections[section->info].flags & SHF_EXECINSTR))
                        reference.rule = PATCH_RULE_FOLLOW;
                patch_walk_add(fields, &reference);
                reference.value = symbol;
                reference.old_offset += 12;
                reference.section = (uint16_t)section->link;
                reference.width = 4;
                reference.kind = PATCH_KIND_SYMBOL;
                reference.rule = PATCH_RULE_INDEX;
                patch_walk_add(fields, &reference);
                if (home == 0)
                        continue;
                reference.value = read_le64(p + 16);
                reference.old_offset += 4;
                reference.section = home;
                reference.adjust = (int8_t)addend_adjustment(elf, read_le32(p + 8), section->info);
                reference.width = 8;
                reference.kind = PATCH_KIND_ADDEND;
                reference.rule = PATCH_RULE_SECTION;
                patch_walk_add(fields, &reference);
        }
        return at;
}

static void add_shared(PatchFields *fields, const PatchScan *scan, size_t at, uint8_t width, uint32_t family)
{
        const uint8_t *p = scan->bytes + at;
        const PatchReference reference = {
                .value = width == 8 ? read_le64(p) : read_le32(p),
                .start = family,
                .old_offset = (uint32_t)(scan->at + at),
                .section = scan->region->section,
                .width = width,
                .kind = PATCH_KIND_REPEATED,
                .rule = PATCH_RULE_SHARED,
        };

        patch_walk_add(fields, &reference);
}

/* Checksums of symbols, 4 bytes each; or 8, followed by the name in 56. */
size_t patch_scan_checksums(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0, stride = scan->region->stride;

        for (; at < scan->limit && at + 4 <= scan->available; at += stride)
                add_shared(fields, scan, at, 4, PATCH_FAMILY_CHECKSUM);
        return at;
}

/* Strings "name=value", of which the version is the same in all modules: its bytes four by four. */
size_t patch_scan_module_info(PatchFields *fields, const PatchScan *scan)
{
        static const char name[] = "vermagic=";
        size_t at = 0;

        for (; at < scan->limit && at + sizeof(name) <= scan->available; at++) {
                if (scan->bytes[at] != 'v' || memcmp(scan->bytes + at, name, sizeof(name) - 1) != 0)
                        continue;
                for (size_t k = at; k < at + PATCH_LOOK_AHEAD - 4 && k + 4 <= scan->available; k += 4)
                        add_shared(fields, scan, k, 4, PATCH_FAMILY_VERSION + (uint32_t)(k - at));
        }
        return MAX_OF(at, (size_t)1);
}

/* A small section that is nearly the same everywhere. */
size_t patch_scan_repeated(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        for (; at < scan->limit && at + 4 <= scan->available; at += 4)
                add_shared(fields, scan, at, 4,
                                PATCH_FAMILY_NOTE + (uint32_t)(scan->at + at - scan->region->start));
        return at;
}
