/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Installs the packages of a lock on nothing, as a Debian installer does: all are unpacked, as dpkg would
 * leave them ("install ok unpacked"), then their preinst scripts run, then dpkg of the tree configures the
 * essential ones, and then the others. Scripts see nothing of the building machine (sandbox.h, may_be_root).
 *
 * Unpacking follows dpkg where it shows: names go through links of folders (merged /usr), folders are never
 * replaced, configuration files wait under ".dpkg-new", paths that the recipe leaves out are in the
 * package's list but not on disk, triggers that packages are interested in are known. In three things it
 * differs, each as debootstrap and multistrap do it too: preinst scripts find their own package unpacked;
 * they do not find configured what they name as Pre-Depends; and nothing activates a trigger by being
 * unpacked, since whoever waits for it is configured later and then looks at all there is.
 *
 * Packages whose preinst diverts files, sets their owners or makes users, or of which two have the same
 * file, are left to dpkg itself (install_packages()). Which those are depends on nothing but the packages.
 */

#include "lock.h"

typedef struct InstallOptions {
        const Recipe *recipe;
        const Lock *lock;
        const char *cache_folder; /* which has all packages: lock_fetch() */
        int64_t epoch;            /* seconds; scripts are told, and nothing else is done with it */
        int log_fd;               /* what scripts and dpkg print; -1: discarded */
        const char *log_path;     /* for messages; NULL: there is none */
} InstallOptions;

/* Writes the tree to `archive_fd`, an empty file, as tar. Packages are proved before they are looked at
 * (lock_take_package()) and may be hostile all the same: nothing of them leaves the tree. -ENOTSUP, with
 * *ret_is_left_to_dpkg, the reason in the log and no Error set, for packages that must be left to dpkg.
 * ERROR_FAILED when a script fails, ERROR_MISSING_TOOL when this machine lets nobody run scripts. */
int install_packages(const InstallOptions *options, int archive_fd, bool *ret_is_left_to_dpkg, Error *error);
