/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Growing var to the end of the disk: the one change that a table sees after installation
 * (docs/ARCHITECTURE.md, law 1).
 *
 * Order of writes: backup table at the new end, flush; primary table, flush; protective MBR, flush; then the
 * kernel is told, then ext4 (whose own journal covers it) takes the new room. After a power cut between any
 * two of them at least one copy of the table is whole, and running it again goes on from there. */

#include "disk.h"

typedef enum GrowFilesystem {
        GROW_FILESYSTEM_NONE, /* a disk image, or nothing that we know: only the table was looked at */
        GROW_FILESYSTEM_NOT_MOUNTED, /* ext4, too small for its partition, but not mounted */
        GROW_FILESYSTEM_FULL_SIZE,   /* nothing to do */
        GROW_FILESYSTEM_GROWN,
} GrowFilesystem;

typedef struct GrowResult {
        bool table_written;
        uint64_t var_before_bytes, var_after_bytes; /* of the partition */
        GrowFilesystem filesystem;
} GrowResult;

/* Changes the table in memory: var to the last whole MiB, the usable area to the end of the disk.
 * *ret_needed tells whether it must be written, which is also so when a copy on disk is damaged or astray.
 * ERROR_CORRUPT for a table that breaks a rule, has no var, or has a partition behind it; ERROR_NO_SPACE
 * when the disk is smaller than its partitions. */
int grow_table(Gpt *gpt, bool *ret_needed, Error *error);

/* Does all of it, as far as it is needed, to a disk or a disk image. ERROR_BUSY when the kernel would not
 * take the new size: the rest then happens when it is run after a reboot. */
int grow_disk(const char *path, GrowResult *ret, Error *error);
