/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Debian binary packages (deb(5)): an ar archive of "debian-binary", "control.tar" and "data.tar", the last
 * two compressed with gzip, xz or zstd, or not at all. The file may be hostile: members are bounded by it,
 * and what is unpacked by DEB_CONTROL_MAX. */

#include "error.h"

#define DEB_CONTROL_MAX (32 * MIB) /* of the control archive, unpacked and packed */
#define DEB_STANZA_MAX (1 * MIB)

/* The text of the file "control": the package's fields, with one newline at its end; freed by the caller.
 * -EBADMSG with ERROR_CORRUPT. */
int deb_read_control(int fd, char **ret, Error *error);
