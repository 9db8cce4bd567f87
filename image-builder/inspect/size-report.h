/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What takes the room in a root image: by package, by file, and as a picture. */

#include "buffer.h"
#include "diff-image.h"

#include <jansson.h>

typedef struct SizeRow {
        char *name;    /* of a package or a file */
        char *package; /* of a file; NULL: none, or this is a package */
        uint64_t size_bytes;
        size_t files;
} SizeRow;

typedef struct SizeReport {
        uint64_t image_bytes, content_bytes;
        SizeRow *packages; /* the largest first; what no package owns is one of them, called SIZE_UNOWNED */
        size_t package_count;
        SizeRow *files; /* the largest first */
        size_t file_count;
} SizeReport;

#define SIZE_UNOWNED "(no package)"

/* Each inode counts once. */
int size_report_make(const DiffImage *image, SizeReport *ret, Error *error);
void size_report_done(SizeReport *report);

/* Members: size, content-size, packages and files, each a list; with `rows_max` rows at most (0: all). NULL
 * when out of memory. */
json_t *size_report_json(const SizeReport *report, size_t rows_max);

/* For a message: the largest packages and files, and if there is a report from before (else NULL) which grew
 * most or are new. What does not fit into `size` bytes is left out. -ENOMEM. */
int size_report_summary(const SizeReport *now, const SizeReport *before, char *ret, size_t size);

/* A treemap of the packages as SVG 1.1: areas are sizes. The same report gives the same picture. -ENOMEM. */
int size_report_svg(const SizeReport *report, const char *title, Buffer *ret);
