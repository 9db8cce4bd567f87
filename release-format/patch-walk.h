/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Inside of patch-fields.h: regions of the old file, each with a role that says what in it refers to
 * something; scanners, one for each role, that turn old bytes into references; and the rules by which a
 * reference is foretold once it is its turn. Adding a kind of table is adding a role: a row in
 * patch-roles.c and a scanner.
 *
 * A scanner sees old bytes only, has no state but what it keeps in the walk, and need not care about
 * segments: the walk drops what lies outside of the present one, what overlaps, and what is out of order. */

#include "patch-btf.h"
#include "patch-elf.h"
#include "patch-map.h"

struct PatchShared {
        PatchLearned *learned;
        PatchRuns types, strings; /* of the kernel: numbers of records, offsets of strings */
};

#define PATCH_REGIONS_BESIDES 12 /* regions there can be more than sections */
#define PATCH_TOKENS 256
#define PATCH_TOKEN_VOTES 4
#define PATCH_MARK_STEP 512u  /* marks[i]: where the first record begins that does so at or after i steps */
#define PATCH_CHUNK 4096u     /* old bytes a scanner is asked for at a time */
#define PATCH_LOOK_AHEAD 64u  /* that it may see beyond, unless the region ends */
#define PATCH_REFERENCES 2048 /* that it may make of them */

/* How a reference is foretold. With ADDRESS rules the field is target - base, where target is an address of
 * the old space, and becomes (new target) - (new base). */
typedef enum PatchRule {
        PATCH_RULE_ABSOLUTE,    /* base 0 */
        PATCH_RULE_RELATIVE,    /* base: the field's own address, plus `adjust` */
        PATCH_RULE_SECTION,     /* base: the start of section `section`, less `adjust` */
        PATCH_RULE_FOLLOW,      /* as SECTION, but as far as the one before moved, if there is one */
        PATCH_RULE_TABLE,       /* base: the address `start`, wherever that will be */
        PATCH_RULE_INDEX,       /* an index of entries of PATCH_ELF_SYMBOL_SIZE in section `section` */
        PATCH_RULE_SPAN,        /* a size of what begins at address `start` */
        PATCH_RULE_SPAN_BEFORE, /* a size of what the reference before pointed to */
        PATCH_RULE_BACK,        /* a distance in the file from its field back to what begins there */
        PATCH_RULE_ROW,         /* of the section table: what the shape says */
        PATCH_RULE_NAME,        /* in BTF: an offset of a string */
        PATCH_RULE_TYPE,        /* in BTF: the number of a type */
        PATCH_RULE_NEGATIVE,    /* what `start` stands for, less 1, less an address */
        PATCH_RULE_RANK,        /* 3 bytes, highest first: the number of an entry of the kernel's symbols */
        PATCH_RULE_ARM64,       /* an instruction of form `adjust` that stands for the address `start` */
        PATCH_RULE_TOKEN,       /* a byte of a name of the kernel's symbols */
        PATCH_RULE_SHARED,      /* what became of the same value, of family `start`, before */
        PATCH_RULE_GIVEN,       /* `start` is what is foretold */
        PATCH_RULE_MAX
} PatchRule;

typedef struct PatchReference {
        uint64_t value; /* the field as it stands in the old file */
        uint64_t start; /* for some rules */
        uint32_t old_offset;
        uint16_t section;
        int8_t adjust;
        uint8_t width, kind, rule;
} PatchReference;

typedef enum PatchRole {
        PATCH_ROLE_NONE,
        PATCH_ROLE_X86,
        PATCH_ROLE_ARM64,
        PATCH_ROLE_RELA,
        PATCH_ROLE_SYMBOLS,
        PATCH_ROLE_POINTERS,
        PATCH_ROLE_RELATIVES,
        PATCH_ROLE_DYNAMIC,
        PATCH_ROLE_EH_FRAME,
        PATCH_ROLE_EH_FRAME_INDEX,
        PATCH_ROLE_JUMP_TABLES,
        PATCH_ROLE_ELF_HEADER,
        PATCH_ROLE_PROGRAM_TABLE,
        PATCH_ROLE_SECTION_TABLE,
        PATCH_ROLE_RELOCATION_LIST,
        PATCH_ROLE_RELOC,
        PATCH_ROLE_KALLSYMS_OFFSETS,
        PATCH_ROLE_KALLSYMS_RANKS,
        PATCH_ROLE_KALLSYMS_NAMES,
        PATCH_ROLE_GO_HEADER,
        PATCH_ROLE_GO_ENTRIES,
        PATCH_ROLE_GO_RECORDS,
        PATCH_ROLE_BTF_HEADER,
        PATCH_ROLE_BTF,
        PATCH_ROLE_CHECKSUMS,
        PATCH_ROLE_MODULE_INFO,
        PATCH_ROLE_REPEATED,
        PATCH_ROLE_MAX
} PatchRole;

typedef struct PatchRegion {
        uint64_t start, end; /* offsets in the old file */
        uint16_t section;    /* PATCH_NO_SECTION for what is none */
        uint8_t role;
        uint8_t stride;  /* of RELATIVES: the size of an entry */
        uint8_t columns; /* and which of its 4 bytes are such, bit by bit */
        uint32_t *marks; /* owned; boundaries of records, see patch-frames.c */
} PatchRegion;

typedef struct PatchScan {
        uint64_t at;          /* old offset of the first byte */
        const uint8_t *bytes; /* from there */
        size_t limit;         /* bytes that are asked for */
        size_t available;     /* bytes that may be looked at; >= limit */
        const PatchRegion *region;
} PatchScan;

/* What becomes of a byte in the names of the kernel's symbols, and how sure that is. */
typedef struct PatchToken {
        uint8_t becomes, votes;
} PatchToken;

