/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-x86.h"

#include "bytes.h"
#include "patch-walk.h"

#include <elf.h>
#include <string.h>

/* Lengths of instructions in 64-bit mode, after the opcode maps of the Intel manual, volume 2, appendix A.
 * What an opcode is followed by: */
enum {
        NONE = 0,
        MODRM = 1,
        IMM8 = 2,
        IMM_Z = 4, /* 4 bytes; 2 with an operand size prefix */
        IMM16 = 8,
        IMM_V = 16,  /* as IMM_Z, 8 with REX.W */
        OFFSET = 32, /* 8 bytes */
        BRANCH = 64, /* 4 bytes relative to the next instruction */
        BAD = 128,
};

#define ARITHMETIC(base)                                                                                    \
        [(base)...(base) + 3] = MODRM, [(base) + 4] = IMM8, [(base) + 5] = IMM_Z, [(base) + 6] = BAD,       \
                           [(base) + 7] = BAD

static const uint8_t one_byte[256] = {
        ARITHMETIC(0x00),
        ARITHMETIC(0x08),
        ARITHMETIC(0x10),
        ARITHMETIC(0x18),
        ARITHMETIC(0x20),
        ARITHMETIC(0x28),
        ARITHMETIC(0x30),
        ARITHMETIC(0x38),
        [0x60 ... 0x62] = BAD,
        [0x63] = MODRM,
        [0x68] = IMM_Z,
        [0x69] = MODRM | IMM_Z,
        [0x6a] = IMM8,
        [0x6b] = MODRM | IMM8,
        [0x70 ... 0x7f] = IMM8,
        [0x80] = MODRM | IMM8,
        [0x81] = MODRM | IMM_Z,
        [0x82] = BAD,
        [0x83] = MODRM | IMM8,
        [0x84 ... 0x8f] = MODRM,
        [0x9a] = BAD,
        [0xa0 ... 0xa3] = OFFSET,
        [0xa8] = IMM8,
        [0xa9] = IMM_Z,
        [0xb0 ... 0xb7] = IMM8,
        [0xb8 ... 0xbf] = IMM_V,
        [0xc0 ... 0xc1] = MODRM | IMM8,
        [0xc2] = IMM16,
        [0xc6] = MODRM | IMM8,
        [0xc7] = MODRM | IMM_Z,
        [0xc8] = IMM16 | IMM8,
        [0xca] = IMM16,
        [0xcd] = IMM8,
        [0xce] = BAD,
        [0xd0 ... 0xd3] = MODRM,
        [0xd4 ... 0xd6] = BAD,
        [0xd8 ... 0xdf] = MODRM,
        [0xe0 ... 0xe7] = IMM8,
        [0xe8 ... 0xe9] = BRANCH,
        [0xea] = BAD,
        [0xeb] = IMM8,
        [0xf6 ... 0xf7] = MODRM,
        [0xfe ... 0xff] = MODRM,
};

/* After 0f; what is not named has a ModRM byte. */
static const uint8_t two_byte[256] = {
        [0x00 ... 0x04] = MODRM,
        [0x0a] = BAD,
        [0x0c] = BAD,
        [0x0d] = MODRM,
        [0x0f] = MODRM | IMM8,
        [0x10 ... 0x2f] = MODRM,
        [0x38 ... 0x6f] = MODRM,
        [0x70 ... 0x73] = MODRM | IMM8,
        [0x74 ... 0x76] = MODRM,
        [0x78 ... 0x7f] = MODRM,
        [0x80 ... 0x8f] = BRANCH,
        [0x90 ... 0x9f] = MODRM,
        [0xa3] = MODRM,
        [0xa4] = MODRM | IMM8,
        [0xa5 ... 0xa7] = MODRM,
        [0xab] = MODRM,
        [0xac] = MODRM | IMM8,
        [0xad ... 0xb9] = MODRM,
        [0xba] = MODRM | IMM8,
        [0xbb ... 0xc1] = MODRM,
        [0xc2] = MODRM | IMM8,
        [0xc3] = MODRM,
        [0xc4 ... 0xc6] = MODRM | IMM8,
        [0xc7] = MODRM,
        [0xd0 ... 0xff] = MODRM,
};

