/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One side of `bascule-image diff`: a root image and what is known of it, from an image file, from a folder
 * that `build` made, or from a release in a repository. */

#include "compose.h"
#include "erofs-reader.h"
#include "image-info.h"

#include <jansson.h>

typedef struct DiffEntry {
        char *path; /* without a leading slash */
        ErofsInode inode;
} DiffEntry;

typedef struct DiffImage {
        char *version; /* NULL: of an image file */
        int fd;
        uint64_t size_bytes;
        ErofsImage *erofs;
        DiffEntry *entries; /* by path */
        size_t count, capacity;
        ComposePackage *packages; /* by name; as dpkg in the image says */
        size_t package_count;
        Manifest *manifest; /* of a release; else NULL */
        json_t *fixes;      /* fixes.h; NULL: there is none, or none was wanted */
} DiffImage;

#define DIFF_IMAGE_CLOSED ((DiffImage){ .fd = -1 })

/* Where an image is: `name` is a path, or with `repository` (else NULL) the version of a release in it for
 * `architecture`, which is made again of its full payload. */
typedef struct DiffSource {
        const char *name, *repository, *architecture;
        bool with_fixes; /* read that paper too, where there is one */
} DiffSource;

int diff_image_open(const DiffSource *source, DiffImage *ret, Error *error);
/* The same of an open root image, whose descriptor stays the caller's; `name` is for messages. */
int diff_image_open_fd(int fd, const char *name, DiffImage *ret, Error *error);
void diff_image_close(DiffImage *image);
#define _cleanup_diff_image_ _cleanup_(diff_image_close)

/* NULL when there is none of that path. */
const DiffEntry *diff_image_find(const DiffImage *image, const char *path);
/* A whole file, NUL-terminated, freed by the caller. -E2BIG beyond the cap. */
int diff_image_read(
                const DiffImage *image, const DiffEntry *entry, size_t cap_bytes, char **ret, Error *error);
