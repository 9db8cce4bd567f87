/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For recomp*.c only: the table of codecs. A new one is a row in recomp.c and a file. */

#include "recomp.h"

#define RECOMP_PIECE (64 * KIB) /* in which streams are read and encoders are fed; part of the format */

typedef struct RecompCodec {
        const char *name;
        bool (*is_valid)(const RecompCoding *coding);
        /* Appends the content; the buffer's cap is the limit. */
        int (*unpack)(const PatchView *packed, Buffer *ret, Error *error);
        int (*encode)(const RecompCoding *coding, const RecompReader *clear, uint8_t *ret, size_t size,
                        Error *error);
        /* What encode() allocates at most, and what unpack() does besides the content. */
        uint64_t (*encoder_memory)(const RecompCoding *coding, uint64_t clear_size_bytes);
        uint64_t decoder_memory;
} RecompCodec;

/* Reads packed bytes front to back. */
typedef struct RecompInput {
        const PatchView *packed;
        uint64_t done;
        uint8_t piece[RECOMP_PIECE];
} RecompInput;

/* The next piece; *ret_size is 0 at the end. */
int recomp_input_next(RecompInput *input, size_t *ret_size, Error *error);

/* Unpacking found these bytes wrong, or an encoder came to another size. Both return -EBADMSG. */
int recomp_malformed(const char *codec, Error *error);
int recomp_other_size(const char *codec, Error *error);

/* Takes the size of the next piece of clear bytes from what is left, and reads it. */
int recomp_read_piece(const RecompReader *clear, uint64_t *left, void *ret, size_t *ret_size, Error *error);

/* LZ4 has a view of its own, which holds marks instead of the content. */
typedef struct Lz4View Lz4View;
int lz4_view_new(const PatchView *packed, uint64_t memory_max_bytes, Lz4View **ret, Error *error);
Lz4View *lz4_view_free(Lz4View *view);
DEFINE_CLEANUP(Lz4View *, lz4_view_free)
int lz4_view_read(Lz4View *view, uint64_t offset, void *ret, size_t size, Error *error);
uint64_t lz4_view_size(const Lz4View *view);
uint64_t lz4_view_memory(const Lz4View *view);

extern const RecompCodec recomp_lz4, recomp_deflate, recomp_xz, recomp_zstd;

#define LZ4_LEGACY_MAGIC 0x184c2102U
