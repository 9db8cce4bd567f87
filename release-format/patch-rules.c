/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-arm64.h"
#include "patch-kallsyms.h"
#include "patch-reloc.h"

#include <elf.h>

/* The rules by which references are foretold. */

static uint64_t sign_extended(uint64_t value, uint8_t width)
{
        unsigned shift = 64 - 8 * (unsigned)width;

        return (uint64_t)((int64_t)(value << shift) >> shift);
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
static uint64_t project_address(PatchFields *fields, uint64_t address, bool *ret_exact)
{
        uint16_t index = patch_elf_at_address(&fields->old_elf, address, &fields->hint_project);
        const PatchSection *old_section, *new_section = NULL;
        uint64_t offset;

        *ret_exact = false;
        if (index == PATCH_NO_SECTION)
                return address;
        old_section = &fields->old_elf.sections[index];
        if (old_section->counterpart != PATCH_NO_SECTION)
                new_section = &fields->new_elf.sections[old_section->counterpart];
        if (old_section->type == SHT_NOBITS)
                return new_section ? address - old_section->address + new_section->address : address;
        offset = patch_project(
                        fields->projection, address - old_section->address + old_section->offset, ret_exact);
        if (!new_section || (*ret_exact && offset - new_section->offset >= new_section->size_bytes))
                return new_address(fields, offset);
        return offset - new_section->offset + new_section->address;
}

/* What was learned of an address; else where the segments put it; else as far as the last reference of the
 * kind in this region moved. */
static uint64_t map_address(PatchFields *fields, uint64_t address, uint8_t kind)
{
        const PatchDrift *drift = &fields->drifts[kind];
        uint64_t projected;
        uint32_t shift;
        bool exact;

        if (kind != PATCH_KIND_LOCATION && patch_learned_get(fields->learned, address, &shift))
                return address + (uint64_t)(int64_t)(int32_t)shift;
        projected = project_address(fields, address, &exact);
        return exact || drift->region != fields->region ? projected : address + drift->shift;
}

/* The end of something is behind its last byte, wherever that went. */
static uint64_t map_span(PatchFields *fields, uint64_t start, uint64_t size)
{
        bool exact_start, exact_end;
        uint64_t begin = project_address(fields, start, &exact_start);
        uint64_t end = project_address(fields, start + size - 1, &exact_end) + 1;

        return size > 0 && exact_start && exact_end && end > begin ? end - begin : size;
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
        case PATCH_RULE_FOLLOW:
        case PATCH_RULE_INDEX:
                *ret_old += section_base(&fields->old_elf, reference->section);
                *ret_new += new_section_base(fields, reference->section);
                break;
        case PATCH_RULE_TABLE:
                *ret_old = reference->start;
                *ret_new = map_address(fields, reference->start, PATCH_KIND_OPERAND);
                break;
        default:
                break;
        }
}

static uint64_t shared_key(uint64_t family, uint64_t value)
{
        return family << 48 ^ value;
}

/* What the value became in other files of the group, if it was met there. */
static bool get_shared(const PatchFields *fields, uint64_t family, uint64_t value, uint32_t *ret)
{
        return fields->shared && patch_learned_get(fields->shared->learned, shared_key(family, value), ret);
}

static void put_shared(PatchFields *fields, uint64_t family, uint64_t value, uint64_t actual)
{
        if (fields->shared)
                patch_learned_put(fields->shared->learned, shared_key(family, value), (uint32_t)actual);
}

/* A number of the kernel's BTF in that of a module. */
static uint64_t foretell_kernels(PatchFields *fields, bool type, uint32_t value)
{
        uint32_t first = type ? 1 : 0, found;

        fields->target = 0;
        if (get_shared(fields, type ? PATCH_FAMILY_TYPE : PATCH_FAMILY_NAME, value, &found))
                return found;
        if (!fields->shared)
                return value;
        (void)patch_runs_get(
                        type ? &fields->shared->types : &fields->shared->strings, value - first, &found);
        return found + first;
}

