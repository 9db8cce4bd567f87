/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which bytes of a copied old run are addresses, and what they will be in the new file.
 *
 * A program that is built again with a small change differs from the old one nearly everywhere, because what
 * moved is referred to from everywhere. A patch copies runs of the old file (PatchSegment) and adds what is
 * different. This module walks the old bytes of such runs, finds the fields in them that refer to something
 * (branches, addresses in tables, relocations, indices of symbols and types) and says what each will be once
 * its target has moved. What it says need not be right: the coder stores the difference, which is nearly
 * always zero.
 *
 * The encoder and the decoder run this same code over the same old bytes, segments, shape and learned
 * values, and so come to the same predictions; the rules are part of the format
 * (docs/formats-prediction.md). Only old bytes are looked at, so a decoder needs one pass.
 *
 * Hostile: the old bytes, the segments, the shape, and the values learned. Whatever they are, nothing is
 * read outside the view, fields lie inside their segment, do not overlap and are in order, memory stays
 * below patch_fields_memory_bytes() and time is linear in what is copied.
 *
 * How a decoder uses it:
 *
 *     patch_fields_new(...)
 *     for each segment:
 *             patch_fields_begin(fields, segment)
 *             while patch_fields_next(fields, &field) == 1:
 *                     bytes up to field.new_offset: old byte + byte of the raw difference
 *                     actual = field.predicted + difference from the stream of field.kind, modulo its width
 *                     patch_fields_learn(fields, actual)
 *             the rest of the segment: old byte + byte of the raw difference
 */

#include "buffer.h"
#include "error.h"

/* Runs of the old file that the new one contains, more or less, in order of new_offset and without overlap
 * there. */
typedef struct PatchSegment {
        uint64_t old_offset, new_offset, size_bytes;
} PatchSegment;

/* The content of a file: ranges of a source one after the other, or a stream that is unpacked. Reads of the
 * walk go forward for the most part, in pieces of at most 64 KiB. */
typedef struct PatchView {
        /* `size` bytes at `offset`, which lie within size_bytes. */
        int (*read)(void *data, uint64_t offset, void *ret, size_t size, Error *error);
        void *data;
        uint64_t size_bytes;
} PatchView;

/* Kinds of fields. Fields of one kind have differences that are alike, so each kind is a stream of its own;
 * the width of a field can differ within a kind. */
typedef enum PatchKind {
        PATCH_KIND_BRANCH,   /* displacement of a branch or call */
        PATCH_KIND_OPERAND,  /* displacement of an operand in memory, absolute operands in code */
        PATCH_KIND_POINTER,  /* an address in data, in relocations, or in a table of symbols */
        PATCH_KIND_RELATIVE, /* in a table: distance from the field, or from the table, to an address */
        PATCH_KIND_LOCATION, /* where a relocation applies; sorted tables of addresses */
        PATCH_KIND_ADDEND,   /* addends of relocations of files that are not linked yet */
        PATCH_KIND_SYMBOL,   /* indices of symbols */
        PATCH_KIND_STRING,   /* offsets into tables of strings */
        PATCH_KIND_SIZE,     /* sizes of symbols and of parts of tables */
        PATCH_KIND_TYPE,     /* type ids in BTF */
        PATCH_KIND_HEADER,   /* ELF header, program headers, section headers */
        PATCH_KIND_REPEATED, /* what changes in one file as it did in others: checksums of symbols, versions
                              */
        PATCH_KIND_MAX
} PatchKind;

/* A little-endian integer of 1 to 8 bytes. Only the low `width` bytes of `predicted` count; the others are
 * zero. */
typedef struct PatchField {
        uint64_t new_offset;
        uint64_t predicted;
        uint8_t width;
        uint8_t kind;
} PatchField;

typedef struct PatchFields PatchFields;
typedef struct PatchShared PatchShared;

#define PATCH_SEGMENTS_MAX (512 * 1024) /* segments of one file */
#define PATCH_SHAPE_MAX (256 * 1024)    /* bytes of one shape */

/* What several files of one group share, as they change alike (BTF ids, checksums of symbols). One per
 * group, and both sides use it for the same files in the same order. It is not needed after the last file.
 */
PatchShared *patch_shared_new(void); /* NULL: out of memory */
PatchShared *patch_shared_free(PatchShared *shared);
DEFINE_CLEANUP(PatchShared *, patch_shared_free)

/* For the encoder: appends the shape of the new file, which prediction needs (its sections, coded against
 * the old ones). 1, or 0 with nothing appended when the files hold nothing that can be predicted. A file
 * that is not understood is no error. The shape is not compressed. */
int patch_fields_describe(const PatchView *old_file, const PatchView *new_file, const PatchSegment *segments,
                size_t count, Buffer *ret, Error *error);

/* Prepares the walk of one file. Borrows all that it is given until patch_fields_free(). -EBADMSG with
 * ERROR_CORRUPT for a shape or for segments that cannot be; else what reading the view, or memory, gave. */
int patch_fields_new(const PatchView *old_file, uint64_t new_size_bytes, const PatchSegment *segments,
                size_t count, const uint8_t *shape, size_t shape_size, PatchShared *shared,
                PatchFields **ret, Error *error);
PatchFields *patch_fields_free(PatchFields *fields);
DEFINE_CLEANUP(PatchFields *, patch_fields_free)

/* Starts with a segment. They are visited once each, in order; one may be left out. */
int patch_fields_begin(PatchFields *fields, size_t segment, Error *error);

/* The next field of the segment: 1; or 0 when there is no more. Every field must be learned before the next
 * call. */
int patch_fields_next(PatchFields *fields, PatchField *ret, Error *error);

/* What the field that patch_fields_next() gave last really is in the new file. */
void patch_fields_learn(PatchFields *fields, uint64_t actual);

/* What a PatchFields, and a PatchShared, allocate at most. */
uint64_t patch_fields_memory_bytes(uint64_t old_size_bytes, uint64_t new_size_bytes, size_t segment_count);
uint64_t patch_shared_memory_bytes(void);
