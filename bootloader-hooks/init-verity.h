/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From a root hash to the pair of partitions that holds the release, and to the device-mapper table that
 * opens it. No Linux calls. Partition table and superblocks are hostile: what they claim only chooses
 * between pairs, and the kernel proves every block against the root hash. */

#include "init-gpt.h"
#include "verity.h"

#define VERITY_TABLE_MAX 1024

typedef struct VerityPair {
        const GptPartition *data, *hash; /* in the table given */
        char slot;                       /* 'a', 'b', ... by the order of the verity partitions */
} VerityPair;

/* The partition whose label is that of `hash` without "-verity"; without such a label, the root partition
 * that has the same place among the root partitions as `hash` has among the verity ones. -ENOENT. */
int verity_pair(const GptTable *table, const GptPartition *hash, VerityPair *ret);

/* Whether a superblock names this root hash and describes no more data than the data partition holds. */
bool verity_pair_matches(const VerityPair *pair, const VeritySuperblock *superblock,
                const uint8_t root_hash[static SHA256_SIZE]);

/* Parameters of the "verity" target. Devices as "MAJOR:MINOR" or paths. A block that does not match panics
 * the kernel, so that a damaged slot uses up a try and never runs. */
int verity_table(const char *data_device, const char *hash_device, const VeritySuperblock *superblock,
                const uint8_t root_hash[static SHA256_SIZE], char ret[static VERITY_TABLE_MAX]);
