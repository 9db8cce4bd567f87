/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What changed from one image to another, for release notes and for review. */

#include "diff-image.h"

#include <jansson.h>

typedef struct DiffOptions {
        size_t rows_max;  /* of each list; 0: all. What is left out is counted */
        bool makes_delta; /* to tell what the download will cost, where no manifest says it */
} DiffOptions;

/* Members: old, new, packages, fixes, fixes-not-known, files (counts), file-changes, privileges (setuid and
 * setgid), capabilities, units, kernel-options, download. Lists are there if they hold something. */
int diff_images(const DiffImage *old, const DiffImage *new, const DiffOptions *options, json_t **ret,
                Error *error);

/* ---- parts ---- */

/* Files: *ret_counts is an object of counts and bytes, *ret_changes a list, the largest first. */
int diff_files(const DiffImage *old, const DiffImage *new, json_t **ret_counts, json_t **ret_changes,
                Error *error);
/* Lists of rows; NULL when out of memory. */
json_t *diff_packages(const DiffImage *old, const DiffImage *new);
/* CVEs that changelogs name between both versions of each source package, and sources of which not all of
 * that is known; both lists stay empty when the new image has no such paper. */
int diff_fixes(const DiffImage *old, const DiffImage *new, json_t **ret_fixes, json_t **ret_unknown,
                Error *error);
json_t *diff_privileges(const DiffImage *old, const DiffImage *new);
json_t *diff_units(const DiffImage *old, const DiffImage *new);
int diff_capabilities(const DiffImage *old, const DiffImage *new, json_t **ret, Error *error);
int diff_kernel_options(const DiffImage *old, const DiffImage *new, json_t **ret, Error *error);
