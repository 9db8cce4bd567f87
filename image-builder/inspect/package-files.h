/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which package a file of an image belongs to, by the lists that dpkg keeps in the image. What scripts made
 * belongs to none. Lists name paths as before /usr was merged, too: "/bin/x" is found as "usr/bin/x". */

#include "diff-image.h"

typedef struct PackageFiles PackageFiles;

int package_files_read(const DiffImage *image, PackageFiles **ret, Error *error);
PackageFiles *package_files_free(PackageFiles *files);
DEFINE_CLEANUP(PackageFiles *, package_files_free)
#define _cleanup_package_files_ _cleanup_(package_files_freep)

/* Name of the package, or NULL; `path` is without a leading slash. Borrowed. */
const char *package_files_owner(const PackageFiles *files, const char *path);
