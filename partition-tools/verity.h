/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* dm-verity hash trees, format version 1, as the kernel and veritysetup read them: 4096-byte data and hash
 * blocks, SHA-256, salt first. The hash area is: superblock in block 0, then the levels, top first.
 * (Linux: Documentation/admin-guide/device-mapper/verity.rst; cryptsetup: docs/on-disk-format of VERITY.)
 * docs/formats-disk.md has the layout byte by byte.
 *
 * A tree over one data block has no level at all: its root hash is the hash of that block. A tree over no
 * data does not exist: -EINVAL.
 *
 * All I/O is by pread and pwrite of whole, aligned blocks from aligned memory at the offset given, so
 * descriptors opened with O_DIRECT work when the offsets are multiples of 4096. That is how the engine
 * reads back what is on the device and not what is in the page cache. Data and hash area may be hostile. */

#include "error.h"
#include "sha256.h"

#define VERITY_BLOCK_SIZE 4096
#define VERITY_SUPERBLOCK_SIZE 512

typedef struct VeritySuperblock {
        uint8_t uuid[16]; /* first half of the root hash, in the order of its bytes */
        uint64_t data_blocks;
        uint8_t salt[32];
        size_t salt_size; /* bytes */
} VeritySuperblock;

/* Called now and then with the bytes hashed so far; non-zero (negative errno) stops the work. */
typedef int (*VerityProgress)(void *data, uint64_t done_bytes);

/* Bytes of hash area, superblock included, for this much data (a multiple of 4096). 0 for no data and for
 * sizes that no tree can have. */
uint64_t verity_hash_area_size(uint64_t data_size_bytes);

/* Hashes the data into a tree and gives the root hash. With hash_fd >= 0 writes the levels (not the
 * superblock) at hash_offset + 4096, without flushing. Memory: under 1 MiB whatever the size.
 * -EINVAL for a size that is zero or no multiple of 4096; I/O errors as ERROR_IO. */
int verity_build(int data_fd, uint64_t data_offset, uint64_t data_size_bytes, const void *salt,
                size_t salt_size, int hash_fd, uint64_t hash_offset,
                uint8_t ret_root_hash[static SHA256_SIZE], VerityProgress progress, void *progress_data,
                Error *error);

/* Checks data and stored tree against a root hash; the Error names the first bad block. -EBADMSG. The tree
 * is checked first, from its top, so a bad hash block is never mistaken for bad data. Progress counts data.
 * Without data (data_fd -1) the tree alone is checked. */
int verity_verify(int data_fd, uint64_t data_offset, int hash_fd, uint64_t hash_offset,
                const uint8_t root_hash[static SHA256_SIZE], VerityProgress progress, void *progress_data,
                Error *error);

/* The root hash that the stored tree stands for: the hash of its top block (of the data block, when there is
 * only one). It proves nothing by itself: compare it with a hash that is trusted, or, to find out what a
 * slot holds, its first half with the superblock's UUID. -ENODATA, -EBADMSG as verity_superblock_read(). */
int verity_stored_root_hash(int data_fd, uint64_t data_offset, int hash_fd, uint64_t hash_offset,
                uint8_t ret_root_hash[static SHA256_SIZE]);

/* Superblock at hash_offset. Reading: -ENODATA when there is none, -EBADMSG when it is malformed or of a
 * kind we do not make. Writing fills the whole first block and does not flush: flush the tree before it.
 * Erasing overwrites the whole first block with zeros and flushes. */
int verity_superblock_read(int fd, uint64_t offset, VeritySuperblock *ret);
int verity_superblock_write(int fd, uint64_t offset, const VeritySuperblock *superblock);
int verity_superblock_erase(int fd, uint64_t offset);

/* The same on bytes in memory; decoding never reads past VERITY_SUPERBLOCK_SIZE. */
int verity_superblock_decode(const uint8_t bytes[static VERITY_SUPERBLOCK_SIZE], VeritySuperblock *ret);
int verity_superblock_encode(const VeritySuperblock *superblock, uint8_t ret[static VERITY_SUPERBLOCK_SIZE]);
