/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-go.h"

#include "bytes.h"

#include <string.h>

#define GO_MAGIC_1_18 0xfffffff0u
#define GO_MAGIC_1_20 0xfffffff1u
#define GO_HEADER_SIZE 72
#define GO_RECORD_SIZE_1_18 40u
#define GO_RECORD_SIZE_1_20 44u
#define GO_TABLES_AT 28 /* in a record: the number of tables of the program counter that follow it */

/* The length of a record at `p`: its fixed part, and 4 bytes for each table and each piece of data. */
static size_t record_size(const PatchGo *go, const uint8_t *p)
{
        return go->record_size + 4 * ((size_t)read_le32(p + GO_TABLES_AT) + p[go->record_size - 1]);
}

static int mark_records(PatchFields *fields, PatchGo *go, Error *error)
{
        uint64_t size = go->end - go->records_at, at = 0;
        size_t count = size / PATCH_MARK_STEP + 1, filled = 0;

        go->marks = malloc(count * sizeof(uint32_t));
        if (!go->marks)
                return error_oom(error);
        while (at + GO_RECORD_SIZE_1_20 <= size) {
                const uint8_t *p;
                int r = patch_walk_bytes(fields, go->records_at + at, GO_RECORD_SIZE_1_20, &p, error);

                if (r < 0)
                        return r;
                while (filled < count && at >= filled * PATCH_MARK_STEP)
                        go->marks[filled++] = (uint32_t)at;
                if (read_le32(p + GO_TABLES_AT) > size / 4)
                        break;
                at += record_size(go, p);
        }
        while (filled < count)
                go->marks[filled++] = (uint32_t)size;
        return 0;
}

static bool take_header(const PatchElf *elf, const PatchSection *section, const uint8_t *p, PatchGo *go)
{
        uint32_t magic = read_le32(p);
        uint64_t functions = read_le64(p + 8), table = read_le64(p + 64);

        if ((magic != GO_MAGIC_1_18 && magic != GO_MAGIC_1_20) || p[7] != 8 || table > section->size_bytes ||
                        functions > (section->size_bytes - table) / 8)
                return false;
        *go = (PatchGo){
                .section = (uint16_t)(section - elf->sections),
                .record_size = magic == GO_MAGIC_1_18 ? GO_RECORD_SIZE_1_18 : GO_RECORD_SIZE_1_20,
                .text = read_le64(p + 24),
                .names = section->address + read_le64(p + 32),
                .tables = section->address + read_le64(p + 56),
                .entries = section->address + table,
                .entries_at = section->offset + table,
                .end = section->offset + section->size_bytes,
        };
        go->records_at = go->entries_at + 8 * functions;
        return true;
}

int patch_go_prepare(PatchFields *fields, Error *error)
{
        const PatchElf *elf = &fields->old_elf;

        for (size_t i = 0; i < elf->section_count; i++) {
                const PatchSection *section = &elf->sections[i];
                const uint8_t *p;
                int r;

                if (strcmp(section->name, ".gopclntab") != 0 || !patch_section_has_bytes(section) ||
                                section->size_bytes < GO_HEADER_SIZE)
                        continue;
                r = patch_walk_bytes(fields, section->offset, GO_HEADER_SIZE, &p, error);
                if (r < 0)
                        return r;
                return take_header(elf, section, p, &fields->go) ? mark_records(fields, &fields->go, error)
                                                                 : 0;
        }
        return 0;
}

static void add(PatchFields *fields, const PatchScan *scan, size_t at, uint64_t table, PatchKind kind)
{
        const PatchReference reference = {
                .value = read_le32(scan->bytes + at),
                .start = table,
                .old_offset = (uint32_t)(scan->at + at),
                .section = fields->go.section,
                .width = 4,
                .kind = (uint8_t)kind,
                .rule = PATCH_RULE_TABLE,
        };

        if (reference.value != 0)
                patch_walk_add(fields, &reference);
}

/* Start of the text, and five distances from the section's start. */
size_t patch_scan_go_header(PatchFields *fields, const PatchScan *scan)
{
        if (scan->available < GO_HEADER_SIZE)
                return 0;
        for (size_t at = 24; at < GO_HEADER_SIZE; at += 8) {
                const PatchReference reference = {
                        .value = read_le64(scan->bytes + at),
                        .old_offset = (uint32_t)(scan->at + at),
                        .section = fields->go.section,
                        .width = 8,
                        .kind = PATCH_KIND_POINTER,
                        .rule = at == 24 ? PATCH_RULE_ABSOLUTE : PATCH_RULE_SECTION,
                };

                patch_walk_add(fields, &reference);
        }
        return GO_HEADER_SIZE;
}

/* For each function where it begins in the text, and its record, from the first entry. */
size_t patch_scan_go_entries(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        for (; at < scan->limit && at + 8 <= scan->available; at += 8) {
                add(fields, scan, at, fields->go.text, PATCH_KIND_RELATIVE);
                add(fields, scan, at + 4, fields->go.entries, PATCH_KIND_RELATIVE);
        }
        return at;
}

size_t patch_scan_go_records(PatchFields *fields, const PatchScan *scan)
{
        const PatchGo *go = &fields->go;
        size_t at = 0;

        while (at < scan->limit && at + go->record_size <= scan->available &&
                        fields->count < PATCH_REFERENCES / 2) {
                const uint8_t *p = scan->bytes + at;
                uint32_t tables = read_le32(p + GO_TABLES_AT);

                add(fields, scan, at, go->text, PATCH_KIND_RELATIVE);
                add(fields, scan, at + 4, go->names, PATCH_KIND_STRING);
                for (size_t k = 16; k < GO_TABLES_AT; k += 4)
                        add(fields, scan, at + k, go->tables, PATCH_KIND_RELATIVE);
                for (uint32_t k = 0;
                                k < tables && at + go->record_size + 4 * ((size_t)k + 1) <= scan->available;
                                k++)
                        add(fields, scan, at + go->record_size + 4 * (size_t)k, go->tables,
                                        PATCH_KIND_RELATIVE);
                at += record_size(go, p);
        }
        return at;
}
