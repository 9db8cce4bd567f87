/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-kallsyms.h"

#include "bytes.h"

#include <string.h>

/* The kernel's own table of symbols (scripts/kallsyms.c in its source), within the read-only data:
 *
 *     n numbers of 4 bytes, by address: base - 1 - address, or an offset of what each processor has
 *     8 bytes: base; 4 bytes: n; 4 of zero
 *     n names: a length (2 bytes if above 127) and that many bytes
 *     at a multiple of 8: a number of 4 bytes for each 256 names, where they begin
 *     at a multiple of 8: n numbers of 3 bytes, highest first: the symbols in the order of their names
 *
 * Nothing says where it is; it is found by base, the address of the text, and by what must follow. */

#define SYMBOLS_MIN 1024u
#define SYMBOLS_MAX (1024u * 1024)
#define NAMES_PER_MARKER 256u

static uint64_t align8(uint64_t value)
{
        return (value + 7) & ~UINT64_C(7);
}

/* Passes one name; 0 at the end of the section. */
static uint64_t name_end(PatchFields *fields, uint64_t at, uint64_t end, Error *error)
{
        const uint8_t *p;
        uint64_t length;

        if (at + 2 > end)
                return 0;
        if (patch_walk_bytes(fields, at, 2, &p, error) < 0)
                return 0;
        length = p[0] < 128 ? 1 + (uint64_t)p[0] : 2 + (p[0] & 127u) + ((uint64_t)p[1] << 7);
        return length <= end - at ? at + length : 0;
}

/* Whether the markers stand where the names end: the second one is where the 257th name begins. */
static bool find_ranks(
                PatchFields *fields, PatchKallsyms *table, uint64_t names_at, uint64_t end, Error *error)
{
        uint64_t at = names_at, second = 0, markers_at, ranks_at;
        const uint8_t *p;

        for (uint32_t i = 0; i < table->count; i++) {
                if (i == NAMES_PER_MARKER)
                        second = at - names_at;
                at = name_end(fields, at, end, error);
                if (at == 0)
                        return false;
        }
        markers_at = align8(at);
        if (markers_at + 8 > end || patch_walk_bytes(fields, markers_at, 8, &p, error) < 0 ||
                        read_le32(p) != 0 || read_le32(p + 4) != second)
                return false;
        ranks_at = align8(markers_at + 4 * ((uint64_t)(table->count - 1) / NAMES_PER_MARKER + 1));
        if (ranks_at + 3 * (uint64_t)table->count <= end)
                table->ranks_at = ranks_at;
        return true;
}

/* Whether what stands at an offset is base and number, with a table before and names behind. */
static bool try_at(PatchFields *fields, const PatchSection *section, uint64_t at, PatchKallsyms *ret,
                Error *error)
{
        uint64_t end = section->offset + section->size_bytes;
        PatchKallsyms table = { 0 };
        const uint8_t *p;

        if (patch_walk_bytes(fields, at, 16, &p, error) < 0)
                return false;
        table.base = read_le64(p);
        table.count = read_le32(p + 8);
        if (read_le32(p + 12) != 0 || table.count < SYMBOLS_MIN || table.count > SYMBOLS_MAX ||
                        align8(4 * (uint64_t)table.count) > at - section->offset)
                return false;
        table.offsets_at = at - align8(4 * (uint64_t)table.count);
        if (!find_ranks(fields, &table, at + 16, end, error))
                return false;
        *ret = table;
        return true;
}

int patch_kallsyms_find(PatchFields *fields, PatchKallsyms *ret, Error *error)
{
        const PatchElf *elf = &fields->old_elf;
        const PatchSection *section = NULL, *text = NULL;
        unsigned tries = 4;

        for (size_t i = 0; i < elf->section_count; i++) {
                if (strcmp(elf->sections[i].name, ".rodata") == 0 &&
                                patch_section_has_bytes(&elf->sections[i]))
                        section = &elf->sections[i];
                if (strcmp(elf->sections[i].name, ".text") == 0)
                        text = &elf->sections[i];
        }
        if (!section || !text)
                return 0;
        for (uint64_t at = 0; at + 16 <= section->size_bytes && tries > 0; at += 8) {
                const uint8_t *p;
                int r = patch_walk_bytes(fields, section->offset + at, 8, &p, error);

                if (r < 0)
                        return r;
                if (read_le64(p) != text->address)
                        continue;
                tries--;
                if (try_at(fields, section, section->offset + at, ret, error)) {
                        ret->section = (uint16_t)(section - elf->sections);
                        return 1;
                }
        }
        return 0;
}

static void add(PatchFields *fields, const PatchScan *scan, size_t at, uint8_t width, uint64_t value,
                PatchRule rule, PatchKind kind)
{
        const PatchReference reference = {
                .value = value,
                .start = fields->kallsyms.base,
                .old_offset = (uint32_t)(scan->at + at),
                .section = fields->kallsyms.section,
                .width = width,
                .kind = (uint8_t)kind,
                .rule = (uint8_t)rule,
        };

        patch_walk_add(fields, &reference);
}

size_t patch_scan_kallsyms_offsets(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        for (; at < scan->limit && at + 4 <= scan->available; at += 4) {
                uint32_t value = read_le32(scan->bytes + at);

                if (value > INT32_MAX)
                        add(fields, scan, at, 4, value, PATCH_RULE_NEGATIVE, PATCH_KIND_LOCATION);
                else if (value > 0)
                        add(fields, scan, at, 4, value, PATCH_RULE_ABSOLUTE, PATCH_KIND_LOCATION);
        }
        return at;
}

size_t patch_scan_kallsyms_ranks(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        for (; at < scan->limit && at + 3 <= scan->available; at += 3) {
                const uint8_t *p = scan->bytes + at;

                add(fields, scan, at, 3, (uint64_t)p[0] << 16 | (uint64_t)p[1] << 8 | p[2], PATCH_RULE_RANK,
                                PATCH_KIND_SYMBOL);
        }
        return at;
}
