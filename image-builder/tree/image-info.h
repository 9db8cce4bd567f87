/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* image.json: what `bascule-image build` leaves beside the images, and what `release`, `inspect` and `diff`
 * read. Written by us, read back by us, but from a folder that others can write: parsed strictly. */

#include "error.h"
#include "manifest.h"

#define IMAGE_INFO_NAME "image.json"

typedef struct ImageInfoPackage {
        char *name, *version, *architecture;
} ImageInfoPackage;

/* A list of packages, a bill of materials and the like, to be published with the images. */
typedef struct ImageInfoPaper {
        char *file;
        uint8_t sha256[SHA256_SIZE];
} ImageInfoPaper;

typedef struct ImageInfo {
        char *image_id, *version, *architecture;
        char *root_file;   /* file names in the same folder */
        char *verity_file; /* hash area */
        char *uki_file;
        char *disk_file;  /* raw; NULL when the recipe asks for none */
        char *qcow2_file; /* NULL when the recipe asks for none */
        uint64_t root_size_bytes, uki_size_bytes;
        uint8_t root_sha256[SHA256_SIZE], uki_sha256[SHA256_SIZE];
        VerityParameters verity;
        ImageInfoPackage *packages; /* by name */
        size_t package_count;
        ImageInfoPaper *papers;
        size_t paper_count;
} ImageInfo;

int image_info_read(const char *folder, ImageInfo **ret, Error *error);
/* The root image that it names in that folder, open for reading; the caller's to close. */
int image_info_open_root(const ImageInfo *info, const char *folder, int *ret, Error *error);
/* The text of an image.json, freed by the caller. Deterministic. */
int image_info_format(const ImageInfo *info, char **ret, Error *error);
ImageInfo *image_info_free(ImageInfo *info);
DEFINE_CLEANUP(ImageInfo *, image_info_free)
