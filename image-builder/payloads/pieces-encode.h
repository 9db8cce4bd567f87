/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Cutting an image into pieces (pieces.h): at the ends of files where it is an EROFS image, so that a file
 * that stayed is found wherever it lies. The bytes depend on the image, this program and the version of
 * zstd, never on the number of threads. */

#include "payload-walk.h"
#include "pieces.h"

typedef struct PiecesReport {
        uint64_t size_bytes, index_size_bytes, memory_bytes;
        uint8_t sha256[SHA256_SIZE], index_sha256[SHA256_SIZE];
        size_t count;
} PiecesReport;

/* Writes the pieces of a whole image to `path`, and decodes every one of them before it gets that name.
 * Threads: 0 for as many as there are processors. `progress` may be NULL. */
int pieces_encode(int image_fd, unsigned threads, const char *path, PayloadProgress progress,
                void *progress_data, PiecesReport *ret, Error *error);

/* The same of a file that is there, with every piece decoded and compared with the image. */
int pieces_prove(int image_fd, const char *path, PiecesReport *ret, Error *error);
