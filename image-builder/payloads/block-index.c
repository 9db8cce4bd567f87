/* SPDX-License-Identifier: Apache-2.0 */
#include "block-index.h"

#include "bytes.h"
#include "file.h"

#include <string.h>

#define CHUNK_BLOCKS 256 /* read at once */
#define SOURCE_BITS 2

typedef struct Slot {
        uint64_t hash;
        uint64_t place; /* 0: free; else block number, source, and 1 added */
} Slot;

/* Open addressing; the table is at most half full. */
struct BlockIndex {
        Slot *slots;
        size_t mask;
};

/* 64 bits of multiply-and-mix over eight bytes at a time: fast, and good enough where bytes are compared
 * afterwards. */
static uint64_t hash_block(const uint8_t *block)
{
        uint64_t hash = UINT64_C(0x9e3779b97f4a7c15);

        for (size_t i = 0; i < PAYLOAD_BLOCK_SIZE; i += 8) {
                hash = (hash ^ read_le64(block + i)) * UINT64_C(0xd6e8feb86659fd93);
                hash ^= hash >> 32;
        }
        return hash;
}

BlockIndex *block_index_free(BlockIndex *index)
{
        if (index)
                free(index->slots);
        free(index);
        return NULL;
}

static void add(BlockIndex *index, uint64_t hash, uint64_t place)
{
        size_t at = hash & index->mask;

        while (index->slots[at].place != 0) {
                if (index->slots[at].hash == hash)
                        return;
                at = (at + 1) & index->mask;
        }
        index->slots[at] = (Slot){ hash, place };
}

static int add_source(BlockIndex *index, const PayloadSource *source, size_t number, uint8_t *chunk)
{
        uint64_t blocks = source->size_bytes / PAYLOAD_BLOCK_SIZE;

        for (uint64_t block = 0; block < blocks;) {
                uint64_t count = MIN_OF(blocks - block, (uint64_t)CHUNK_BLOCKS);
                int r = pread_full(source->fd, chunk, count * PAYLOAD_BLOCK_SIZE,
                                source->offset + block * PAYLOAD_BLOCK_SIZE);

                if (r < 0)
                        return r;
                for (uint64_t i = 0; i < count; i++)
                        add(index, hash_block(chunk + i * PAYLOAD_BLOCK_SIZE),
                                        ((block + i) << SOURCE_BITS | number) + 1);
                block += count;
        }
        return 0;
}

int block_index_new(const PayloadSource *sources, size_t count, BlockIndex **ret, Error *error)
{
        _cleanup_(block_index_freep) BlockIndex *index = calloc(1, sizeof(*index));
        _cleanup_free_ uint8_t *chunk = malloc(CHUNK_BLOCKS * PAYLOAD_BLOCK_SIZE);
        size_t blocks = 0, size = 64;

        for (size_t i = 0; i < count; i++)
                blocks += sources[i].fd >= 0 ? sources[i].size_bytes / PAYLOAD_BLOCK_SIZE : 0;
        while (size < 2 * blocks)
                size *= 2;
        if (!index || !chunk)
                return error_oom(error);
        index->mask = size - 1;
        index->slots = calloc(size, sizeof(*index->slots));
        if (!index->slots)
                return error_oom(error);
        for (size_t i = 0; i < count; i++) {
                int r = sources[i].fd >= 0 ? add_source(index, &sources[i], i, chunk) : 0;

                if (r < 0)
                        return error_set(
                                        error, ERROR_IO, -r, "cannot read a source image: %s", strerror(-r));
        }
        *ret = TAKE_PTR(index);
        return 0;
}

bool block_index_find(const BlockIndex *index, const uint8_t block[static PAYLOAD_BLOCK_SIZE],
                size_t *ret_source, uint64_t *ret_offset)
{
        uint64_t hash = hash_block(block);

        for (size_t at = hash & index->mask; index->slots[at].place != 0; at = (at + 1) & index->mask) {
                uint64_t place = index->slots[at].place - 1;

                if (index->slots[at].hash != hash)
                        continue;
                *ret_source = place & ((1 << SOURCE_BITS) - 1);
                *ret_offset = (place >> SOURCE_BITS) * PAYLOAD_BLOCK_SIZE;
                return true;
        }
        return false;
}
