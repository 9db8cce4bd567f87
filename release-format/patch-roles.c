/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-walk.h"

#include "patch-frames.h"
#include "patch-go.h"
#include "patch-kallsyms.h"
#include "sort.h"

#include <elf.h>
#include <string.h>

/* Which scanner looks at which part of a file. */

typedef struct RoleRow {
        size_t (*scan)(PatchFields *fields, const PatchScan *scan);
        unsigned step; /* records begin at multiples of it from the region's start; 0: found otherwise */
} RoleRow;

static const RoleRow role_rows[PATCH_ROLE_MAX] = {
        [PATCH_ROLE_X86] = { patch_scan_x86, 0 },
        [PATCH_ROLE_ARM64] = { patch_scan_arm64, 4 },
        [PATCH_ROLE_RELA] = { patch_scan_rela, PATCH_ELF_RELA_SIZE },
        [PATCH_ROLE_SYMBOLS] = { patch_scan_symbols, PATCH_ELF_SYMBOL_SIZE },
        [PATCH_ROLE_POINTERS] = { patch_scan_pointers, 8 },
        [PATCH_ROLE_RELATIVES] = { patch_scan_relatives, 0 },
        [PATCH_ROLE_DYNAMIC] = { patch_scan_dynamic, 16 },
        [PATCH_ROLE_EH_FRAME] = { patch_scan_eh_frame, 0 },
        [PATCH_ROLE_EH_FRAME_INDEX] = { patch_scan_eh_frame_index, 4 },
        [PATCH_ROLE_JUMP_TABLES] = { patch_scan_jump_tables, 4 },
        [PATCH_ROLE_ELF_HEADER] = { patch_scan_elf_header, PATCH_ELF_HEADER_SIZE },
        [PATCH_ROLE_PROGRAM_TABLE] = { patch_scan_program_table, PATCH_ELF_PROGRAM_SIZE },
        [PATCH_ROLE_SECTION_TABLE] = { patch_scan_section_table, PATCH_ELF_SECTION_SIZE },
        [PATCH_ROLE_RELOC] = { patch_scan_reloc, PATCH_ELF_RELA_SIZE },
        [PATCH_ROLE_CHECKSUMS] = { patch_scan_checksums, 0 },
        [PATCH_ROLE_MODULE_INFO] = { patch_scan_module_info, 0 },
        [PATCH_ROLE_REPEATED] = { patch_scan_repeated, 4 },
        [PATCH_ROLE_KALLSYMS_OFFSETS] = { patch_scan_kallsyms_offsets, 4 },
        [PATCH_ROLE_KALLSYMS_RANKS] = { patch_scan_kallsyms_ranks, 3 },
        [PATCH_ROLE_KALLSYMS_NAMES] = { patch_scan_kallsyms_names, 0 },
        [PATCH_ROLE_GO_HEADER] = { patch_scan_go_header, 72 },
        [PATCH_ROLE_GO_ENTRIES] = { patch_scan_go_entries, 8 },
        [PATCH_ROLE_GO_RECORDS] = { patch_scan_go_records, 0 },
        [PATCH_ROLE_BTF_HEADER] = { patch_scan_btf_header, PATCH_BTF_HEADER_SIZE },
        [PATCH_ROLE_BTF] = { patch_scan_btf, 0 },
        [PATCH_ROLE_RELOCATION_LIST] = { patch_scan_relocation_list, 4 },
};

/* Instructions that are met in their middle come right after a few. */
#define CODE_RUN_UP 32

uint64_t patch_role_sync(PatchFields *fields, PatchRegion *region, uint64_t offset, Error *error)
{
        uint64_t step = role_rows[region->role].step;

        if (region->stride > 0)
                step = region->stride;
        if (region->role == PATCH_ROLE_KALLSYMS_NAMES || region->role == PATCH_ROLE_GO_RECORDS)
                return region->marks ? patch_frames_sync(region, offset) : region->end;
        if (region->role == PATCH_ROLE_EH_FRAME) {
                if (!region->marks && patch_frames_mark(fields, region, error) < 0)
                        return UINT64_MAX;
                return patch_frames_sync(region, offset);
        }
        if (region->role == PATCH_ROLE_BTF)
                return patch_btf_sync(fields, region, offset, error);
        if (step == 0)
                return offset - MIN_OF((uint64_t)CODE_RUN_UP, offset - region->start);
        return offset - (offset - region->start) % step;
}

size_t patch_role_scan(PatchFields *fields, const PatchScan *scan)
{
        return role_rows[scan->region->role].scan(fields, scan);
}

/* Tables of the kernel whose entries hold distances: by their names, with the size of an entry and the
 * columns, of 4 bytes each, that are distances. */
typedef struct NamedTable {
        const char *name;
        uint8_t role, stride, columns;
} NamedTable;

