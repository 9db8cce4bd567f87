/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where in some images a block of 4 KiB stands, by its content. */

#include "error.h"
#include "payload-format.h"

typedef struct BlockIndex BlockIndex;

/* Reads all whole blocks of the sources that are there (fd >= 0). Of equal blocks the first counts. */
int block_index_new(const PayloadSource *sources, size_t count, BlockIndex **ret, Error *error);
BlockIndex *block_index_free(BlockIndex *index);
DEFINE_CLEANUP(BlockIndex *, block_index_free)

/* Where a block like this may be: its bytes must be compared, since only a hash says so. */
bool block_index_find(const BlockIndex *index, const uint8_t block[static PAYLOAD_BLOCK_SIZE],
                size_t *ret_source, uint64_t *ret_offset);