/* Places in the old file; see patch-kallsyms.c. */
typedef struct PatchKallsyms {
        uint64_t offsets_at, ranks_at; /* 0: there are none */
        uint64_t names_at, names_end;
        uint32_t *marks; /* owned; where names begin, see PATCH_MARK_STEP */
        size_t marks_count;
        uint32_t tokens_at[PATCH_TOKENS]; /* strings that the bytes of names stand for */
        bool has_tokens;
        uint64_t base;
        uint32_t count; /* of symbols; 0 when there is no table */
        uint16_t section;
} PatchKallsyms;

/* Parts of the table of functions of a program made by Go; see patch-go.c. */
typedef struct PatchGo {
        uint64_t text, names, tables, entries; /* addresses that its distances count from */
        uint64_t entries_at, records_at, end;  /* offsets */
        uint32_t *marks;                       /* owned; where records begin, see PATCH_MARK_STEP */
        uint16_t section;
        uint8_t record_size; /* of the fixed part; 0 when there is no table */
} PatchGo;

/* How far the last reference of a kind moved, and in which region that was. */
typedef struct PatchDrift {
        size_t region;
        uint64_t shift;
} PatchDrift;

struct PatchFields {
        const PatchView *old_file;
        PatchElf old_elf, new_elf;
        PatchProjection *projection;
        PatchLearned *learned;
        PatchShared *shared;
        const PatchSegment *segments;
        size_t segment_count;
        bool kernel;

        PatchRegion *regions; /* in order, not overlapping */
        size_t region_count;

        /* Of the section of read-only data: a bit for each 4 bytes that code refers to. */
        uint8_t *table_starts;
        uint16_t table_section;
        /* Of all data up to its last: a bit for each 8 bytes that is relocated. NULL when that is not known.
         */
        uint8_t *relocated;
        uint64_t relocated_first, relocated_end; /* addresses */

        uint16_t *symbol_sections; /* for each symbol the section that it stands for; 0: none */
        uint16_t symbol_table;     /* the section with those symbols */
        uint32_t symbol_count;

        PatchBtf old_btf, new_btf; /* without records when there is none */
        PatchRuns types;           /* numbers of records of the old BTF and of the new */
        PatchBtfRecord btf_record; /* that is being scanned */
        uint64_t btf_body_end;     /* offset of its end */

        PatchKallsyms kallsyms;
        PatchGo go;
        PatchToken tokens[PATCH_TOKENS];
        uint64_t pages[32]; /* what ADRP has put into registers of AArch64; 0: nothing */

        uint64_t jump_table,
                        jump_next; /* address of the jump table that is being scanned; where its scan is */
        uint64_t cie_at;           /* offset of the common information entry that was read last, */
        bool cie_has_lsda;         /* and whether its frames have language-specific data */
        int failure;               /* of a scanner's own reading */

        const PatchSegment *segment;
        size_t region;      /* the one that is being scanned */
        uint64_t scan_at;   /* where in it */
        uint64_t taken_end; /* old offset behind the last field given out */
        size_t next, count; /* of references */
        PatchReference *references;

        /* The field that was given out last. */
        PatchReference current;
        uint64_t target, new_base, mapped, foretold;
        PatchDrift drifts[PATCH_KIND_MAX];

        size_t hint_old_address, hint_old_offset, hint_new_offset, hint_project;

        uint8_t *window;
        uint64_t window_at, read_end; /* no more is read ahead than up to read_end */
        size_t window_size;
};

/* Notes a reference; beyond PATCH_REFERENCES it is forgotten. */
void patch_walk_add(PatchFields *fields, const PatchReference *reference);

/* Old bytes [offset, offset + size), which lie in the file; size at most PATCH_CHUNK + PATCH_LOOK_AHEAD.
 * They hold until the next call. */
int patch_walk_bytes(PatchFields *fields, uint64_t offset, size_t size, const uint8_t **ret, Error *error);

/* Whether an address of the old space lies in a section, and in which. */
uint16_t patch_walk_section_at(PatchFields *fields, uint64_t address);

/* The rows of the table of roles. Where scanning has to begin so that records are met from their start: at
 * or before `offset`, within the region. */
uint64_t patch_role_sync(PatchFields *fields, PatchRegion *region, uint64_t offset, Error *error);
size_t patch_role_scan(PatchFields *fields, const PatchScan *scan);

/* Cuts the old file into regions. */
int patch_regions_make(PatchFields *fields, Error *error);

/* Where to begin with BTF; as patch_role_sync(). */
uint64_t patch_btf_sync(PatchFields *fields, const PatchRegion *region, uint64_t offset, Error *error);

/* Foretells what a reference becomes at an offset of the new file, and learns what it was. */
uint64_t patch_rule_foretell(PatchFields *fields, const PatchReference *reference, uint64_t offset);
void patch_rule_learn(PatchFields *fields, const PatchReference *reference, uint64_t actual);

/* Scanners: make references of the records that begin in [at, at + limit) and return how many bytes they
 * took. 0: nothing more to be had in this region. */
size_t patch_scan_x86(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_arm64(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_rela(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_symbols(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_pointers(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_relatives(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_dynamic(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_eh_frame(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_eh_frame_index(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_jump_tables(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_reloc(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_checksums(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_module_info(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_repeated(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_kallsyms_offsets(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_kallsyms_names(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_kallsyms_ranks(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_go_header(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_go_entries(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_go_records(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_btf_header(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_btf(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_elf_header(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_program_table(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_section_table(PatchFields *fields, const PatchScan *scan);
size_t patch_scan_relocation_list(PatchFields *fields, const PatchScan *scan);