static uint64_t btf_address(const PatchElf *elf, const PatchBtf *btf, uint64_t offset)
{
        return btf->section < elf->section_count
                               ? elf->sections[btf->section].address +
                                                 (offset - elf->sections[btf->section].offset)
                               : 0;
}

/* A string of the file's own moves as its bytes do. */
static uint64_t foretell_name(PatchFields *fields, const PatchReference *reference)
{
        const PatchBtf *old_btf = &fields->old_btf, *new_btf = &fields->new_btf;

        if (reference->value < old_btf->first_string)
                return foretell_kernels(fields, false, (uint32_t)reference->value);
        fields->target = btf_address(&fields->old_elf, old_btf, old_btf->strings_at) + reference->value -
                         old_btf->first_string;
        fields->new_base =
                        btf_address(&fields->new_elf, new_btf, new_btf->strings_at) - new_btf->first_string;
        return map_address(fields, fields->target, reference->kind) - fields->new_base;
}

static uint64_t type_key(uint64_t number)
{
        return UINT64_C(0x7d) << 56 | number;
}

static uint64_t foretell_type(PatchFields *fields, const PatchReference *reference)
{
        const PatchBtf *btf = &fields->old_btf;
        uint64_t number = reference->value - btf->first_type;
        uint32_t found;

        if (reference->value < btf->first_type)
                return foretell_kernels(fields, true, (uint32_t)reference->value);
        fields->target = 0;
        if (number < btf->count)
                fields->target = btf_address(&fields->old_elf, btf, btf->types_at + btf->starts[number]);
        if (patch_learned_get(fields->learned, type_key(reference->value), &found))
                return found;
        (void)patch_runs_get(&fields->types, (uint32_t)number, &found);
        return (uint64_t)found + fields->new_btf.first_type;
}

static uint64_t turned(uint64_t value)
{
        return (value & 0xff) << 16 | (value & 0xff00) | (value >> 16 & 0xff);
}

/* The number of a symbol is that of its entry among the offsets. */
static uint64_t foretell_rank(PatchFields *fields, const PatchReference *reference)
{
        const PatchSection *section = &fields->old_elf.sections[reference->section];
        uint64_t start = section->address + (fields->kallsyms.offsets_at - section->offset);

        fields->target = start + 4 * reference->value;
        fields->new_base = map_address(fields, start, PATCH_KIND_LOCATION);
        return turned((map_address(fields, fields->target, reference->kind) - fields->new_base) / 4);
}

/* Where the string of a byte is; 0 when that is not known. */
static uint64_t token_address(const PatchFields *fields, uint8_t byte)
{
        const PatchSection *section = &fields->old_elf.sections[fields->kallsyms.section];

        return fields->kallsyms.has_tokens
                               ? section->address + (fields->kallsyms.tokens_at[byte] - section->offset)
                               : 0;
}