/* Legacy prefixes, and 4 for REX. */
static const uint8_t prefixes[256] = {
        [0x26] = 1,
        [0x2e] = 1,
        [0x36] = 1,
        [0x3e] = 1,
        [0x64] = 1,
        [0x65] = 3,
        [0x66] = 2,
        [0x67] = 1,
        [0xf0] = 1,
        [0xf2] = 1,
        [0xf3] = 1,
        [0x40 ... 0x4f] = 4,
};

typedef struct Decoding {
        const uint8_t *p;
        size_t at;
        uint8_t what; /* follows the opcode */
        bool operand16, wide;
} Decoding;

/* VEX (c4, c5) and EVEX (62): payload, opcode, ModRM, and an immediate where the map has one. */
static void decode_vex(Decoding *d, PatchX86 *x)
{
        uint8_t first = d->p[d->at], map = 1;

        if (first == 0xc5) {
                d->at += 2;
        } else {
                map = d->p[d->at + 1] & (first == 0xc4 ? 0x1f : 0x07);
                d->at += first == 0xc4 ? 3 : 4;
        }
        x->opcode = d->p[d->at++];
        if (map == 1)
                d->what = x->opcode == 0x77 ? NONE : (two_byte[x->opcode] & IMM8) | MODRM;
        else
                d->what = map == 3 ? MODRM | IMM8 : map == 0 ? BAD : MODRM;
}

static void decode_opcode(Decoding *d, PatchX86 *x)
{
        uint8_t byte = d->p[d->at];

        if (byte == 0xc4 || byte == 0xc5 || byte == 0x62) {
                decode_vex(d, x);
                return;
        }
        d->at++;
        x->opcode = byte;
        d->what = one_byte[byte];
        if (byte != 0x0f) {
                if ((byte & 0xfe) == 0xf6 && (d->p[d->at] & 0x30) == 0)
                        d->what |= byte == 0xf6 ? IMM8 : IMM_Z;
                return;
        }
        byte = d->p[d->at++];
        x->opcode = byte;
        d->what = two_byte[byte];
        x->escaped = true;
        if (byte == 0x38 || byte == 0x3a) {
                d->what = byte == 0x38 ? MODRM : MODRM | IMM8;
                d->at++;
        }
}

static void decode_modrm(Decoding *d, PatchX86 *x)
{
        uint8_t modrm = d->p[d->at++], mode = modrm >> 6, base = modrm & 7;

        x->modrm = modrm;
        if (mode == 3)
                return;
        if (base == 4) {
                if (mode == 0 && (d->p[d->at] & 7) == 5) {
                        x->displacement_at = (uint8_t)++d->at;
                        d->at += 4;
                        return;
                }
                d->at++;
        } else if (mode == 0 && base == 5) {
                x->relative_at = (uint8_t)d->at;
                d->at += 4;
        }
        if (mode == 2) {
                x->displacement_at = (uint8_t)d->at;
                d->at += 4;
        } else if (mode == 1) {
                d->at++;
        }
}

static void decode_immediate(Decoding *d, PatchX86 *x)
{
        if (d->what & (IMM_Z | IMM_V)) {
                if (d->what & IMM_V && d->wide) {
                        d->at += 8;
                } else if (d->operand16) {
                        d->at += 2;
                } else {
                        x->immediate_at = (uint8_t)d->at;
                        d->at += 4;
                }
        }
        d->at += (d->what & IMM8 ? 1 : 0) + (d->what & IMM16 ? 2 : 0) + (d->what & OFFSET ? 8 : 0);
        if (d->what & BRANCH) {
                x->relative_at = (uint8_t)d->at;
                x->branch = true;
                d->at += 4;
        }
}

size_t patch_x86_decode(const uint8_t *p, PatchX86 *ret)
{
        Decoding d = { .p = p };

        *ret = (PatchX86){ 0 };
        while (prefixes[p[d.at]] && d.at < 5) {
                uint8_t prefix = prefixes[p[d.at]];

                if (prefix == 4) {
                        d.wide = p[d.at] & 8;
                        d.at++;
                        break;
                }
                d.operand16 |= prefix == 2;
                ret->per_cpu |= prefix == 3;
                d.at++;
        }
        decode_opcode(&d, ret);
        if (d.what & BAD)
                return 0;
        if (d.what & MODRM)
                decode_modrm(&d, ret);
        decode_immediate(&d, ret);
        return d.at;
}

typedef struct Place {
        const PatchScan *scan;
        size_t at, length; /* of the instruction */
} Place;