static const NamedTable linked_tables[] = {
        { "__ksymtab", PATCH_ROLE_RELATIVES, 12, 7 },
        { "__ksymtab_gpl", PATCH_ROLE_RELATIVES, 12, 7 },
        { "__ex_table", PATCH_ROLE_RELATIVES, 12, 3 },
        { "__bug_table", PATCH_ROLE_RELATIVES, 12, 3 },
        { "__jump_table", PATCH_ROLE_RELATIVES, 16, 3 },
        { "__tracepoints_ptrs", PATCH_ROLE_RELATIVES, 4, 1 },
        { ".altinstructions", PATCH_ROLE_RELATIVES, 12, 3 },
        { ".call_sites", PATCH_ROLE_RELATIVES, 4, 1 },
        { ".ibt_endbr_seal", PATCH_ROLE_RELATIVES, 4, 1 },
        { ".orc_unwind_ip", PATCH_ROLE_RELATIVES, 4, 1 },
        { ".retpoline_sites", PATCH_ROLE_RELATIVES, 4, 1 },
        { ".return_sites", PATCH_ROLE_RELATIVES, 4, 1 },
        { ".smp_locks", PATCH_ROLE_RELATIVES, 4, 1 },
        { ".static_call_sites", PATCH_ROLE_RELATIVES, 8, 3 },
};

/* What modules hold, linked or not, and the kernel's own checksums. */
static const NamedTable module_tables[] = {
        { "__versions", PATCH_ROLE_CHECKSUMS, 64, 0 },
        { "__kcrctab", PATCH_ROLE_CHECKSUMS, 4, 0 },
        { "__kcrctab_gpl", PATCH_ROLE_CHECKSUMS, 4, 0 },
        { ".modinfo", PATCH_ROLE_MODULE_INFO, 1, 0 },
        { ".note.Linux", PATCH_ROLE_REPEATED, 4, 0 },
};

static bool take_named(
                const NamedTable *tables, size_t count, const PatchSection *section, PatchRegion *region)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(tables[i].name, section->name) == 0) {
                        region->role = tables[i].role;
                        region->stride = tables[i].stride;
                        region->columns = tables[i].columns;
                        return true;
                }
        return false;
}

static PatchRole role_by_type(const PatchElf *elf, const PatchSection *section)
{
        switch (section->type) {
        case SHT_RELA:
                return elf->type == ET_REL ? PATCH_ROLE_RELOC : PATCH_ROLE_RELA;
        case SHT_SYMTAB:
        case SHT_DYNSYM:
                return PATCH_ROLE_SYMBOLS;
        case SHT_DYNAMIC:
                return PATCH_ROLE_DYNAMIC;
        case SHT_INIT_ARRAY:
        case SHT_FINI_ARRAY:
        case SHT_PREINIT_ARRAY:
                return elf->type == ET_REL ? PATCH_ROLE_NONE : PATCH_ROLE_POINTERS;
        default:
                return PATCH_ROLE_NONE;
        }
}

static PatchRole role_of_data(const PatchFields *fields, const PatchSection *section)
{
        if (section->flags & SHF_EXECINSTR)
                return fields->old_elf.machine == EM_X86_64 ? PATCH_ROLE_X86 : PATCH_ROLE_ARM64;
        if (fields->old_elf.type == ET_REL)
                return PATCH_ROLE_NONE;
        if (strcmp(section->name, ".eh_frame") == 0)
                return PATCH_ROLE_EH_FRAME;
        if (strcmp(section->name, ".eh_frame_hdr") == 0)
                return PATCH_ROLE_EH_FRAME_INDEX;
        if (strcmp(section->name, ".rodata") == 0 && !fields->kernel && fields->old_elf.type == ET_DYN)
                return fields->old_elf.machine == EM_X86_64 ? PATCH_ROLE_JUMP_TABLES : PATCH_ROLE_NONE;
        if (section->flags & SHF_STRINGS || strcmp(section->name, ".BTF") == 0)
                return PATCH_ROLE_NONE;
        return section->flags & SHF_WRITE || fields->kernel ? PATCH_ROLE_POINTERS : PATCH_ROLE_NONE;
}

static void choose_role(const PatchFields *fields, const PatchSection *section, PatchRegion *region)
{
        region->role = (uint8_t)role_by_type(&fields->old_elf, section);
        if (region->role != PATCH_ROLE_NONE || !(section->flags & SHF_ALLOC) ||
                        (section->type != SHT_PROGBITS && section->type != SHT_NOTE))
                return;
        if (take_named(module_tables, ELEMENTS(module_tables), section, region))
                return;
        if (fields->kernel && take_named(linked_tables, ELEMENTS(linked_tables), section, region))
                return;
        if (section->type == SHT_PROGBITS)
                region->role = (uint8_t)role_of_data(fields, section);
}

static int compare_regions(const void *a, const void *b)
{
        const PatchRegion *x = a, *y = b;

        if (x->start != y->start)
                return x->start < y->start ? -1 : 1;
        if (x->end != y->end)
                return x->end < y->end ? -1 : 1;
        if (x->section != y->section)
                return x->section < y->section ? -1 : 1;
        return x->role < y->role ? -1 : x->role > y->role;
}

static void add_region(PatchFields *fields, uint64_t start, uint64_t size, PatchRole role)
{
        fields->regions[fields->region_count++] = (PatchRegion){
                .start = start, .end = start + size, .section = PATCH_NO_SECTION, .role = (uint8_t)role
        };
}