uint64_t patch_rule_foretell(PatchFields *fields, const PatchReference *reference, uint64_t offset)
{
        uint64_t old_base, value = sign_extended(reference->value, reference->width);
        uint32_t found;
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
        case PATCH_RULE_NAME:
                return foretell_name(fields, reference);
        case PATCH_RULE_TYPE:
                return foretell_type(fields, reference);
        case PATCH_RULE_SHARED:
                return get_shared(fields, reference->start, reference->value, &found) ? found
                                                                                      : reference->value;
        case PATCH_RULE_INDEX:
                bases(fields, reference, offset, &old_base, &fields->new_base);
                fields->target = old_base + reference->value * PATCH_ELF_SYMBOL_SIZE;
                return (map_address(fields, fields->target, reference->kind) - fields->new_base) /
                       PATCH_ELF_SYMBOL_SIZE;
        case PATCH_RULE_ARM64:
                fields->target = reference->start;
                fields->new_base = new_address(fields, offset);
                fields->mapped = map_address(fields, fields->target, reference->kind);
                return patch_arm64_with_target((uint32_t)reference->value, (PatchArm64Form)reference->adjust,
                                fields->new_base, fields->mapped);
        case PATCH_RULE_TOKEN:
                fields->target = token_address(fields, (uint8_t)reference->value);
                return fields->tokens[reference->value & 0xff].becomes;
        case PATCH_RULE_NEGATIVE:
                fields->target = reference->start - 1 - value;
                fields->new_base = map_address(fields, reference->start, PATCH_KIND_POINTER) - 1;
                return fields->new_base - map_address(fields, fields->target, reference->kind);
        case PATCH_RULE_RANK:
                return foretell_rank(fields, reference);
        case PATCH_RULE_FOLLOW:
                bases(fields, reference, offset, &old_base, &fields->new_base);
                fields->target = old_base + value;
                if (fields->drifts[reference->kind].region == fields->region)
                        return fields->target + fields->drifts[reference->kind].shift - fields->new_base;
                return map_address(fields, fields->target, reference->kind) - fields->new_base;
        default:
                bases(fields, reference, offset, &old_base, &fields->new_base);
                fields->target = old_base + value;
                return map_address(fields, fields->target, reference->kind) - fields->new_base;
        }
}

/* Of what the kernel's numbers became, or the file's own. */
static void learn_btf(PatchFields *fields, const PatchReference *reference, uint64_t actual)
{
        const PatchBtf *btf = &fields->old_btf;

        if (reference->rule == PATCH_RULE_NAME && reference->value < btf->first_string)
                put_shared(fields, PATCH_FAMILY_NAME, reference->value, actual);
        else if (reference->rule == PATCH_RULE_NAME)
                patch_learned_put(fields->learned, fields->target,
                                (uint32_t)(fields->new_base + actual - fields->target));
        else if (reference->value < btf->first_type)
                put_shared(fields, PATCH_FAMILY_TYPE, reference->value, actual);
        else
                patch_learned_put(fields->learned, type_key(reference->value), (uint32_t)actual);
}

void patch_rule_learn(PatchFields *fields, const PatchReference *reference, uint64_t actual)
{
        bool right = actual == fields->foretold;
        uint64_t target;

        switch (reference->rule) {
        case PATCH_RULE_ABSOLUTE:
        case PATCH_RULE_RELATIVE:
        case PATCH_RULE_SECTION:
        case PATCH_RULE_FOLLOW:
        case PATCH_RULE_TABLE:
                target = fields->new_base + sign_extended(actual, reference->width);
                break;
        case PATCH_RULE_INDEX:
                target = fields->new_base + actual * PATCH_ELF_SYMBOL_SIZE;
                break;
        case PATCH_RULE_ARM64:
                target = patch_arm64_target(
                                (uint32_t)actual, (PatchArm64Form)reference->adjust, fields->new_base);
                if (reference->adjust == PATCH_ARM64_ADRP)
                        target |= fields->mapped & 4095;
                if (reference->adjust == PATCH_ARM64_LOW)
                        target |= fields->mapped & ~UINT64_C(4095);
                break;
        case PATCH_RULE_NEGATIVE:
                target = fields->new_base - sign_extended(actual, reference->width);
                break;
        case PATCH_RULE_RANK:
                target = fields->new_base + 4 * turned(actual);
                break;
        case PATCH_RULE_TOKEN:
                patch_token_learn(&fields->tokens[reference->value & 0xff], (uint8_t)actual);
                return;
        case PATCH_RULE_SHARED:
                if (!right)
                        put_shared(fields, reference->start, reference->value, actual);
                return;
        case PATCH_RULE_NAME:
        case PATCH_RULE_TYPE:
                if (!right)
                        learn_btf(fields, reference, actual);
                return;
        default:
                return;
        }
        fields->drifts[reference->kind] = (PatchDrift){ fields->region, target - fields->target };
        if (!right && reference->kind != PATCH_KIND_LOCATION)
                patch_learned_put(fields->learned, fields->target, (uint32_t)(target - fields->target));
}
