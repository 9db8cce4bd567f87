/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The payloads of a release, made beside its images. */

#include "release.h"

/* Checks both images against what image.json says of them, root hash too. ERROR_CORRUPT. */
int release_check_images(const ReleaseRequest *request, const ImageInfo *info, Error *error);

/* Opens an image that image.json describes. ERROR_CORRUPT when it has another length. */
int release_open_image(const char *folder, const ImageInfo *info, ImageKind kind, int *ret, Error *error);

/* What firmware under Secure Boot will judge the UKI by. Stays unknown for a file that is no EFI program. */
int release_read_signatures(
                const ReleaseRequest *request, const ImageInfo *info, ImageSignatures *ret, Error *error);

/* Makes, or finds from an earlier run and proves again, the full payload and the pieces of one image, and
 * describes them for the manifest. *ret_files is a strv of their paths on this machine: payload, pieces. */
int release_make_payloads(const ReleaseRequest *request, const ImageInfo *info, ImageKind kind,
                ManifestImage *ret, char ***ret_files, Error *error);

/* ---- release-papers.c ---- */

/* A paper in an image folder, freed by the caller. ERROR_CORRUPT when it is not the one that image.json
 * describes. */
int release_read_paper(
                const char *folder, const ImageInfoPaper *paper, char **ret, size_t *ret_size, Error *error);
/* What it is called in a repository; newly allocated, NULL when out of memory. */
char *release_paper_path(const char *version, const char *architecture, const char *file);

/* Whether lists and statements in the folder are those that were made with the images. */
int release_check_papers(const ReleaseRequest *request, const ImageInfo *info, Error *error);
/* Puts them into the repository, as releases/VERSION/ARCHITECTURE/NAME. */
int release_add_papers(
                const ReleaseRequest *request, const ImageInfo *info, Repository *repository, Error *error);
