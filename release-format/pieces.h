/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An image in pieces of a few blocks, each of which can be fetched and decoded by itself: for hosts for
 * which there is no delta, or whose source is damaged (docs/formats-pieces.md). The index tells each piece's
 * hash, so that a host fetches only those that it has nowhere.
 *
 * A piece is one zstd frame with the image's bytes before its segment as a prefix. So whoever makes the
 * pieces of an image front to back has every prefix, and needs no other piece's blob.
 *
 * The index is hostile until its hash was compared; blobs are hostile always, as they are compared with
 * nothing before they are decoded: what comes out of them is. The hashes are short. They serve to find and
 * to notice damage; what proves the image is reading it back. */

#include "payload.h"

#define PIECES_FORMAT 1
#define PIECES_HEADER_SIZE 64
#define PIECE_BLOCK_SIZE 4096
#define PIECE_BLOCKS_MAX 16          /* of one piece */
#define PIECES_SEGMENT_MAX (8 * MIB) /* bytes of a segment, which is also the most that a prefix is long */
#define PIECES_MAX (512 * 1024)      /* in one image */

typedef struct Piece {
        uint64_t offset; /* in the image */
        uint64_t blob_offset;
        uint64_t hash; /* piece_hash() */
        uint32_t size_bytes;
        uint32_t blob_size_bytes; /* 0: it is zero; as long as the piece: it is stored as it is */
} Piece;

typedef struct PiecesIndex {
        uint64_t image_size_bytes, file_size_bytes;
        uint64_t segment_bytes;
        unsigned blocks_max; /* of a piece */
        Piece *list;         /* in order, without gap, none across the end of a segment */
        size_t count;
} PiecesIndex;

/* Of the index in a file: its length; nothing is proved. ERROR_CORRUPT, ERROR_INCOMPATIBLE. */
int pieces_header_parse(const void *data, size_t size, uint64_t *ret_index_size, uint64_t *ret_image_size,
                Error *error);

/* As payload_index_parse(). */
int pieces_index_parse(const void *data, size_t size, const PayloadExpectation *expectation,
                PiecesIndex **ret, Error *error);
PiecesIndex *pieces_index_free(PiecesIndex *index);
DEFINE_CLEANUP(PiecesIndex *, pieces_index_free)

/* What a process that works with an index of so many pieces holds. */
uint64_t pieces_memory_needed(size_t count, uint64_t segment_bytes);

/* The hash of a block (the last one of an image may be shorter), and of several in a row out of theirs: so
 * whoever looks for pieces hashes each block once. */
uint64_t piece_block_hash(const uint8_t *data, size_t size);
uint64_t piece_join_hashes(const uint64_t *hashes, size_t count);
uint64_t piece_hash(const uint8_t *data, size_t size);

/* Where the prefix of a piece begins, and how long it is. */
uint64_t piece_prefix(const PiecesIndex *index, const Piece *piece, size_t *ret_size);

typedef struct PieceDecoder PieceDecoder;
int piece_decoder_new(PieceDecoder **ret, Error *error);
PieceDecoder *piece_decoder_free(PieceDecoder *decoder);
DEFINE_CLEANUP(PieceDecoder *, piece_decoder_free)

/* Decodes into target (piece->size_bytes). -EBADMSG with ERROR_CORRUPT when that does not give what the
 * index says: the blob or the prefix is not what it should be. */
int piece_decode(PieceDecoder *decoder, const Piece *piece, const uint8_t *blob, const uint8_t *prefix,
                size_t prefix_size, uint8_t *target, Error *error);
