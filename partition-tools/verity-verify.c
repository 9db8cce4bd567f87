/* SPDX-License-Identifier: Apache-2.0 */
#include "verity.h"

#include "file.h"
#include "verity-tree.h"

#include <string.h>

/* A run of blocks whose hashes stand, in order, in the level above, or (one block) in the root hash. */
typedef struct Checker {
        VerityHasher hasher;
        VerityShape shape;
        uint8_t *chunk;  /* VERITY_CHUNK_SIZE, aligned */
        uint8_t *parent; /* one hash block, aligned */
        int data_fd, hash_fd;
        uint64_t data_offset, hash_offset;
        const uint8_t *root_hash;
        VerityProgress progress;
        void *progress_data;
} Checker;

static void checker_done(Checker *checker)
{
        verity_hasher_done(&checker->hasher);
        free(checker->chunk);
        free(checker->parent);
}

/* The hash that block `index` of the run below level `above` must have. */
static int expected_hash(Checker *checker, unsigned above, uint64_t index, const uint8_t **ret, Error *error)
{
        uint64_t entry = index % VERITY_HASHES_PER_BLOCK;

        if (above >= checker->shape.levels) {
                *ret = checker->root_hash;
                return 0;
        }
        if (entry == 0) {
                uint64_t at = checker->shape.offset_bytes[above] +
                              index / VERITY_HASHES_PER_BLOCK * VERITY_BLOCK_SIZE;
                int r = pread_full(checker->hash_fd, checker->parent, VERITY_BLOCK_SIZE,
                                checker->hash_offset + at);

                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read the hash tree at byte %ju: %s",
                                        (uintmax_t)at, strerror(-r));
        }
        *ret = checker->parent + entry * SHA256_SIZE;
        return 0;
}

static int bad_block(unsigned above, uint64_t index, uint64_t at, Error *error)
{
        if (above == 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "data block %ju (at byte %ju) does not have the hash that the tree gives",
                                (uintmax_t)index, (uintmax_t)at);
        return error_set(error, ERROR_CORRUPT, EBADMSG,
                        "the hash tree is damaged: block %ju of level %u (at byte %ju of the hash area) "
                        "does not have the hash that was given for it",
                        (uintmax_t)index, above - 1, (uintmax_t)at);
}

/* Checks one run: the data (above = 0), or level `above` - 1 of the tree. */
static int check_run(Checker *checker, unsigned above, Error *error)
{
        bool is_data = above == 0;
        int fd = is_data ? checker->data_fd : checker->hash_fd;
        uint64_t count = is_data ? checker->shape.data_blocks : checker->shape.blocks[above - 1];
        uint64_t start = is_data ? 0 : checker->shape.offset_bytes[above - 1];
        uint64_t base = is_data ? checker->data_offset : checker->hash_offset;

        for (uint64_t index = 0; index < count;) {
                size_t blocks = MIN_OF(count - index, VERITY_CHUNK_SIZE / VERITY_BLOCK_SIZE);
                uint64_t at = start + index * VERITY_BLOCK_SIZE;
                int r = pread_full(fd, checker->chunk, blocks * VERITY_BLOCK_SIZE, base + at);

                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read the %s at byte %ju: %s",
                                        is_data ? "data" : "hash tree", (uintmax_t)at, strerror(-r));
                for (size_t i = 0; i < blocks; i++, index++) {
                        const uint8_t *expected = NULL;
                        uint8_t digest[SHA256_SIZE];

                        r = expected_hash(checker, above, index, &expected, error);
                        if (r < 0)
                                return r;
                        verity_hash_block(&checker->hasher, checker->chunk + i * VERITY_BLOCK_SIZE, digest);
                        if (memcmp(digest, expected, SHA256_SIZE) != 0)
                                return bad_block(above, index, at + i * VERITY_BLOCK_SIZE, error);
                }
                r = is_data && checker->progress
                                    ? checker->progress(checker->progress_data, index * VERITY_BLOCK_SIZE)
                                    : 0;
                if (r != 0)
                        return error_set(error, ERROR_CANCELLED, r < 0 ? -r : ECANCELED,
                                        "verification was stopped");
        }
        return 0;
}

static int superblock_error(int r, Error *error)
{
        if (r == -ENODATA)
                return error_set(error, ERROR_CORRUPT, ENODATA, "there is no verity superblock");
        if (r == -EBADMSG)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "the verity superblock is damaged, or of a kind that is not used here");
        return error_set(error, ERROR_IO, -r, "cannot read the verity superblock: %s", strerror(-r));
}

int verity_verify(int data_fd, uint64_t data_offset, int hash_fd, uint64_t hash_offset,
                const uint8_t root_hash[static SHA256_SIZE], VerityProgress progress, void *progress_data,
                Error *error)
{
        _cleanup_(checker_done) Checker checker = {
                .data_fd = data_fd,
                .hash_fd = hash_fd,
                .data_offset = data_offset,
                .hash_offset = hash_offset,
                .root_hash = root_hash,
                .progress = progress,
                .progress_data = progress_data,
        };
        VeritySuperblock superblock;
        int r = verity_superblock_read(hash_fd, hash_offset, &superblock);

        if (r >= 0)
                r = verity_shape(superblock.data_blocks, &checker.shape);
        if (r < 0)
                return superblock_error(r, error);
        checker.chunk = aligned_alloc(VERITY_BLOCK_SIZE, VERITY_CHUNK_SIZE);
        checker.parent = aligned_alloc(VERITY_BLOCK_SIZE, VERITY_BLOCK_SIZE);
        if (!checker.chunk || !checker.parent ||
                        verity_hasher_init(&checker.hasher, superblock.salt, superblock.salt_size) < 0)
                return error_oom(error);
        for (unsigned above = checker.shape.levels + 1; above-- > (data_fd < 0 ? 1U : 0U);) {
                r = check_run(&checker, above, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

int verity_stored_root_hash(int data_fd, uint64_t data_offset, int hash_fd, uint64_t hash_offset,
                uint8_t ret_root_hash[static SHA256_SIZE])
{
        _cleanup_free_ uint8_t *block = aligned_alloc(VERITY_BLOCK_SIZE, VERITY_BLOCK_SIZE);
        _cleanup_hasher_ VerityHasher hasher = { 0 };
        VeritySuperblock superblock;
        VerityShape shape;
        int r = verity_superblock_read(hash_fd, hash_offset, &superblock);

        if (r >= 0)
                r = verity_shape(superblock.data_blocks, &shape);
        if (r < 0)
                return r;
        if (!block || verity_hasher_init(&hasher, superblock.salt, superblock.salt_size) < 0)
                return -ENOMEM;
        r = shape.levels > 0 ? pread_full(hash_fd, block, VERITY_BLOCK_SIZE,
                                               hash_offset + shape.offset_bytes[shape.levels - 1])
                             : pread_full(data_fd, block, VERITY_BLOCK_SIZE, data_offset);
        if (r < 0)
                return r;
        verity_hash_block(&hasher, block, ret_root_hash);
        return 0;
}
