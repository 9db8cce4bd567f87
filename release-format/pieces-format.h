/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The bytes of pieces.h's files: see docs/formats-pieces.md. Little-endian. */

#define PIECES_MAGIC "\211BPC\r\n\032\n"

enum {
        PIECES_AT_MAGIC = 0,
        PIECES_AT_FORMAT = 8,
        PIECES_AT_COUNT = 12,
        PIECES_AT_FILE_SIZE = 16,
        PIECES_AT_IMAGE_SIZE = 24,
        PIECES_AT_SEGMENT = 32,
        PIECES_AT_BLOCKS_MAX = 36,
        PIECES_AT_TABLE_SIZE = 40,
        PIECES_AT_TABLE_FULL = 44,
        PIECES_AT_RESERVED = 48
};

#define PIECE_HASH_SIZE 8
#define PIECE_BLOCKS_BITS 4 /* of the varint that tells a piece's blob size and blocks */