static void add(PatchFields *fields, const Place *place, size_t field_at, PatchKind kind, PatchRule rule,
                int adjust)
{
        const PatchReference reference = {
                .value = read_le32(place->scan->bytes + place->at + field_at),
                .old_offset = (uint32_t)(place->scan->at + place->at + field_at),
                .section = place->scan->region->section,
                .adjust = (int8_t)adjust,
                .width = 4,
                .kind = (uint8_t)kind,
                .rule = (uint8_t)rule,
        };

        patch_walk_add(fields, &reference);
}

static void note_table(PatchFields *fields, uint64_t target, uint16_t section)
{
        uint64_t at = target - fields->old_elf.sections[section].address;

        if (section == fields->table_section && at % 4 == 0 &&
                        at < fields->old_elf.sections[section].size_bytes)
                fields->table_starts[at / 32] |= (uint8_t)(1 << at / 4 % 8);
}

static void take_relative(PatchFields *fields, const Place *place, const PatchX86 *x)
{
        const PatchSection *home = &fields->old_elf.sections[place->scan->region->section];
        const uint8_t *p = place->scan->bytes + place->at;
        int adjust = (int)(place->length - x->relative_at);
        uint64_t target = home->address + (place->scan->at + place->at - home->offset) + place->length +
                          (uint64_t)(int32_t)read_le32(p + x->relative_at);
        uint16_t section = patch_walk_section_at(fields, target);

        /* What is 0 waits for a relocation. */
        if (fields->old_elf.type == ET_REL &&
                        (section != place->scan->region->section || read_le32(p + x->relative_at) == 0))
                return;
        if (section == PATCH_NO_SECTION ||
                        (x->branch && !(fields->old_elf.sections[section].flags & SHF_EXECINSTR)))
                return;
        if (x->opcode == 0x8d && fields->table_starts)
                note_table(fields, target, section);
        add(fields, place, x->relative_at, x->branch ? PATCH_KIND_BRANCH : PATCH_KIND_OPERAND,
                        PATCH_RULE_RELATIVE, adjust);
}

/* The kernel is linked to run in the top 2 GiB, so addresses stand in instructions as they are. */
static void take_absolute(PatchFields *fields, const Place *place, size_t at, bool per_cpu)
{
        int32_t value = (int32_t)read_le32(place->scan->bytes + place->at + at);
        uint64_t address = (uint64_t)(int64_t)value;

        if (value >= 0 ? per_cpu && value >= 64 : value < -4096)
                if (patch_walk_section_at(fields, address) != PATCH_NO_SECTION)
                        add(fields, place, at, PATCH_KIND_OPERAND, PATCH_RULE_ABSOLUTE, 0);
}

static void take_instruction(PatchFields *fields, const Place *place, const PatchX86 *x)
{
        if (x->relative_at)
                take_relative(fields, place, x);
        if (fields->kernel && x->displacement_at)
                take_absolute(fields, place, x->displacement_at, x->per_cpu);
        if (fields->kernel && x->immediate_at)
                take_absolute(fields, place, x->immediate_at, false);
}

/* The last instructions of a section are decoded from a copy with zeros behind; what would reach beyond the
 * section is none. */
static void scan_end(PatchFields *fields, const PatchScan *scan, size_t at)
{
        uint8_t copy[2 * PATCH_X86_MAX] = { 0 };
        PatchScan rest = { .at = scan->at + at, .bytes = copy, .region = scan->region };
        Place place = { .scan = &rest };
        PatchX86 x;

        rest.limit = rest.available = scan->available - at;
        memcpy(copy, scan->bytes + at, rest.available);
        for (; place.at < rest.limit; place.at += MAX_OF(place.length, (size_t)1)) {
                place.length = patch_x86_decode(copy + place.at, &x);
                if (place.length > 0 && place.at + place.length <= rest.available)
                        take_instruction(fields, &place, &x);
        }
}

size_t patch_scan_x86(PatchFields *fields, const PatchScan *scan)
{
        Place place = { .scan = scan };
        PatchX86 x;

        while (place.at < scan->limit && place.at + PATCH_X86_MAX <= scan->available) {
                place.length = patch_x86_decode(scan->bytes + place.at, &x);
                if (place.length == 0) {
                        place.at++;
                        continue;
                }
                take_instruction(fields, &place, &x);
                place.at += place.length;
        }
        if (place.at < scan->limit && scan->at + scan->available == scan->region->end) {
                scan_end(fields, scan, place.at);
                return scan->available;
        }
        return place.at;
}
