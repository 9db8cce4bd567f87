/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* BTF, the kernel's type information: a header of 24 bytes, records of types, strings. Types refer to each
 * other by number, counting records, and to strings by offset. That of a module continues the kernel's: its
 * numbers and string offsets begin where those end.
 *
 * Which number a record has in the new file follows from the segments and, for each of them, the number of
 * its first record there, which the shape says. What became of the kernel's numbers is kept in the
 * PatchShared for its modules.
 *
 * Hostile: everything; a section that does not parse has no fields. */

#include "byte-reader.h"
#include "patch-elf.h"
#include "patch-map.h"

#define PATCH_BTF_HEADER_SIZE 24
#define PATCH_BTF_TYPES_MAX (256u * 1024)
#define PATCH_BTF_RUNS_MAX (32u * 1024)

enum {
        BTF_INT = 1,
        BTF_PTR,
        BTF_ARRAY,
        BTF_STRUCT,
        BTF_UNION,
        BTF_ENUM,
        BTF_FWD,
        BTF_TYPEDEF,
        BTF_VOLATILE,
        BTF_CONST,
        BTF_RESTRICT,
        BTF_FUNC,
        BTF_FUNC_PROTO,
        BTF_VAR,
        BTF_DATASEC,
        BTF_FLOAT,
        BTF_DECL_TAG,
        BTF_TYPE_TAG,
        BTF_ENUM64,
};

typedef struct PatchBtf {
        uint16_t section;
        uint64_t types_at, types_end, strings_at, strings_end; /* offsets in the file */
        uint32_t first_type, first_string;                     /* 1 and 0 but in a module */
        uint32_t count;
        uint32_t *starts; /* owned; of each record, from types_at, and their end */
} PatchBtf;

/* Numbers that go on one after the other in both files. */
typedef struct PatchRun {
        uint32_t old_first, new_first, count;
} PatchRun;

typedef struct PatchRuns {
        PatchRun *runs; /* owned; in order of old_first, without overlap */
        size_t count;
} PatchRuns;

/* 1, or 0 when the file has none that is understood. Memory: 4 bytes a record, of at most
 * PATCH_BTF_TYPES_MAX. */
int patch_btf_read(const PatchView *view, const PatchElf *elf, PatchBtf *ret, Error *error);
void patch_btf_done(PatchBtf *btf);

/* The number of bytes of one record's body, of one of its members, and whether the third word of its head is
 * a type. */
typedef struct PatchBtfRecord {
        uint8_t kind;
        bool refers;
        uint32_t member_size, body_size;
} PatchBtfRecord;

void patch_btf_record(const uint8_t *head, PatchBtfRecord *ret);

/* The first record that begins at or after an offset of the file; `count` when there is none. */
uint32_t patch_btf_find(const PatchBtf *btf, uint64_t offset);

/* For the encoder: what the sections do not say (the numbers that a module's begin with). */
int patch_btf_infer_bases(const PatchView *view, PatchBtf *btf, Error *error);

/* The part of the shape on BTF; `new_btf` is a whole one when writing, and only sizes when reading. */
int patch_btf_write_shape(const PatchBtf *old_btf, const PatchBtf *new_btf, const PatchSegment *segments,
                size_t count, Buffer *ret);
int patch_btf_read_shape(ByteReader *reader, PatchBtf *old_btf, const PatchElf *new_elf,
                uint16_t new_section, const PatchSegment *segments, size_t count, PatchBtf *ret_new,
                PatchRuns *ret_runs);

/* Sorts runs, and of what several hold leaves it to the longest. */
void patch_runs_settle(PatchRuns *runs);

/* The new number of an old one; otherwise false, and *ret is that by the nearest run. */
bool patch_runs_get(const PatchRuns *runs, uint32_t old_number, uint32_t *ret);
