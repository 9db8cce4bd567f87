/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The verity superblock as it lies on disk, little-endian, at the start of the hash area (cryptsetup's
 * on-disk format for VERITY, version 1). Offsets in bytes; docs/formats-disk.md has the whole table. */

#define VERITY_SB_MAGIC "verity\0\0" /* 8 bytes */
#define VERITY_SB_MAGIC_SIZE 8
#define VERITY_SB_VERSION_AT 8    /* u32: 1 */
#define VERITY_SB_HASH_TYPE_AT 12 /* u32: 1, salt before data */
#define VERITY_SB_UUID_AT 16      /* 16 bytes */
#define VERITY_SB_ALGORITHM_AT 32 /* 32 bytes, NUL-padded: "sha256" */
#define VERITY_SB_ALGORITHM_SIZE 32
#define VERITY_SB_DATA_BLOCK_AT 64  /* u32: 4096 */
#define VERITY_SB_HASH_BLOCK_AT 68  /* u32: 4096 */
#define VERITY_SB_DATA_BLOCKS_AT 72 /* u64 */
#define VERITY_SB_SALT_SIZE_AT 80   /* u16 */
#define VERITY_SB_SALT_AT 88        /* 256 bytes */

#define VERITY_SB_VERSION 1
#define VERITY_SB_HASH_TYPE 1

/* 128 digests fill a hash block. */
#define VERITY_HASHES_PER_BLOCK (VERITY_BLOCK_SIZE / SHA256_SIZE)
#define VERITY_HASHES_PER_BLOCK_BITS 7

/* Far above any slot; keeps every sum of sizes inside 64 bits. 2^38 blocks are 1 PiB. */
#define VERITY_DATA_BLOCKS_MAX (UINT64_C(1) << 38)

/* 128^6 > VERITY_DATA_BLOCKS_MAX. */
#define VERITY_LEVELS_MAX 6
