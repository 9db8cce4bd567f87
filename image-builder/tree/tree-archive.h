/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A tree as an archive (tar-writer.h): the same tree gives the same bytes. */

#include "tree.h"

/* Times before 1970 become 1970. */
int tree_write_archive(Tree *tree, int fd, Error *error);
