/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Versions of Debian packages (deb-version(7)): [EPOCH:]UPSTREAM[-REVISION], in the order of dpkg, which is
 * not that of releases (version-order.h). */

#include "macro.h"

#define DEBIAN_VERSION_MAX 128 /* bytes, without the NUL */

/* Negative, 0 or positive, as strcmp(). Any bytes are accepted; numbers may have any length. */
int debian_version_compare(const char *a, const char *b);

/* Whether `size` bytes may be a version: 1..DEBIAN_VERSION_MAX of [A-Za-z0-9.+~:-], a digit first. */
bool debian_version_is_valid(const char *text, size_t size);
