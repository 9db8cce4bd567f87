/* SPDX-License-Identifier: Apache-2.0 */
#include "verity-tree.h"

int verity_shape(uint64_t data_blocks, VerityShape *ret)
{
        VerityShape shape = { .data_blocks = data_blocks };
        uint64_t position = VERITY_BLOCK_SIZE;

        if (data_blocks == 0 || data_blocks > VERITY_DATA_BLOCKS_MAX)
                return -EINVAL;
        for (uint64_t below = data_blocks; below > 1; below = shape.blocks[shape.levels++])
                shape.blocks[shape.levels] =
                                (below + VERITY_HASHES_PER_BLOCK - 1) >> VERITY_HASHES_PER_BLOCK_BITS;
        for (unsigned i = shape.levels; i-- > 0;) {
                shape.offset_bytes[i] = position;
                position += shape.blocks[i] * VERITY_BLOCK_SIZE;
        }
        shape.size_bytes = position;
        *ret = shape;
        return 0;
}

uint64_t verity_hash_area_size(uint64_t data_size_bytes)
{
        VerityShape shape;

        if (data_size_bytes % VERITY_BLOCK_SIZE != 0 ||
                        verity_shape(data_size_bytes / VERITY_BLOCK_SIZE, &shape) < 0)
                return 0;
        return shape.size_bytes;
}

int verity_hasher_init(VerityHasher *hasher, const void *salt, size_t salt_size)
{
        *hasher = (VerityHasher){ .salted = sha256_new(), .work = sha256_new() };
        if (!hasher->salted || !hasher->work) {
                verity_hasher_done(hasher);
                return -ENOMEM;
        }
        sha256_update(hasher->salted, salt, salt_size);
        return 0;
}

void verity_hasher_done(VerityHasher *hasher)
{
        hasher->salted = sha256_free(hasher->salted);
        hasher->work = sha256_free(hasher->work);
}

void verity_hash_block(VerityHasher *hasher, const uint8_t block[static VERITY_BLOCK_SIZE],
                uint8_t ret[static SHA256_SIZE])
{
        sha256_restart_from(hasher->work, hasher->salted);
        sha256_update(hasher->work, block, VERITY_BLOCK_SIZE);
        sha256_finish(hasher->work, ret);
}
