/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes a Tree as an uncompressed EROFS image (Linux Documentation/filesystems/erofs.rst; fields in
 * erofs-format.h), 4096-byte blocks, in two steps:
 *
 *   erofs_plan_new()  decides where everything lies. Pure: no file content is read. Memory grows with the
 * number of inodes and names, not with content. erofs_write()     puts the plan on a file in one pass,
 * reading each content once.
 *
 * Same tree and same options give the same bytes. The image's length is a multiple of the block size. */

#include "tree.h"

typedef struct ErofsPlan ErofsPlan;
typedef struct ErofsImage ErofsImage; /* erofs-reader.h */

typedef struct ErofsOptions {
        uint8_t uuid[16];
        int64_t epoch;     /* build time in the superblock, seconds; an inode of this time is compact */
        const char *label; /* volume name, at most 15 bytes; NULL: none */
        const ErofsImage *previous; /* an older image whose unchanged files keep their offsets; NULL: none */
} ErofsOptions;

int erofs_plan_new(Tree *tree, const ErofsOptions *options, ErofsPlan **ret, Error *error);
ErofsPlan *erofs_plan_free(ErofsPlan *plan);
DEFINE_CLEANUP(ErofsPlan *, erofs_plan_free)
#define _cleanup_erofs_plan_ _cleanup_(erofs_plan_freep)

/* Length of the image to be. */
uint64_t erofs_plan_size(const ErofsPlan *plan);

/* Called with bytes written so far; may be NULL. A negative result ends the writing and is returned. */
typedef int (*ErofsProgress)(uint64_t done_bytes, void *data);

/* Writes the whole image from offset 0 of a regular file or block device. The tree must be the plan's, not
 * changed since. Zeros are written too, so the target need not be empty. */
int erofs_write(const ErofsPlan *plan, int fd, ErofsProgress progress, void *data, Error *error);
