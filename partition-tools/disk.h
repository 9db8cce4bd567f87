/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A disk laid out by Bascule: GPT, Discoverable Partitions types, fixed order (DESIGN, "On disk"). Works on
 * a block device and on a disk image in a file alike. The table may be hostile or damaged: every extent is
 * checked to lie inside the disk and not to overlap before it is handed out. */

#include "error.h"
#include "verity.h"

typedef enum PartitionRole {
        PARTITION_ESP,
        PARTITION_ROOT_A,
        PARTITION_ROOT_A_VERITY,
        PARTITION_ROOT_B,
        PARTITION_ROOT_B_VERITY,
        PARTITION_VAR,
        PARTITION_ROLE_MAX
} PartitionRole;

const char *partition_role_name(PartitionRole role); /* "esp", "root-a", "root-a-verity", ... = GPT label */

typedef struct Partition {
        bool exists;
        unsigned number;  /* from 1 */
        uint8_t uuid[16]; /* in the order in which it is printed */
        uint64_t offset_bytes, size_bytes;
} Partition;

typedef struct Disk {
        char *path;
        bool is_block_device;
        uint64_t size_bytes;
        unsigned sector_size_bytes;
        Partition partitions[PARTITION_ROLE_MAX];
} Disk;

/* Reads the table. ERROR_CORRUPT for a table that is damaged or not ours. */
int disk_open(const char *path, Disk **ret, Error *error);
Disk *disk_free(Disk *disk);
DEFINE_CLEANUP(Disk *, disk_free)

/* The whole disk (/dev/vda) that holds the partition with this PARTUUID (text form), or the one that the
 * mounted block device `dev` belongs to. -ENODEV. The path is freed by the caller. */
int disk_find_by_partuuid(const char *partuuid, char **ret_path);

/* A byte range on an open file: a partition's device node (offset 0), or a part of a disk image. */
typedef struct Extent {
        int fd; /* owned */
        uint64_t offset_bytes, size_bytes;
} Extent;

/* Opens a partition: the node when the disk is a block device, else the image at the offset. flags as
 * open(2). The descriptor refers to the partition only when it is a node; users stay within the extent. */
int disk_open_partition(const Disk *disk, PartitionRole role, int flags, Extent *ret, Error *error);
void extent_done(Extent *extent);
#define _cleanup_extent_ _cleanup_(extent_done)

typedef enum SlotName { SLOT_A, SLOT_B, SLOT_NAME_MAX } SlotName;
const char *slot_name(SlotName slot); /* "a", "b" */
SlotName slot_other(SlotName slot);
PartitionRole slot_data_role(SlotName slot);
PartitionRole slot_hash_role(SlotName slot);

/* What a slot says of itself. */
typedef struct SlotContent {
        bool is_valid; /* its verity superblock is there and makes sense */
        VeritySuperblock superblock;
        uint64_t data_size_bytes; /* of the image, from the superblock */
} SlotContent;

int slot_read(const Disk *disk, SlotName slot, SlotContent *ret, Error *error);

/* The slot whose superblock carries the first half of this root hash; if both do, the first. -ENOENT. */
int slot_find(const Disk *disk, const uint8_t root_hash[static SHA256_SIZE], SlotName *ret);
