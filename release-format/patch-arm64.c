/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-arm64.h"

#include "bytes.h"
#include "patch-walk.h"

#include <elf.h>

#define LOOK_AHEAD_WORDS 8

/* Opcodes are those of the Arm architecture reference manual, chapter C4. */
PatchArm64Form patch_arm64_form(uint32_t word)
{
        if ((word & 0x7c000000) == 0x14000000)
                return PATCH_ARM64_BRANCH26;
        if ((word & 0xff000010) == 0x54000000 || (word & 0x7e000000) == 0x34000000)
                return PATCH_ARM64_BRANCH19;
        if ((word & 0x7e000000) == 0x36000000)
                return PATCH_ARM64_BRANCH14;
        if ((word & 0x3b000000) == 0x18000000)
                return PATCH_ARM64_LITERAL;
        if ((word & 0x9f000000) == 0x10000000)
                return PATCH_ARM64_ADR;
        if ((word & 0x9f000000) == 0x90000000)
                return PATCH_ARM64_ADRP;
        if ((word & 0xffc00000) == 0x91000000 || (word & 0x3b000000) == 0x39000000)
                return PATCH_ARM64_LOW;
        return PATCH_ARM64_NONE;
}

unsigned patch_arm64_register(uint32_t word, PatchArm64Form form)
{
        return form == PATCH_ARM64_ADRP ? word & 31 : word >> 5 & 31;
}

/* Loads and stores count in units of what they move: 1 to 16 bytes. */
static unsigned low_shift(uint32_t word)
{
        if ((word & 0xffc00000) == 0x91000000)
                return 0;
        return word & 0x04000000 && word & 0x00800000 && word >> 30 == 0 ? 4 : word >> 30;
}

static uint64_t sign_extended(uint64_t value, unsigned bits)
{
        return (uint64_t)((int64_t)(value << (64 - bits)) >> (64 - bits));
}

uint64_t patch_arm64_target(uint32_t word, PatchArm64Form form, uint64_t address)
{
        uint64_t split = (uint64_t)(word >> 3 & 0x1ffffc) | (word >> 29 & 3);

        switch (form) {
        case PATCH_ARM64_BRANCH26:
                return address + 4 * sign_extended(word & 0x3ffffff, 26);
        case PATCH_ARM64_BRANCH19:
        case PATCH_ARM64_LITERAL:
                return address + 4 * sign_extended(word >> 5 & 0x7ffff, 19);
        case PATCH_ARM64_BRANCH14:
                return address + 4 * sign_extended(word >> 5 & 0x3fff, 14);
        case PATCH_ARM64_ADR:
                return address + sign_extended(split, 21);
        case PATCH_ARM64_ADRP:
                return (address & ~UINT64_C(4095)) + (sign_extended(split, 21) << 12);
        case PATCH_ARM64_LOW:
                return (uint64_t)(word >> 10 & 0xfff) << low_shift(word);
        default:
                return 0;
        }
}

static uint32_t with_split(uint32_t word, uint64_t distance)
{
        return (word & 0x9f00001f) | (uint32_t)(distance & 3) << 29 |
               (uint32_t)(distance >> 2 & 0x7ffff) << 5;
}

uint32_t patch_arm64_with_target(uint32_t word, PatchArm64Form form, uint64_t address, uint64_t target)
{
        uint64_t words = (target - address) >> 2;

        switch (form) {
        case PATCH_ARM64_BRANCH26:
                return (word & 0xfc000000) | (uint32_t)(words & 0x3ffffff);
        case PATCH_ARM64_BRANCH19:
        case PATCH_ARM64_LITERAL:
                return (word & 0xff00001f) | (uint32_t)(words & 0x7ffff) << 5;
        case PATCH_ARM64_BRANCH14:
                return (word & 0xfff8001f) | (uint32_t)(words & 0x3fff) << 5;
        case PATCH_ARM64_ADR:
                return with_split(word, target - address);
        case PATCH_ARM64_ADRP:
                return with_split(word, (target >> 12) - (address >> 12));
        case PATCH_ARM64_LOW:
                return (word & 0xffc003ff) | (uint32_t)((target & 0xfff) >> low_shift(word)) << 10;
        default:
                return word;
        }
}

/* What an ADRP at `at` leads to: its page, and the low bits of the next instruction that builds on its
 * register, if there is one near. */
static uint64_t whole_target(const PatchScan *scan, size_t at, uint32_t word, uint64_t address)
{
        uint64_t page = patch_arm64_target(word, PATCH_ARM64_ADRP, address);
        unsigned base = patch_arm64_register(word, PATCH_ARM64_ADRP);

        for (unsigned i = 1; i <= LOOK_AHEAD_WORDS && at + 4 * (i + 1) <= scan->available; i++) {
                uint32_t next = read_le32(scan->bytes + at + 4 * (size_t)i);
                PatchArm64Form form = patch_arm64_form(next);

                if (form == PATCH_ARM64_ADRP && patch_arm64_register(next, form) == base)
                        break;
                if (form == PATCH_ARM64_LOW && patch_arm64_register(next, form) == base)
                        return page + patch_arm64_target(next, form, 0);
        }
        return page;
}

static bool may_refer(PatchFields *fields, const PatchScan *scan, PatchArm64Form form, uint64_t target)
{
        uint16_t section = patch_walk_section_at(fields, target);
        const PatchElf *elf = &fields->old_elf;

        if (section == PATCH_NO_SECTION || (elf->type == ET_REL && section != scan->region->section))
                return false;
        return form > PATCH_ARM64_BRANCH14 || elf->sections[section].flags & SHF_EXECINSTR;
}

static void take_word(PatchFields *fields, const PatchScan *scan, size_t at, uint64_t address)
{
        uint32_t word = read_le32(scan->bytes + at);
        PatchArm64Form form = patch_arm64_form(word);
        PatchReference reference = { .value = word,
                .old_offset = (uint32_t)(scan->at + at),
                .section = scan->region->section,
                .adjust = (int8_t)form,
                .width = 4,
                .kind = form > PATCH_ARM64_BRANCH14 ? PATCH_KIND_OPERAND : PATCH_KIND_BRANCH,
                .rule = PATCH_RULE_ARM64 };
        unsigned base = patch_arm64_register(word, form);

        if (form == PATCH_ARM64_NONE)
                return;
        reference.start = form == PATCH_ARM64_ADRP ? whole_target(scan, at, word, address)
                                                   : patch_arm64_target(word, form, address);
        if (form == PATCH_ARM64_LOW) {
                /* Only the one that its ADRP was told by. */
                if (fields->pages[base] == 0 || (fields->pages[base] & 4095) != reference.start)
                        return;
                reference.start = fields->pages[base];
                fields->pages[base] = 0;
        }
        /* What is 0 waits for a relocation. */
        if (!may_refer(fields, scan, form, reference.start) ||
                        (fields->old_elf.type == ET_REL && reference.start == address))
                return;
        if (form == PATCH_ARM64_ADRP)
                fields->pages[base] = reference.start;
        patch_walk_add(fields, &reference);
}

size_t patch_scan_arm64(PatchFields *fields, const PatchScan *scan)
{
        const PatchSection *section = &fields->old_elf.sections[scan->region->section];
        uint64_t address = section->address + (scan->at - section->offset);
        size_t at = 0;

        for (; at < scan->limit && at + 4 <= scan->available; at += 4)
                take_word(fields, scan, at, address + at);
        return at;
}
