/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A folder of the building machine that holds a root filesystem. */

#include "sha256.h"
#include "tree.h"

/* Fills an empty tree. Modes, hard links and file capabilities are kept. Owners are kept too, but for those
 * of the folder itself, who become root: so what an ordinary user unpacked in his home is root's in the
 * image, whoever he is. Times become 0, since a checkout changes them. Left out are devices below dev (any
 * elsewhere is refused), sockets, and what is mounted there. -EFBIG when files are larger than limit_bytes
 * together. */
int base_import_folder(Tree *tree, const char *folder, uint64_t limit_bytes, Error *error);

/* A hash of all that base_import_folder() takes: names, attributes, hard links and bytes. */
int base_hash_tree(Tree *tree, uint8_t ret[static SHA256_SIZE], Error *error);
