/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-walk.h"

#include <elf.h>
#include <string.h>

/* The walk itself: regions of the segment are scanned piece by piece, and what they hold is foretold. */

int patch_fields_begin(PatchFields *fields, size_t segment, Error *error)
{
        size_t low = 0, high = fields->region_count;

        if (segment >= fields->segment_count)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "a patch has no segment %zu", segment);
        fields->segment = &fields->segments[segment];
        fields->next = fields->count = 0;
        fields->taken_end = fields->segment->old_offset;
        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (fields->regions[middle].end <= fields->segment->old_offset)
                        low = middle + 1;
                else
                        high = middle;
        }
        fields->region = low;
        fields->scan_at = UINT64_MAX;
        return 0;
}

/* Scans on until there are references or the segment is through. */
static int scan_more(PatchFields *fields, Error *error)
{
        uint64_t segment_end = fields->segment->old_offset + fields->segment->size_bytes;

        fields->next = fields->count = 0;
        while (fields->count == 0 && fields->region < fields->region_count) {
                PatchRegion *region = &fields->regions[fields->region];
                PatchScan scan = { .region = region };
                size_t took;
                int r;

                if (region->start >= segment_end)
                        break;
                if (fields->scan_at == UINT64_MAX) {
                        fields->scan_at = patch_role_sync(fields, region,
                                        MAX_OF(region->start, fields->segment->old_offset), error);
                        if (fields->scan_at == UINT64_MAX)
                                return -EIO;
                }
                scan.at = fields->scan_at;
                if (scan.at >= region->end || scan.at >= segment_end) {
                        fields->region++;
                        fields->scan_at = UINT64_MAX;
                        continue;
                }
                scan.available = MIN_OF(region->end - scan.at, (uint64_t)PATCH_CHUNK + PATCH_LOOK_AHEAD);
                scan.limit = MIN_OF(MIN_OF(segment_end - scan.at, scan.available), (uint64_t)PATCH_CHUNK);
                r = patch_walk_bytes(fields, scan.at, scan.available, &scan.bytes, error);
                if (r < 0)
                        return r;
                took = patch_role_scan(fields, &scan);
                if (fields->failure < 0)
                        return fields->failure;
                fields->scan_at = took > 0 ? scan.at + took : region->end;
        }
        return 0;
}

static uint64_t sign_extended(uint64_t value, uint8_t width)
{
        unsigned shift = 64 - 8 * (unsigned)width;

        return (uint64_t)((int64_t)(value << shift) >> shift);
}

static uint64_t cut(uint64_t value, uint8_t width)
{
        return width >= 8 ? value : value & ((UINT64_C(1) << 8 * width) - 1);
}

/* The address of a byte of the new file. */
static uint64_t new_address(PatchFields *fields, uint64_t offset)
{
        uint16_t index = patch_elf_at_offset(&fields->new_elf, offset, &fields->hint_new_offset);

        if (index == PATCH_NO_SECTION)
                return PATCH_PSEUDO_ADDRESS + offset;
        return fields->new_elf.sections[index].address + (offset - fields->new_elf.sections[index].offset);
}

static uint64_t old_address(PatchFields *fields, const PatchReference *reference)
{
        const PatchSection *s;

        if (reference->section == PATCH_NO_SECTION)
                return PATCH_PSEUDO_ADDRESS + reference->old_offset;
        s = &fields->old_elf.sections[reference->section];
        return s->address + (reference->old_offset - s->offset);
}

/* By the segments: the offset of the old address, where that went, the address of that. */
static uint64_t project_address(PatchFields *fields, uint64_t address)
{
        uint16_t index = patch_elf_at_address(&fields->old_elf, address, &fields->hint_project);
        const PatchSection *old_section, *new_section;
        uint64_t offset;
        bool exact;

        if (index == PATCH_NO_SECTION)
                return address;
        old_section = &fields->old_elf.sections[index];
        new_section = old_section->counterpart == PATCH_NO_SECTION
                                      ? NULL
                                      : &fields->new_elf.sections[old_section->counterpart];
        if (old_section->type == SHT_NOBITS)
                return new_section ? address - old_section->address + new_section->address : address;
        offset = patch_project(
                        fields->projection, address - old_section->address + old_section->offset, &exact);
        if (!new_section || (exact && offset - new_section->offset >= new_section->size_bytes))
                return new_address(fields, offset);
        return offset - new_section->offset + new_section->address;
}

static uint64_t map_address(PatchFields *fields, uint64_t address)
{
        uint32_t shift;

        if (patch_learned_get(fields->learned, address, &shift))
                return address + (uint64_t)(int64_t)(int32_t)shift;
        return project_address(fields, address);
}

/* The end of something is behind its last byte, wherever that went. */
static uint64_t map_span(PatchFields *fields, uint64_t start, uint64_t size)
{
        return size == 0 ? 0 : project_address(fields, start + size - 1) + 1 - map_address(fields, start);
}

static uint64_t section_base(const PatchElf *elf, uint16_t index)
{
        return index < elf->section_count ? elf->sections[index].address : 0;
}

static uint64_t new_section_base(const PatchFields *fields, uint16_t old_index)
{
        if (old_index >= fields->old_elf.section_count)
                return 0;
        return section_base(&fields->new_elf, fields->old_elf.sections[old_index].counterpart);
}

