/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Putting a disk image onto a disk: what stands in the way, and the copy itself. The caller asks the person.
 *
 * The table is written last, so a disk that was left half written does not look installed. It gets
 * identifiers of its own (disk, ESP, var), since the loader tells its disk by that of the ESP; the slots
 * keep theirs, which are part of their root hash. var takes the rest of the disk. The image may be an
 * installer (medium.h), as a file or as the device that the running system lies on: what is the medium's own
 * is left out, and the target may have sectors of either size. */

#include "disk.h"
#include "progress.h"

#define INSTALL_CONTENTS_MAX 16 /* partitions that are told one by one */

typedef struct InstallTarget {
        char *path;
        char *model, *serial; /* never NULL; "" when the kernel does not know; printable, as is all of
                                 contents */
        char **contents;      /* strv: what it holds now, one sentence each, and one for
                                 the partitions that are too many */
        uint64_t size_bytes;
        unsigned sector_size_bytes; /* 0: a file, which is given the image's, unless the caller knows better
                                     */
        bool is_block_device;
        uint64_t device, inode; /* what the path led to; inode 0 for a block device */
        uint64_t sequence; /* the kernel's count of disks, which is new for each that is plugged in; or 0 */
} InstallTarget;

/* Looks at the disk that is to be overwritten and refuses it when it must not be: ERROR_USAGE for what is no
 * whole disk, ERROR_BUSY for a disk in use, ERROR_REFUSED for the disk that the running system lies on. */
int install_target_look(const char *path, InstallTarget **ret, Error *error);
InstallTarget *install_target_free(InstallTarget *target);

/* Whether `fd` is the disk that was looked at: a name can come to mean another one while a person reads. */
bool install_target_is(const InstallTarget *target, int fd);
/* The same of two looks. */
bool install_target_is_same(const InstallTarget *a, const InstallTarget *b);
DEFINE_CLEANUP(InstallTarget *, install_target_free)

typedef struct InstallResult {
        uint8_t disk_uuid[16];
        uint64_t written_bytes; /* of content, without holes */
        uint64_t var_bytes;
} InstallResult;

/* Checks image and target (ERROR_CORRUPT, ERROR_INCOMPATIBLE for another sector size, ERROR_NO_SPACE),
 * ERROR_REFUSED when it is no longer the disk that was looked at, or a copy of the medium), copies, reads
 * back, compares, and writes the table. The disk is opened exclusively all the time. */
int install_image(const char *image_path, const InstallTarget *target, Progress *progress,
                InstallResult *ret, Error *error);

/* Only the checks. */
int install_check(const char *image_path, const InstallTarget *target, Error *error);