/* What begins later gives way to what began before. */
static void make_disjoint(PatchFields *fields)
{
        size_t kept = 0;
        uint64_t end = 0;

        sort_in_place(fields->regions, fields->region_count, sizeof(PatchRegion), compare_regions);
        for (size_t i = 0; i < fields->region_count; i++) {
                PatchRegion region = fields->regions[i];

                if (region.start < end || region.start >= region.end) {
                        free(region.marks);
                        continue;
                }
                end = region.end;
                fields->regions[kept++] = region;
        }
        fields->region_count = kept;
}

static void add_btf(PatchFields *fields)
{
        const PatchBtf *btf = &fields->old_btf;

        add_region(fields, btf->types_at - PATCH_BTF_HEADER_SIZE, PATCH_BTF_HEADER_SIZE,
                        PATCH_ROLE_BTF_HEADER);
        add_region(fields, btf->types_at, btf->types_end - btf->types_at, PATCH_ROLE_BTF);
}

static void add_go(PatchFields *fields, const PatchSection *section)
{
        PatchGo *go = &fields->go;

        add_region(fields, section->offset, 72, PATCH_ROLE_GO_HEADER);
        add_region(fields, go->entries_at, go->records_at - go->entries_at, PATCH_ROLE_GO_ENTRIES);
        add_region(fields, go->records_at, go->end - go->records_at, PATCH_ROLE_GO_RECORDS);
        fields->regions[fields->region_count - 1].marks = TAKE_PTR(go->marks);
}

/* Cuts a region out of the one that holds it. There is room for two more. */
static void carve(PatchFields *fields, uint64_t start, uint64_t size, PatchRole role)
{
        for (size_t i = 0; i < fields->region_count; i++) {
                PatchRegion *whole = &fields->regions[i], rest = *whole;

                if (start < whole->start || start + size > whole->end || size == 0 || whole->marks)
                        continue;
                whole->end = start;
                rest.start = start + size;
                add_region(fields, start, size, role);
                fields->regions[fields->region_count++] = rest;
                return;
        }
}

static int carve_kallsyms(PatchFields *fields, Error *error)
{
        PatchKallsyms *table = &fields->kallsyms;
        int r = fields->kernel ? patch_kallsyms_find(fields, table, error) : 0;

        if (r <= 0)
                return r;
        carve(fields, table->offsets_at, 4 * (uint64_t)table->count, PATCH_ROLE_KALLSYMS_OFFSETS);
        carve(fields, table->names_at, table->names_end - table->names_at, PATCH_ROLE_KALLSYMS_NAMES);
        for (size_t i = 0; i < fields->region_count; i++)
                if (fields->regions[i].role == PATCH_ROLE_KALLSYMS_NAMES)
                        fields->regions[i].marks = TAKE_PTR(table->marks);
        for (unsigned i = 0; i < PATCH_TOKENS; i++)
                fields->tokens[i].becomes = (uint8_t)i;
        if (table->ranks_at > 0)
                carve(fields, table->ranks_at, 3 * (uint64_t)table->count, PATCH_ROLE_KALLSYMS_RANKS);
        return 0;
}

int patch_regions_make(PatchFields *fields, Error *error)
{
        const PatchElf *elf = &fields->old_elf;
        const bool loadable = elf->type != ET_REL;
        int r;

        fields->regions = calloc(elf->by_offset_count + PATCH_REGIONS_BESIDES, sizeof(PatchRegion));
        if (!fields->regions)
                return error_oom(error);
        r = elf->type == ET_REL ? 0 : patch_go_prepare(fields, error);
        if (r < 0)
                return r;
        add_region(fields, 0, PATCH_ELF_HEADER_SIZE, PATCH_ROLE_ELF_HEADER);
        if (loadable)
                add_region(fields, elf->programs_at, (uint64_t)elf->program_count * PATCH_ELF_PROGRAM_SIZE,
                                PATCH_ROLE_PROGRAM_TABLE);
        add_region(fields, elf->sections_at, (uint64_t)elf->section_count * PATCH_ELF_SECTION_SIZE,
                        PATCH_ROLE_SECTION_TABLE);
        if (fields->kernel)
                add_region(fields, elf->end_bytes, elf->file_size_bytes - elf->end_bytes,
                                PATCH_ROLE_RELOCATION_LIST);
        for (size_t i = 0; i < elf->by_offset_count; i++) {
                const PatchSection *section = &elf->sections[elf->by_offset[i]];
                PatchRegion region = { .start = section->offset,
                        .end = section->offset + section->size_bytes,
                        .section = elf->by_offset[i] };

                choose_role(fields, section, &region);
                if (fields->old_btf.count > 0 && region.section == fields->old_btf.section)
                        add_btf(fields);
                else if (fields->go.record_size > 0 && region.section == fields->go.section)
                        add_go(fields, section);
                else if (region.role != PATCH_ROLE_NONE)
                        fields->regions[fields->region_count++] = region;
        }
        r = carve_kallsyms(fields, error);
        make_disjoint(fields);
        return r;
}
