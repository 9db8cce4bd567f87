/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Gives a file of a FAT volume another name, so that a cut leaves at least one of both, whole. Works below
 * the filesystem, on a volume that nobody has mounted.
 *
 * The kernel's rename() cannot promise that: it writes the new name and takes the old one away without a
 * flush between, so a disk with a cache may keep the second only; and a long name takes several slots, which
 * may lie in two sectors, of which a disk may keep one: the file then has its short name, which carries no
 * counter, and the loader boots it without tries.
 *
 * Here all slots of the new name go into one sector, then the disk is flushed, then the old name goes, the
 * slot that counts first. In between two names have one chain of clusters, which fat_repair() takes for what
 * it is. The bytes of the volume are hostile. */

#include "macro.h"

/* `renames`: so often firmware may rename the file later, for the loader, each time to a name that may be
 * two characters longer. Firmware puts the new name behind all others and writes both places at once if they
 * are near; with all of that in one sector, not even a torn write can lose both names. 0: any place will do.
 *
 * Folders are paths of names parted by "/", compared without regard to case as the filesystem does. Names
 * are printable ASCII. Flushes all that it writes. -ENOENT when there is no such file or folder, -EEXIST
 * when the new name is there, -ENOSPC when no sector of the folder has room for it (nothing is done; a
 * folder that once held a name of FAT_MOVE_ROOM_LENGTH has), -EINVAL for a name that this cannot write;
 * -EOPNOTSUPP and -EBADMSG as fat_volume_open(). */
int fat_move(int fd, const char *from_folder, const char *from_name, const char *to_folder,
                const char *to_name, unsigned renames);

/* A folder that held a name of that length has free slots in a row for any name that fits into a sector. */
#define FAT_MOVE_ROOM_LENGTH 240
/* Longer names do not fit into one sector. */
#define FAT_MOVE_NAME_MAX 190
