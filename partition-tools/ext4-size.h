/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The little that growing needs to know of ext4: how large a filesystem is, and making a mounted one larger.
 * (Linux: Documentation/filesystems/ext4/super.rst.) */

#include "error.h"

#include <sys/types.h>

typedef struct Ext4Size {
        unsigned block_size_bytes;
        uint64_t blocks;
} Ext4Size;

/* From the superblock of the filesystem that begins at `offset`. -ENODATA when there is none, -EBADMSG when
 * its numbers make no sense. The bytes may be hostile. */
int ext4_size_read(int fd, uint64_t offset, Ext4Size *ret);

/* Where the filesystem on this block device is mounted, from /proc/self/mountinfo. -ENOENT. */
int mount_point_of(dev_t device, char **ret_path);
/* The same on the text of mountinfo. */
int mount_point_in(const char *mountinfo, dev_t device, char **ret_path);

/* Online growth of a mounted ext4 to this many blocks, by ioctl. -EBUSY when another filesystem is mounted
 * over it. */
int ext4_grow_mounted(const char *mount_point, dev_t device, uint64_t blocks);
