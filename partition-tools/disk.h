/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A disk laid out by Bascule: GPT, Discoverable Partitions types, fixed order (docs/formats-disk.md). Works
 * on a block device and on a disk image in a file alike. The table may be hostile or damaged: every extent
 * is checked to lie inside the disk and not to overlap before it is handed out. Nothing here writes to the
 * table: a copy that is damaged is reported in Disk.table and left alone (see grow.h and gpt.h). */

#include "error.h"
#include "gpt.h"
#include "verity.h"

#include <sys/types.h>

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
        uint8_t uuid[16]; /* of the table */
        GptReport table;
        Partition partitions[PARTITION_ROLE_MAX];
} Disk;

/* Reads the table: the primary copy, or the backup when the primary is damaged. A partition has a role when
 * both its type and its label say so. ERROR_CORRUPT for a table that is damaged in both copies, breaks a
 * rule, or is not ours (a role that is missing, but var, or there twice). */
int disk_open(const char *path, Disk **ret, Error *error);
Disk *disk_free(Disk *disk);
DEFINE_CLEANUP(Disk *, disk_free)

/* The whole disk (/dev/vda) that holds the partition with this PARTUUID (text form). -ENODEV; -ENOTUNIQ when
 * two disks have it (one is a copy of the other: guessing would be worse). The path is freed by the caller.
 */
int disk_find_by_partuuid(const char *partuuid, char **ret_path);

/* The disk that the running system lies on: of /var, else of /usr, else of /. -ENODEV. */
int disk_find_running(char **ret_path);

/* A byte range on an open file: a partition's device node (offset 0), or a part of a disk image. */
typedef struct Extent {
        int fd; /* owned */
        uint64_t offset_bytes, size_bytes;
} Extent;

/* Opens a partition: the node when the disk is a block device, else the image at the offset. flags as
 * open(2). The descriptor refers to the partition only when it is a node; users stay within the extent.
 * -EBUSY when the kernel's idea of the partition differs from the table (it was changed and not read again).
 * -ENOENT for a role that the disk does not have. A device whose partitions the kernel does not know
 * (-ENODEV) can be read, as a part of the whole disk, but not written. */
int disk_open_partition(const Disk *disk, PartitionRole role, int flags, Extent *ret, Error *error);

/* Path of a partition's device node (/dev/vda2), for mounting; -ENOTBLK when the disk is a file. */
int disk_partition_node(const Disk *disk, PartitionRole role, char **ret_path, Error *error);
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

/* A slot without superblock, or with one that makes no sense or does not fit its partitions, is a success
 * with is_valid false; only what cannot be read is an error. */
int slot_read(const Disk *disk, SlotName slot, SlotContent *ret, Error *error);

/* The slot whose superblock carries the first half of this root hash; if both do, the first. -ENOENT when
 * none does, or the I/O error of a slot that could not be read. */
int slot_find(const Disk *disk, const uint8_t root_hash[static SHA256_SIZE], SlotName *ret);
