/* SPDX-License-Identifier: Apache-2.0 */
#include "verity.h"

#include "file.h"
#include "verity-tree.h"

#include <string.h>

/* Each level holds the one hash block that is being filled. A full block is written, and its hash goes into
 * the level above, so one pass over the data makes all levels. */
typedef struct Builder {
        VerityHasher hasher;
        VerityShape shape;
        uint8_t *blocks; /* one hash block per level, aligned */
        unsigned used[VERITY_LEVELS_MAX];
        uint64_t written[VERITY_LEVELS_MAX]; /* blocks */
        uint8_t root_hash[SHA256_SIZE];
        int hash_fd;
        uint64_t hash_offset;
} Builder;

static void builder_done(Builder *builder)
{
        verity_hasher_done(&builder->hasher);
        free(builder->blocks);
}

static int level_add(Builder *builder, unsigned level, const uint8_t digest[static SHA256_SIZE]);

/* Writes the block being filled (unused digests are zeros) and hands its hash up. */
static int level_flush(Builder *builder, unsigned level)
{
        uint8_t *block = builder->blocks + (size_t)level * VERITY_BLOCK_SIZE;
        uint8_t digest[SHA256_SIZE];
        int r;

        memset(block + (size_t)builder->used[level] * SHA256_SIZE, 0,
                        VERITY_BLOCK_SIZE - (size_t)builder->used[level] * SHA256_SIZE);
        if (builder->hash_fd >= 0) {
                r = pwrite_full(builder->hash_fd, block, VERITY_BLOCK_SIZE,
                                builder->hash_offset + builder->shape.offset_bytes[level] +
                                                builder->written[level] * VERITY_BLOCK_SIZE);
                if (r < 0)
                        return r;
        }
        builder->written[level]++;
        builder->used[level] = 0;
        verity_hash_block(&builder->hasher, block, digest);
        return level_add(builder, level + 1, digest);
}

static int level_add(Builder *builder, unsigned level, const uint8_t digest[static SHA256_SIZE])
{
        if (level >= builder->shape.levels) {
                memcpy(builder->root_hash, digest, SHA256_SIZE);
                return 0;
        }
        memcpy(builder->blocks + (size_t)level * VERITY_BLOCK_SIZE +
                                        (size_t)builder->used[level] * SHA256_SIZE,
                        digest, SHA256_SIZE);
        if (++builder->used[level] < VERITY_HASHES_PER_BLOCK)
                return 0;
        return level_flush(builder, level);
}

static int add_chunk(Builder *builder, const uint8_t *chunk, size_t size)
{
        for (size_t at = 0; at < size; at += VERITY_BLOCK_SIZE) {
                uint8_t digest[SHA256_SIZE];
                int r;

                verity_hash_block(&builder->hasher, chunk + at, digest);
                r = level_add(builder, 0, digest);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int flush_partial_levels(Builder *builder)
{
        for (unsigned level = 0; level < builder->shape.levels; level++)
                if (builder->used[level] > 0) {
                        int r = level_flush(builder, level);

                        if (r < 0)
                                return r;
                }
        return 0;
}

static int build(Builder *builder, int data_fd, uint64_t data_offset, VerityProgress progress,
                void *progress_data, Error *error)
{
        uint64_t size = builder->shape.data_blocks * VERITY_BLOCK_SIZE;
        _cleanup_free_ uint8_t *chunk = aligned_alloc(VERITY_BLOCK_SIZE, VERITY_CHUNK_SIZE);
        int r;

        if (!chunk)
                return error_oom(error);
        for (uint64_t done = 0; done < size;) {
                size_t part = MIN_OF(size - done, VERITY_CHUNK_SIZE);

                r = pread_full(data_fd, chunk, part, data_offset + done);
                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read the data at byte %ju: %s",
                                        (uintmax_t)done, strerror(-r));
                r = add_chunk(builder, chunk, part);
                if (r < 0)
                        return error_set(
                                        error, ERROR_IO, -r, "cannot write the hash tree: %s", strerror(-r));
                done += part;
                r = progress ? progress(progress_data, done) : 0;
                if (r != 0)
                        return error_set(error, ERROR_CANCELLED, r < 0 ? -r : ECANCELED,
                                        "hashing was stopped");
        }
        r = flush_partial_levels(builder);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot write the hash tree: %s", strerror(-r));
        return 0;
}

int verity_build(int data_fd, uint64_t data_offset, uint64_t data_size_bytes, const void *salt,
                size_t salt_size, int hash_fd, uint64_t hash_offset,
                uint8_t ret_root_hash[static SHA256_SIZE], VerityProgress progress, void *progress_data,
                Error *error)
{
        _cleanup_(builder_done) Builder builder = { .hash_fd = hash_fd, .hash_offset = hash_offset };
        int r;

        if (data_size_bytes % VERITY_BLOCK_SIZE != 0 ||
                        verity_shape(data_size_bytes / VERITY_BLOCK_SIZE, &builder.shape) < 0)
                return error_set(error, ERROR_FAILED, EINVAL,
                                "%ju bytes cannot carry a hash tree: not a multiple of %d, or none, or too "
                                "many",
                                (uintmax_t)data_size_bytes, VERITY_BLOCK_SIZE);
        builder.blocks = aligned_alloc(VERITY_BLOCK_SIZE, (size_t)VERITY_LEVELS_MAX * VERITY_BLOCK_SIZE);
        if (!builder.blocks || verity_hasher_init(&builder.hasher, salt, salt_size) < 0)
                return error_oom(error);
        r = build(&builder, data_fd, data_offset, progress, progress_data, error);
        if (r < 0)
                return r;
        memcpy(ret_root_hash, builder.root_hash, SHA256_SIZE);
        return 0;
}
