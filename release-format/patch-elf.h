/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The skeleton of an ELF file: what lies where, and at which address. Only little-endian 64-bit files are
 * understood; others are left to plain patching.
 *
 * Every section gets an address in one space, also where the file gives it none: a section that is not
 * loaded has PATCH_PSEUDO_ADDRESS + its offset, and in a file that is not linked yet (ET_REL) all are such.
 * So whatever refers to something is an address of the space, and moves as the bytes there move.
 *
 * Hostile: all bytes of the file. Sections end within the file, or the file is not understood. */

#include "patch-fields.h"

#define PATCH_SECTIONS_MAX 1024
#define PATCH_PROGRAMS_MAX 64
#define PATCH_NAME_MAX 32 /* bytes of a section's name that count, with the NUL */
#define PATCH_NO_SECTION UINT16_MAX
#define PATCH_PSEUDO_ADDRESS (UINT64_C(0x7b) << 56)

#define PATCH_ELF_HEADER_SIZE 64
#define PATCH_ELF_PROGRAM_SIZE 56
#define PATCH_ELF_SECTION_SIZE 64
#define PATCH_ELF_SYMBOL_SIZE 24
#define PATCH_ELF_RELA_SIZE 24

typedef struct PatchSection {
        uint64_t flags, sh_address, offset, size_bytes, align, entry_size; /* as in the file's table */
        uint64_t address;                                                  /* in the one space */
        uint32_t name_at, type, link, info;
        uint16_t counterpart; /* the same section in the other file, or PATCH_NO_SECTION */
        char name[PATCH_NAME_MAX];
} PatchSection;

typedef struct PatchElf {
        uint16_t type, machine;
        uint64_t entry, programs_at, sections_at;
        uint16_t program_count, section_count, names_index;
        uint64_t file_size_bytes, end_bytes; /* of the file; of what the ELF structures describe */
        PatchSection *sections;              /* owned; section_count of them */
        uint16_t *by_offset, *by_address; /* owned; indices of sections that have bytes, that are loaded */
        size_t by_offset_count, by_address_count;
} PatchElf;

/* Reads header, section table and names. 1, or 0 when this is no file that is understood (nothing is then
 * allocated). */
int patch_elf_read(const PatchView *view, PatchElf *ret, Error *error);

/* Works out addresses and the two orders; `elf` has its sections and sizes. */
int patch_elf_arrange(PatchElf *elf);
void patch_elf_done(PatchElf *elf);

/* The section that holds a byte of the file, or an address (the end of a section counts when nothing begins
 * there); PATCH_NO_SECTION when there is none. *hint remembers the last answer; it starts as 0. */
uint16_t patch_elf_at_offset(const PatchElf *elf, uint64_t offset, size_t *hint);
uint16_t patch_elf_at_address(const PatchElf *elf, uint64_t address, size_t *hint);

bool patch_section_has_bytes(const PatchSection *section);
