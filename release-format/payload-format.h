/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The payload container on disk (docs/formats-payload.md has it byte by byte). All integers are
 * little-endian; "varint" is that of common/byte-reader.h.
 *
 *     header   PAYLOAD_HEADER_SIZE bytes                     \  the index: its length and hash stand
 *     table    one zstd frame, PAYLOAD_TABLE_MAX unpacked    /  in the manifest
 *     blobs    one per group, in order, without gaps, to the end of the file
 *
 * The table unpacked: for each group the varints target size, blob size, ops size; then for each group
 * the SHA-256 of its blob, unless that is empty, and of its target; then each group's ops; then sections:
 * varint tag, varint size, bytes. An odd tag that is not known is passed over, an even one refuses the
 * payload. */

#include "macro.h"
#include "payload.h"

#define PAYLOAD_MAGIC "\211BPL\r\n\032\n"
#define PAYLOAD_FORMAT 1

enum {
        PAYLOAD_AT_MAGIC = 0,        /* 8 bytes: bit 7, CR LF and ^Z betray a transfer as text */
        PAYLOAD_AT_FORMAT = 8,       /* u32 */
        PAYLOAD_AT_GROUP_COUNT = 12, /* u32 */
        PAYLOAD_AT_SIZE = 16,        /* u64, of the whole file */
        PAYLOAD_AT_TARGET_SIZE = 24, /* u64 */
        PAYLOAD_AT_SOURCE_SIZE = 32, /* u64 each: old root, old UKI, new root; 0 when not read */
        PAYLOAD_AT_MEMORY = 56,      /* u64, peak memory of the decoder */
        PAYLOAD_AT_TABLE_SIZE = 64,  /* u32, compressed */
        PAYLOAD_AT_TABLE_FULL = 68,  /* u32, unpacked */
        PAYLOAD_AT_RESERVED = 72,    /* u64, zero */
        PAYLOAD_HEADER_SIZE = 80,
};

/* Groups but for the last are whole blocks, so that a caller can write them straight to a device. */
#define PAYLOAD_BLOCK_SIZE 4096
#define PAYLOAD_GROUPS_MAX 65536
#define PAYLOAD_TABLE_MAX (16 * MIB)

/* What a decoder needs, by which every declared peak is checked: the unpacked table, this much for each
 * group, the most that the target of a group and any of its ops (PayloadCodec.heap) take together, the
 * largest blob, the largest scratch memory of any op (PayloadCodec.memory), what the streams of a group take
 * if any has some, and this much for everything else. */
#define PAYLOAD_MEMORY_BASE (1 * MIB)
#define PAYLOAD_MEMORY_PER_GROUP 160

/* An op is its number (one byte), the varint target size, and then what its row in payload_codecs[] says:
 * the varint blob size; its parameters as varints; a varint count of ranges unless the count is fixed; for
 * each range the varint source, the signed varint distance from where the group's last range of that source
 * ended (at first: from the group's target offset), and the varint size, unless the op copies: then
 * the range is as long as its target. */
typedef enum PayloadOpNumber {
        PAYLOAD_OP_SAME = 1,      /* as in the old root image, at the same offset */
        PAYLOAD_OP_COPY = 2,      /* a range as it is */
        PAYLOAD_OP_ZERO = 3,      /* zero bytes */
        PAYLOAD_OP_RAW = 4,       /* the blob as it is */
        PAYLOAD_OP_ZFULL = 5,     /* a zstd frame; its ranges, joined, stand before it as a prefix */
        PAYLOAD_OP_PATCH = 6,     /* copied runs of an old file, differences, literals */
        PAYLOAD_OP_PATCH_ELF = 7, /* the same with predicted addresses */
        PAYLOAD_OP_RECOMP = 8,    /* a patch of what a stream unpacks to, compressed again */
        PAYLOAD_OP_HOLE = 9,      /* made by another op of the group: the rest of what that patches */
        PAYLOAD_OP_ZX86 = 10,     /* a zstd frame of filtered code (x86-filter.h) */
        PAYLOAD_OP_MAX = 64
} PayloadOpNumber;

#define PAYLOAD_RANGES_MAX 512 /* in one op */
#define PAYLOAD_HOLES_MAX 8192 /* in one group */
#define PAYLOAD_PARAMETERS_MAX 7

/* Parameters of PATCH and PATCH_ELF. A file can go on elsewhere in the image (the tail of a file stands with
 * its inode): the patch is then of more bytes than its target. */
enum {
        PAYLOAD_PATCH_RUNS,  /* number of copied runs */
        PAYLOAD_PATCH_SHAPE, /* PATCH_ELF: bytes of shape */
        PAYLOAD_PATCH_REST,  /* PATCH_ELF: bytes of the file after the target */
        PAYLOAD_PATCH_HOLE,  /* PATCH_ELF: the group's hole, counted from 1, that they fill; 0: nothing does
                              */
};
/* Parameters of RECOMP. Its ranges, joined, are the old stream. */
enum {
        PAYLOAD_RECOMP_RUNS,      /* number of copied runs */
        PAYLOAD_RECOMP_SHAPE,     /* bytes of shape */
        PAYLOAD_RECOMP_CODING,    /* of the new stream (recomp.h) */
        PAYLOAD_RECOMP_CLEAR,     /* bytes of its content */
        PAYLOAD_RECOMP_OLD_CODEC, /* of the old stream */
        PAYLOAD_RECOMP_OLD_CLEAR, /* bytes of its content */
        PAYLOAD_RECOMP_OLD_VIEW,  /* bytes that a view of it holds */
        PAYLOAD_RECOMP_PARAMETERS
};

/* Parameter of ZX86: which parts of the target are filtered. */
#define PAYLOAD_ZX86_PARTS 0