/* What the shape says of a field of the new section table. */
static uint64_t row_field(const PatchElf *elf, uint64_t offset, uint64_t otherwise)
{
        uint64_t at = offset - elf->sections_at;
        const PatchSection *s;

        if (offset < elf->sections_at || at / PATCH_ELF_SECTION_SIZE >= elf->section_count)
                return otherwise;
        s = &elf->sections[at / PATCH_ELF_SECTION_SIZE];
        switch (at % PATCH_ELF_SECTION_SIZE) {
        case 0:
                return s->name_at;
        case 4:
                return s->type;
        case 8:
                return s->flags;
        case 16:
                return s->sh_address;
        case 24:
                return s->offset;
        case 32:
                return s->size_bytes;
        case 40:
                return s->link;
        case 44:
                return s->info;
        case 48:
                return s->align;
        case 56:
                return s->entry_size;
        default:
                return otherwise;
        }
}

/* Bases of a reference: of the old and of the new value. */
static void bases(PatchFields *fields, const PatchReference *reference, uint64_t offset, uint64_t *ret_old,
                uint64_t *ret_new)
{
        uint64_t adjust = (uint64_t)(int64_t)reference->adjust;

        *ret_old = *ret_new = adjust;
        switch (reference->rule) {
        case PATCH_RULE_RELATIVE:
                *ret_old += old_address(fields, reference);
                *ret_new += new_address(fields, offset);
                break;
        case PATCH_RULE_SECTION:
        case PATCH_RULE_INDEX:
                *ret_old += section_base(&fields->old_elf, reference->section);
                *ret_new += new_section_base(fields, reference->section);
                break;
        case PATCH_RULE_TABLE:
                *ret_old = reference->start;
                *ret_new = map_address(fields, reference->start);
                break;
        default:
                break;
        }
}

static uint64_t shared_key(const PatchReference *reference)
{
        return reference->start << 48 ^ reference->value;
}

/* What the value became in other files of the group, if it was met there. */
static uint64_t foretell_shared(const PatchFields *fields, const PatchReference *reference)
{
        uint32_t value;

        if (fields->shared && patch_learned_get(fields->shared->learned, shared_key(reference), &value))
                return value;
        return reference->value;
}

static uint64_t foretell(PatchFields *fields, const PatchReference *reference, uint64_t offset)
{
        uint64_t old_base, value = sign_extended(reference->value, reference->width);
        bool exact;

        switch (reference->rule) {
        case PATCH_RULE_GIVEN:
                return reference->start;
        case PATCH_RULE_ROW:
                return row_field(&fields->new_elf, offset, reference->value);
        case PATCH_RULE_SPAN:
                return map_span(fields, reference->start, reference->value);
        case PATCH_RULE_SPAN_BEFORE:
                return map_span(fields, fields->target, reference->value);
        case PATCH_RULE_BACK:
                return offset -
                       patch_project(fields->projection, reference->start - reference->value, &exact);
        case PATCH_RULE_SHARED:
                return foretell_shared(fields, reference);
        case PATCH_RULE_INDEX:
                bases(fields, reference, offset, &old_base, &fields->new_base);
                fields->target = old_base + reference->value * PATCH_ELF_SYMBOL_SIZE;
                return (map_address(fields, fields->target) - fields->new_base) / PATCH_ELF_SYMBOL_SIZE;
        default:
                bases(fields, reference, offset, &old_base, &fields->new_base);
                fields->target = old_base + value;
                return map_address(fields, fields->target) - fields->new_base;
        }
}

int patch_fields_next(PatchFields *fields, PatchField *ret, Error *error)
{
        uint64_t segment_end = fields->segment->old_offset + fields->segment->size_bytes;

        for (;;) {
                const PatchReference *reference;
                int r;

                if (fields->next == fields->count) {
                        r = scan_more(fields, error);
                        if (r < 0)
                                return r;
                        if (fields->count == 0)
                                return 0;
                }
                reference = &fields->references[fields->next++];
                if (reference->old_offset < fields->taken_end ||
                                reference->old_offset + (uint64_t)reference->width > segment_end)
                        continue;
                fields->taken_end = reference->old_offset + (uint64_t)reference->width;
                ret->new_offset = reference->old_offset - fields->segment->old_offset +
                                  fields->segment->new_offset;
                ret->width = reference->width;
                ret->kind = reference->kind;
                fields->foretold = cut(foretell(fields, reference, ret->new_offset), reference->width);
                ret->predicted = fields->foretold;
                fields->current = *reference;
                return 1;
        }
}

void patch_fields_learn(PatchFields *fields, uint64_t actual)
{
        const PatchReference *reference = &fields->current;
        uint64_t target;

        if (actual == fields->foretold)
                return;
        switch (reference->rule) {
        case PATCH_RULE_ABSOLUTE:
        case PATCH_RULE_RELATIVE:
        case PATCH_RULE_SECTION:
        case PATCH_RULE_TABLE:
                target = fields->new_base + sign_extended(actual, reference->width);
                break;
        case PATCH_RULE_INDEX:
                target = fields->new_base + actual * PATCH_ELF_SYMBOL_SIZE;
                break;
        case PATCH_RULE_SHARED:
                if (fields->shared)
                        patch_learned_put(fields->shared->learned, shared_key(reference), (uint32_t)actual);
                return;
        default:
                return;
        }
        patch_learned_put(fields->learned, fields->target, (uint32_t)(target - fields->target));
}
