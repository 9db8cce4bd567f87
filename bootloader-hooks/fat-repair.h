/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Mends on an ESP what a power cut can leave of our own steps (README.md, "Entries and cuts"), before it is
 * mounted. The kernel must not do this work by unlink(): of two names of one file, removing either frees the
 * clusters of both.
 *
 * In EFI/Linux and EFI/bascule:
 *   - of two names with one chain of clusters the less useful goes, and the chain stays: a blessed entry
 * before one on trial, of two on trial the one with fewer tries left, any entry that can be tried before one
 * that is given up, all before the staged file, and that before a name that means nothing;
 *   - a UKI whose chain is shorter than its size, or runs into free clusters, goes.
 * On all of the volume, if nothing else about it is odd: clusters that no file owns become free, the copies
 * of the table become equal, and the mark of an unclean end is taken away.
 *
 * Other damage is left alone: the volume may hold what others put there. The volume is hostile. */

#include "macro.h"

typedef struct FatRepair {
        bool is_sound;          /* nothing odd is left */
        unsigned names_dropped; /* of two names of one file */
        unsigned files_dropped; /* broken ones */
        uint32_t clusters_freed;
        bool tables_differed, was_dirty;
} FatRepair;

/* `fd` is open for reading and writing, and nobody has the volume mounted. Flushes what it writes.
 * -EOPNOTSUPP for what is no FAT16 or FAT32, -EBADMSG for one that makes no sense, or an I/O error; then
 * nothing, or only some of the above, was done, and a later call goes on. */
int fat_repair(int fd, FatRepair *ret);

/* The same for a device, opened so that it fails with -EBUSY if it is mounted. */
int fat_repair_device(const char *path, FatRepair *ret);
