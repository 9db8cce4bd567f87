/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Debian binary packages (deb(5)): an ar archive of "debian-binary", "control.tar" and "data.tar", the last
 * two compressed with gzip, xz or zstd, or not at all. The file may be hostile: members are bounded by it,
 * and what is unpacked by DEB_CONTROL_MAX and DEB_DATA_MAX. */

#include "tree.h"

#define DEB_CONTROL_MAX (32 * MIB) /* of the control archive, unpacked and packed */
#define DEB_STANZA_MAX (1 * MIB)
#define DEB_DATA_MAX (4 * GIB)       /* of the data archive, unpacked */
#define DEB_CHANGELOG_MAX (32 * MIB) /* unpacked */

/* The text of the file "control": the package's fields, with one newline at its end; freed by the caller.
 * -EBADMSG with ERROR_CORRUPT. */
int deb_read_control(int fd, char **ret, Error *error);

/* All files of the control archive: "control", scripts, "conffiles" and the like. Errors as above. */
int deb_read_control_files(int fd, Tree **ret, Error *error);
/* The text of "control" of such a tree, as deb_read_control() gives it. */
int deb_control_text(Tree *files, char **ret, Error *error);

/* Appends the data archive to `to`, as tar. -EFBIG with ERROR_REFUSED past DEB_DATA_MAX. */
int deb_unpack_data(int fd, int to, Error *error);

/* What the package's folder in /usr/share/doc has as the changelog of its source package:
 * "changelog.Debian", or "changelog" of a package that is Debian's own, packed or not; without that of
 * rebuilds, which is beside it. NUL-terminated, freed by the caller. `name` is the package's. The data
 * archive is unpacked to `scratch`, an empty file. -ENOENT with no Error set when the package has none: its
 * folder may be a link to that of another package. -EBADMSG with ERROR_CORRUPT, -EFBIG with ERROR_REFUSED
 * past the limits. */
int deb_read_changelog(int fd, const char *name, int scratch, char **ret, size_t *ret_size, Error *error);
