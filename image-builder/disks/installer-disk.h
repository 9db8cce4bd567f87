/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A medium that installs: the raw disk, and behind it what makes a machine start from it (partition-tools/
 * medium.h). Its one boot entry is a kernel image like that of the release, whose command line asks for
 * bascule-installer.target and a volatile /var: the release itself, from its own verified slot, does the
 * installing. Same parts, same bytes. */

#include "raw-disk.h"

/* What the release mounts, swaps to and unlocks is a host's: a disk that this machine does not have would
 * keep it from starting, and one that it has would be in use. */
#define INSTALLER_COMMAND_LINE "bascule.var=volatile systemd.unit=bascule-installer.target fstab=no luks=no"
#define INSTALLER_ENTRY "bascule-installer.efi"

typedef struct InstallerParts {
        const RawDiskParts *disk;
        const char *disk_path; /* what raw_disk_write() made of them */
        const char *uki_path;  /* that of the installer */
        uint64_t uki_size_bytes;
} InstallerParts;

/* Makes the file `path`, which must not exist; `scratch` is an existing folder for the time being. */
int installer_disk_write(const InstallerParts *parts, const char *path, const char *scratch, int log_fd,
                Error *error);
