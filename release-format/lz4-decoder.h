/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Unpacks an LZ4 legacy stream page by page, and can stop and go on at any page: a block is a row of
 * sequences (LZ4 Block Format): a token, whose halves are the number of literals and the length of a match,
 * each with more bytes when it is 15; the literals; the distance of the match, 2 bytes. The last sequence of
 * a block ends after its literals. Each block of 8 MiB (LZ4 legacy) begins without history.
 *
 * Hostile: all packed bytes. -EBADMSG with ERROR_CORRUPT for malformed ones; nothing is read or written
 * outside what was given. */

#include "recomp-codec.h"

#define LZ4_PAGE ((size_t)(512 * KIB))   /* a block is whole pages but for its end */
#define LZ4_HISTORY ((size_t)(64 * KIB)) /* that a match may refer to */

/* Where a decoder stands: all it takes, with the history, to go on from there. */
typedef struct Lz4State {
        uint64_t at;         /* in the packed bytes */
        uint32_t block_left; /* packed bytes of the block from there */
        uint32_t literals, match;
        uint16_t distance;
        uint8_t phase;
} Lz4State;

typedef struct Lz4Decoder {
        const PatchView *packed;
        Lz4State state;
        size_t input_next, input_end;
        uint8_t input[RECOMP_PIECE];
} Lz4Decoder;

/* Goes on from elsewhere. */
void lz4_decoder_seek(Lz4Decoder *decoder, const Lz4State *state);

/* The magic, and the length of the next block. */
int lz4_decoder_magic(Lz4Decoder *decoder, Error *error);
int lz4_decoder_block(Lz4Decoder *decoder, Error *error);

/* Whether the block has more to give. */
bool lz4_decoder_in_block(const Lz4Decoder *decoder);

/* Unpacks to `to` until a page is full or the block ends. `history` bytes of the block (at most LZ4_HISTORY)
 * stand before it. */
int lz4_decoder_page(Lz4Decoder *decoder, uint8_t *to, size_t history, size_t *ret_size, Error *error);
