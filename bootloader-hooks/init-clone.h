/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Copies a folder as it lies on a filesystem, whiteouts and all: kinds, owners, modes, times, hard links,
 * extended attributes. Used for the upper layer of /etc, and to fill a new /var. Nothing is followed:
 * neither symbolic links nor mounts. Needs the rights to do so (chown, mknod, trusted.*). */

#include "error.h"

/* Attributes by which an overlay's upper layer remembers its present lower layer: they would mislead under
 * another release, so they are left out. trusted.overlay.opaque stays: it is part of what the layer says. */
bool clone_drops_xattr(const char *name);

/* Copies what is in `from_fd` into `to_fd`, and the attributes of the folder itself. Folders that are there
 * already are merged; anything else of the same name is replaced, so a call that was cut short can be
 * repeated. Does not flush. The sentence names what could not be copied. */
int clone_tree(int from_fd, int to_fd, Error *error);
