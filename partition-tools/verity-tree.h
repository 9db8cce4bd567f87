/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shape of a hash tree and the salted hash of a block: what building and checking share. Internal to
 * partition-tools; the public side is verity.h. */

#include "sha256.h"
#include "verity-format.h"
#include "verity.h"

typedef struct VerityShape {
        uint64_t data_blocks;
        unsigned levels;                          /* 0 for a single data block */
        uint64_t blocks[VERITY_LEVELS_MAX];       /* of each level; level 0 lies over the data */
        uint64_t offset_bytes[VERITY_LEVELS_MAX]; /* of each level from the start of the hash area */
        uint64_t size_bytes;                      /* of the hash area, superblock included */
} VerityShape;

/* -EINVAL for no data and for more than VERITY_DATA_BLOCKS_MAX. */
int verity_shape(uint64_t data_blocks, VerityShape *ret);

/* Hashes blocks behind one salt, which is hashed only once. */
typedef struct VerityHasher {
        Sha256 *salted; /* has taken the salt */
        Sha256 *work;
} VerityHasher;

/* -ENOMEM. */
int verity_hasher_init(VerityHasher *hasher, const void *salt, size_t salt_size);
void verity_hasher_done(VerityHasher *hasher);
void verity_hash_block(VerityHasher *hasher, const uint8_t block[static VERITY_BLOCK_SIZE],
                uint8_t ret[static SHA256_SIZE]);

#define _cleanup_hasher_ _cleanup_(verity_hasher_done)

/* Reads in pieces of this many bytes. */
#define VERITY_CHUNK_SIZE ((size_t)(256 * KIB))
