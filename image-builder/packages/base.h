/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a recipe begins with instead of nothing ([Content] Base=): a root filesystem as an archive (tar.h,
 * unpack.h), as a folder (base-folder.h) or as an image of an OCI layout (oci-image.h), the layout a folder
 * or an archive itself. All of it may be hostile; see these headers for what is refused.
 *
 * Whatever it was, it becomes one plain archive in a cache entry, "tree.tar", which packages are installed
 * on or which is the tree already. Beside it lies dpkg's database as "status", or "unfit" with the reason
 * why nothing can be installed on it. */

#include "cache.h"
#include "oci-image.h"
#include "recipe.h"

#define BASE_TREE_FILE "tree.tar"

typedef struct Base Base;

/* Finds out what is there, without unpacking it, and what identifies it. */
int base_open(const Recipe *recipe, Base **ret, Error *error);
Base *base_free(Base *base);
DEFINE_CLEANUP(Base *, base_free)
#define _cleanup_base_ _cleanup_(base_freep)

/* In hexadecimal: the SHA-256 of the archive, of the OCI manifest, or of what is in the folder. */
const char *base_identity(const Base *base);
/* The digests of what an OCI image consists of (config, then layers); none otherwise. */
const OciList *base_parts(const Base *base);

void base_key(const Base *base, CacheKey *key);
/* Fills a cache entry. What is read is compared with the identity once more: -EAGAIN when it changed. */
int base_make(Base *base, const CacheEntry *entry, Error *error);
/* The finished entry, made if it is not there. */
int base_acquire(Base *base, Cache *cache, CacheEntry *ret, Error *error);
/* dpkg's database of a finished entry, freed by the caller. ERROR_CONFIG with the reason if nothing can be
 * installed on it. */
int base_read_status(const CacheEntry *entry, char **ret, Error *error);
