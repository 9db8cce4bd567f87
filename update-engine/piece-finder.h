/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where on this machine the pieces of an image lie already (release-format/pieces.h): every block of what
 * the host has is hashed once, and runs of blocks are looked up among the pieces. */

#include "pieces.h"

typedef enum PieceState {
        PIECE_WANTED, /* found nowhere (yet) */
        PIECE_DONE,   /* stands where it belongs, or is nobody's business */
        PIECE_FOUND   /* at `offset` of `source` */
} PieceState;

typedef struct PiecePlace {
        uint64_t offset;
        uint8_t state, source; /* PieceState, PayloadSourceKind */
} PiecePlace;

/* Called now and then. A negative result ends the search and is returned. */
typedef int (*PieceTick)(void *data);

/* Looks for those pieces whose place (an array as long as the index) is PIECE_WANTED. Sources are indexed by
 * PayloadSourceKind. The last, the target, may hold anything; a piece is taken from there only if writing
 * the image front to back has not reached that place before the piece itself. What is found was so when it
 * was read: whoever copies it compares again. Blocks that cannot be read are passed over. */
int piece_finder_run(const PiecesIndex *index, const PayloadSource *sources, PiecePlace *places,
                PieceTick tick, void *tick_data, Error *error);
