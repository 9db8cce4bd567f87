/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Makes the tree of a configured Debian system the tree of an immutable host: the same bytes from the same
 * packages, no state of the machine that built it, nothing that must be secret, and every directory that a
 * host mounts something over. docs/image-tree.md tells what is dropped, moved and why.
 *
 * /var is another filesystem on the host, made once and then kept. So what packages put into /var is moved
 * to /usr/share/factory/var, and a tmpfiles.d file (usr/lib/tmpfiles.d/bascule-factory.conf) makes it appear
 * in the /var of every boot where it is missing: directories are made with their mode and owner, files and
 * links are copied once. The dpkg database is the release's, not the host's: it moves to
 * /usr/share/bascule/dpkg and /var/lib/dpkg becomes a link to it. */

#include "tree.h"

typedef struct NormaliseOptions {
        int64_t epoch; /* mtime of everything, seconds */
        /* Paths (relative, glob patterns as tree_drop_glob()) that may hold a private key all the same. */
        char *const *allowed_secrets;
} NormaliseOptions;

/* Everything below in its order, ending with tree_set_times(). Run after the recipe's own files are in. */
int normalise_tree(Tree *tree, const NormaliseOptions *options, Error *error);

/* The steps, each of which can be run again without effect. */

/* Drops what belongs to a run or to one machine: apt's lists and caches, logs, dpkg's -old files, ids,
 * seeds, host keys, backups of the account files; empties machine-id, /dev, /proc, /sys, /run and /tmp. */
int normalise_drop_state(Tree *tree, Error *error);
/* Makes the directories that things are mounted on: boot dev efi etc proc root run sys tmp var and so on. */
int normalise_mount_points(Tree *tree, Error *error);
/* Moves /var as told above and writes the tmpfiles.d file. */
int normalise_var(Tree *tree, Error *error);
/* Refuses a tree that ships a private key (by content) or a host key (by name): -EPERM with ERROR_REFUSED
 * and the path of the first in byte order, and how many more there are. */
int normalise_refuse_secrets(Tree *tree, char *const *allowed_secrets, Error *error);

/* The kernel of the tree: the one in /boot (vmlinuz-RELEASE) or /usr/lib/modules/RELEASE/vmlinuz. -ENOENT
 * when there is none, -ENOTUNIQ when there are several; both say what to do. */
typedef struct TreeKernel {
        char *release;      /* such as "6.1.0-28-cloud-amd64" */
        char *image_path;   /* of the vmlinuz, in the tree */
        char *modules_path; /* "usr/lib/modules/RELEASE"; NULL when the tree has none */
} TreeKernel;
int normalise_find_kernel(Tree *tree, TreeKernel *ret, Error *error);
void tree_kernel_done(TreeKernel *kernel);
#define _cleanup_tree_kernel_ _cleanup_(tree_kernel_done)

/* Takes the kernel's image out of the tree (*ret, freed by the caller) and empties /boot. The kernel boots
 * from the UKI on the ESP; its modules stay. The kernel's config, when there is one, moves to the modules'
 * folder. */
int normalise_take_kernel(Tree *tree, const TreeKernel *kernel, char **ret, size_t *ret_size, Error *error);
