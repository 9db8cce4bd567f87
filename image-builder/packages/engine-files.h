/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The engine's own files, which every image gets: programs, units, D-Bus and polkit files, as an
 * installation with the prefix /usr has them. They are taken from ENGINE-ROOT/usr: "/" for the Bascule that
 * is installed on the building machine, or a folder that `DESTDIR=... meson install` filled. */

#include "cache.h"
#include "tree.h"

/* Adds what makes the engine's files to a key. ERROR_MISSING_TOOL, naming the remedy, when some of them
 * that no host can do without are not there. */
int engine_files_key(CacheKey *key, const char *engine_root, Error *error);
/* The same of bascule-init. */
int engine_files_key_init(CacheKey *key, const char *engine_root, Error *error);
/* The path below ENGINE-ROOT, without a leading '/', of what one of these added; NULL: it is another's. */
const char *engine_files_input_path(const CacheInput *input, const char *engine_root);

/* Copies them into the tree, makes the users of their sysusers.d file, and enables their units. */
int engine_files_add(Tree *tree, const char *engine_root, Error *error);

/* bascule-init, for the initrd; freed by the caller. */
int engine_files_read_init(const char *engine_root, char **ret, size_t *ret_size, Error *error);
