/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The disk that Bascule makes: a GPT with the partitions of PartitionRole in their fixed order, each aligned
 * to 1 MiB, types of the Discoverable Partitions Specification, labels of partition_role_name(). Same
 * layout, same bytes: all identifiers are the caller's. */

#include "disk.h"

#define DISK_LAYOUT_ALIGNMENT MIB

typedef struct DiskLayout {
        const char *architecture;   /* "x86-64" or "arm64": chooses the types of root and verity */
        unsigned sector_size_bytes; /* 512 or 4096 */
        uint64_t esp_size_bytes;    /* sizes are rounded up to 1 MiB */
        uint64_t slot_size_bytes;   /* of each of the two; the verity partitions follow from it */
        uint64_t var_size_bytes;
        uint8_t disk_uuid[16];
        uint8_t partition_uuids[PARTITION_ROLE_MAX][16]; /* in printed order; all different, none nil */
} DiskLayout;

/* Where a partition will lie. Only the offset and size members matter beside `exists` and `number`. */
void disk_layout_partition(const DiskLayout *layout, PartitionRole role, Partition *ret);

/* Bytes of the whole disk, both tables included; a multiple of 1 MiB. */
uint64_t disk_layout_size(const DiskLayout *layout);

/* ERROR_CONFIG, with a sentence that says which member is wrong: a size of zero, one that no disk can have,
 * identifiers that are nil or repeat, an unknown architecture or sector size. */
int disk_layout_check(const DiskLayout *layout, Error *error);

/* Makes `fd`, an image file open for reading and writing, disk_layout_size() long (sparse; content within
 * the partitions is kept) and writes both copies of the table. Checks the layout first. Does not flush. */
int disk_layout_write(const DiskLayout *layout, int fd, Error *error);
