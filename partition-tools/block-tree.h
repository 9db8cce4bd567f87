/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the kernel knows of block devices, from sysfs: which disk a partition lies on, where, and what node
 * it has. Linux 6.1 tells no PARTUUID there, so disks are asked for their tables. Internal to
 * partition-tools. */

#include "error.h"
#include "uuid.h"

#include <sys/types.h>

/* Where sysfs and the device nodes are; tests make their own. */
typedef struct BlockTree {
        const char *sys; /* "/sys" */
        const char *dev; /* "/dev" */
} BlockTree;

extern const BlockTree block_tree_default;

/* Offset on its disk and size of a partition. -ENODEV; -EBADMSG when sysfs says something odd. */
int block_partition_place(const BlockTree *tree, dev_t partition, uint64_t *ret_offset_bytes,
                uint64_t *ret_size_bytes);

/* Path of the node of partition `number` of a disk. -ENODEV. */
int block_partition_node(const BlockTree *tree, dev_t disk, unsigned number, char **ret_path);

/* The whole disk that block device `device` (st_dev of what is mounted, st_rdev of a node) lies on: a
 * partition's disk, and through device-mapper the disk of what it was made from. -ENODEV. The second as
 * disk_find_by_partuuid(). */
int block_disk_of(const BlockTree *tree, dev_t device, char **ret_path);
int block_disk_with_partuuid(const BlockTree *tree, const uint8_t uuid[static UUID_SIZE], char **ret_path);

/* Paths of the whole disks, in byte order, as a strv: no partitions, none in memory, no loop devices, drives
 * for discs, boot areas of flash and the like. Those in use by a volume and those that cannot be written are
 * among them, so that "the only one" is that. */
int block_disks(const BlockTree *tree, char ***ret_paths);

/* How long to wait for disks whose drivers take their time. */
typedef struct BlockWait {
        unsigned quiet_steps; /* so long nothing must have come or gone */
        unsigned max_steps;   /* in all; what is there then is it */
        void (*step)(void *data);
        void *data;
} BlockWait;

/* The same when no more of them appear. */
int block_disks_settled(const BlockTree *tree, const BlockWait *wait, char ***ret_paths);

/* An attribute of a whole disk, such as "device/model", without white space around it. -ENOENT. */
int block_disk_attribute(const BlockTree *tree, dev_t disk, const char *attribute, char **ret);

/* The serial number of a whole disk: an attribute, or what a SCSI disk told of itself (SPC-4, 7.8.15, page
 * 80h), which is hostile: what is not printable makes it none. -ENOENT. */
int block_disk_serial(const BlockTree *tree, dev_t disk, char **ret);
