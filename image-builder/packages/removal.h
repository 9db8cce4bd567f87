/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a recipe leaves out of the tree that the packages made, and the proof that nothing which stays is
 * broken by it.
 *
 * Everything that goes is noted with the key and pattern that took it. Once all has gone, removal_finish()
 * takes the symbolic links that led to it along and searches what is left: a program or library whose
 * library (DT_NEEDED) or interpreter went, a script whose "#!" went, a unit of systemd whose Exec program
 * went, a unit of Enable= or a module that the initrd needs that went. Each is an error that names what
 * stays, what went, and by which pattern. What was missing before is nobody's business here. What a program
 * looks for while it runs cannot be seen: dlopen(), PAM and NSS modules, programs that a script calls. */

#include "recipe.h"
#include "tree.h"

typedef struct RemovedPath {
        char *path;         /* as tree_node_path() gives it */
        const char *reason; /* such as "Remove=/usr/share/icons", the Removal's */
} RemovedPath;

typedef struct Removal {
        Tree *tree;
        RemovedPath *paths; /* by path once removal_sort() has run */
        size_t count, capacity;
        bool is_sorted;
        char **reasons;
        char **links, **targets; /* symbolic links that led somewhere before anything went, and where to */
} Removal;

/* Looks at the tree as it is before anything goes. Keeps the tree, which must outlive it. */
int removal_begin(Removal *removal, Tree *tree, Error *error);
void removal_done(Removal *removal);

/* Drops all that a pattern of paths matches: '*', '?' and '[...]' match within one component, leading dots
 * included; links in the middle of a path are followed. ERROR_CONFIG when nothing does. */
int removal_drop_glob(Removal *removal, const char *pattern, Error *error);
/* Drops what belongs to packages and to no other package, their entries in dpkg's database too.
 * ERROR_CONFIG for one that is not installed. */
int removal_drop_packages(Removal *removal, char *const *packages, Error *error);
/* Drops one node, for a reason such as "RootModules=". */
int removal_drop_node(Removal *removal, TreeNode *node, const char *reason, Error *error);

/* Links and checks, as told above. */
int removal_finish(Removal *removal, const Recipe *recipe, Error *error);

/* What took a path, in the words of the recipe; NULL when it did not go. */
const char *removal_reason(Removal *removal, const char *path);

/* ---- parts, for each other ---- */

void removal_sort(Removal *removal);
int removal_check(Removal *removal, const Recipe *recipe, Error *error);
