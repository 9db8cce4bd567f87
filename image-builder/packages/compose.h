/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The tree of an image: what the packages made, the recipe's own content, accounts and services, the
 * engine's files and settings, all of it normalised (normalise.h). docs/image-tree.md tells the whole story.
 */

#include "cache.h"
#include "normalise.h"
#include "recipe.h"

typedef struct ComposeOptions {
        const Recipe *recipe;
        const char *tar_path;    /* configured packages, or a base */
        const char *engine_root; /* engine-files.h */
        int64_t epoch;           /* mtime of everything */
        int log_fd;              /* what scripts print; -1: discarded */
        const char *log_path;    /* for messages; NULL: there is none */
} ComposeOptions;

typedef struct ComposePackage {
        char *name, *version, *architecture;
        char *source, *source_version; /* of the source package that it was built from */
        uint64_t installed_bytes;      /* as the package says */
        bool is_removed;               /* by the recipe, once it was installed: not in the image */
} ComposePackage;

typedef struct Composition {
        Tree *tree;
        TreeKernel kernel;
        char *kernel_image; /* vmlinuz */
        size_t kernel_size;
        char *os_release;         /* text */
        ComposePackage *packages; /* by name */
        size_t package_count;
} Composition;

int compose(const ComposeOptions *options, Composition *ret, Error *error);
void composition_done(Composition *composition);

/* Everything that compose() reads, but for the tar, whose key is the caller's to add. */
int compose_key(CacheKey *key, const ComposeOptions *options, Error *error);

/* ---- parts, for each other and for tests ---- */

/* The packages that are installed according to the text of dpkg's status file, by name; freed with
 * compose_free_packages(). */
int compose_parse_packages(const char *status, ComposePackage **ret, size_t *ret_count, Error *error);
void compose_free_packages(ComposePackage *packages, size_t count);

/* The stanza that stands for an initrd generator while packages are configured, so that Debian's kernel
 * package is content without one (its initrd would be thrown away), and its removal afterwards. */
#define COMPOSE_STAND_IN "bascule-no-initrd"
#define COMPOSE_STAND_IN_STANZA                                                                             \
        "\nPackage: " COMPOSE_STAND_IN "\nStatus: install ok installed\nMaintainer: Bascule\n"              \
        "Architecture: all\nVersion: 1\nProvides: linux-initramfs-tool\n"                                   \
        "Description: no initrd is made while packages are configured\n\n"
int compose_drop_stand_in(Tree *tree, Error *error);
/* Drops the stanzas of a package from dpkg's status file; 0 also when there is none. */
int compose_drop_package(Tree *tree, const char *name, Error *error);

/* Accounts, the recipe's files, scripts, services, the engine's settings. */
int compose_add_recipe(Tree *tree, const ComposeOptions *options, Error *error);
/* Runs the recipe's scripts, if it has any, in a sandbox (sandbox.h). */
int compose_run_scripts(Tree *tree, const ComposeOptions *options, Error *error);
