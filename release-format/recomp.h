/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Compressed streams that lie inside files: read in the clear, and made again.
 *
 * A kernel that changed a little differs nearly everywhere once it is compressed. So a delta is made of the
 * clear bytes: the old stream is unpacked, patched, and compressed once more, by the same library with the
 * same parameters, which gives the same bytes as those that were released. An encoder thereby becomes part
 * of the format: tests/golden pins what ours write, and the builder only plans what it has proved to come
 * out alike (image-builder/payloads/recomp-find.h).
 *
 * A stream here is the part of a file that a codec knows from its first to its last byte: without the header
 * of a .gz file, without the length behind a kernel's payload. What surrounds it is patched as it is.
 *
 * Hostile: the packed bytes, codings and sizes. Memory stays below the limits that the caller gives, or
 * below what recomp_encoder_memory() says; a stream that needs more, or is malformed, is -EBADMSG with
 * ERROR_CORRUPT. */

#include "patch-fields.h"

/* Part of the format (docs/formats-payload.md). */
typedef enum RecompCodecNumber {
        RECOMP_NONE,    /* the bytes as they are */
        RECOMP_LZ4,     /* LZ4 legacy frame (lz4 -l): magic, then blocks of 8 MiB. Parameters: level */
        RECOMP_DEFLATE, /* raw deflate, RFC 1951. Parameters: level, memLevel, strategy of zlib */
        RECOMP_XZ,      /* .xz with one block. Parameters: preset, log2 of the dictionary, RECOMP_XZ_* */
        RECOMP_ZSTD,    /* one frame that says its size, RFC 8878. Parameters: level, 1 for a checksum */
        RECOMP_CODECS_MAX
} RecompCodecNumber;

/* Third parameter of RECOMP_XZ: the number of the check (0, 1, 4 or 10) and these. */
#define RECOMP_XZ_CHECK 0x0f
#define RECOMP_XZ_EXTREME 0x10
#define RECOMP_XZ_X86 0x20 /* the filter for x86 code stands before LZMA2 */

#define RECOMP_PARAMETERS 3
#define RECOMP_LZ4_BLOCK (8 * MIB)

/* How a stream is compressed. Parameters that a codec does not have are 0. */
typedef struct RecompCoding {
        uint8_t codec; /* RecompCodecNumber */
        uint8_t parameters[RECOMP_PARAMETERS];
} RecompCoding;

/* A coding as a number, lowest byte first: the codec, then its parameters. */
uint64_t recomp_coding_pack(const RecompCoding *coding);

/* -EBADMSG with ERROR_CORRUPT for a codec or parameters that do not exist. RECOMP_NONE is one. */
int recomp_coding_unpack(uint64_t number, RecompCoding *ret, Error *error);

/* "lz4", "deflate" and so on; "none" for RECOMP_NONE. */
const char *recomp_codec_name(uint8_t codec);

/* Random access to the clear content of a packed stream. Packed bytes are read as they are needed (LZ4:
 * again and again, in pages of 512 KiB clear, as far as it does not hold them; all others: once, and their
 * content is held in memory). */
typedef struct RecompView RecompView;

/* `packed` (its callback borrowed) is exactly one stream. Unpacks it once to prove it. `codec` RECOMP_NONE
 * shows the bytes themselves. -EBADMSG with ERROR_CORRUPT when it is malformed, or when the view would hold
 * more than `memory_max_bytes`. */
int recomp_view_new(uint8_t codec, const PatchView *packed, uint64_t memory_max_bytes, RecompView **ret,
                Error *error);
RecompView *recomp_view_free(RecompView *view);
DEFINE_CLEANUP(RecompView *, recomp_view_free)

/* The clear bytes. Borrows from the view. */
PatchView recomp_view_clear(RecompView *view);

/* The least memory_max_bytes with which the view can be made again. A view of LZ4 that may hold more is
 * faster. */
uint64_t recomp_view_memory(const RecompView *view);

/* Where an encoder gets the clear bytes, front to back. */
typedef struct RecompReader {
        /* Exactly the next `size` bytes. */
        int (*read)(void *data, void *ret, size_t size, Error *error);
        void *data;
        uint64_t size_bytes; /* all there are */
} RecompReader;

/* Compresses all that the reader has into exactly `size` bytes: -EBADMSG with ERROR_CORRUPT when it comes to
 * more or fewer. `coding` has been unpacked by recomp_coding_unpack(). */
int recomp_encode(const RecompCoding *coding, const RecompReader *clear, uint8_t *ret, size_t size,
                Error *error);

/* What it takes at most to have a view of an old stream that holds `view_memory_bytes`, and while it is open
 * to compress so many clear bytes. UINT64_MAX for no memory would do. */
uint64_t recomp_memory(uint8_t old_codec, uint64_t view_memory_bytes, const RecompCoding *coding,
                uint64_t clear_size_bytes);
