/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Makes the tree of a configured Debian system the tree of an immutable host: the same bytes from the same
 * packages, no state of the machine that built it, nothing that must be secret, and every directory that a
 * host mounts something over. docs/image-tree.md tells what is dropped, moved and why.
 *
 * In order: tar_read(), normalise_drop_state(), normalise_find_kernel(), normalise_take_kernel(), what the
 * recipe adds, normalise_tree().
 *
 * /var is another filesystem on the host, made once and then kept. So what packages put into /var is moved
 * to /usr/share/factory/var, and a tmpfiles.d file (usr/lib/tmpfiles.d/bascule-factory.conf) makes it appear
 * in the /var of every boot where it is missing: directories are made with their mode and owner, files and
 * links are copied once. The dpkg database is the release's, not the host's: it moves to
 * /usr/share/bascule/dpkg and /var/lib/dpkg becomes a link to it. Homes belong to the host, so /home, /root
 * and /srv become links to /var/home, /var/roothome and /var/srv. */

#include "tree.h"

/* Where these are once normalise_var() has run. */
#define NORMALISE_DPKG_PATH "usr/share/bascule/dpkg"
#define NORMALISE_VAR_PATH "usr/share/factory/var"

typedef struct NormaliseOptions {
        int64_t epoch; /* mtime of everything, seconds */
        /* Paths (relative, patterns of glob(7) where '*' does not match '/') that may hold a private key. */
        char *const *allowed_secrets;
} NormaliseOptions;

/* What remains once everything is in the tree: drops state once more (but for settings that a recipe may
 * have made), empties /boot, then normalise_mount_points(), normalise_var(), normalise_refuse_secrets(),
 * tree_set_times(). */
int normalise_tree(Tree *tree, const NormaliseOptions *options, Error *error);

/* The steps, each of which can be run again without effect. */

/* For a tree as the packages made it. Drops what belongs to a run or to one machine: apt's sources, lists
 * and caches, logs, dpkg's -old files, ids, seeds, host keys, hostname and resolver, backups of the account
 * files; empties machine-id, /dev, /proc, /sys, /run and /tmp. */
int normalise_drop_state(Tree *tree, Error *error);
/* Makes the directories that things are mounted on: boot dev efi etc proc run sys tmp var and so on. */
int normalise_mount_points(Tree *tree, Error *error);
/* Moves /var and homes as told above and writes the tmpfiles.d file. -EINVAL for device nodes in /var. */
int normalise_var(Tree *tree, Error *error);
/* Refuses a tree that ships a private key (by content), a host key, or what a program logs in to a server or
 * cloud with (by name): -EPERM with ERROR_REFUSED and the path of the first in byte order, and how many more
 * there are. Executables (ELF) are not searched. */
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
