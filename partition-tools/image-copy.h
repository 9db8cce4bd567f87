/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A sparse copy that proves itself: data is written, holes and zeros are made to read as zeros, everything
 * is flushed, and then read back from the device and compared. Internal to partition-tools. */

#include "error.h"
#include "progress.h"

typedef struct ImageCopy {
        int from_fd, to_fd;
        const char *to_path; /* opened again for reading back past the page cache, and for messages */
        bool to_is_block_device;
        uint64_t first_bytes, end_bytes; /* of the target */
        uint64_t from_bytes;             /* where that range begins in the image */
        Progress *progress;              /* or NULL */
} ImageCopy;

/* Copies and flushes. *ret_written_bytes counts data without holes and zeros. ERROR_IO. */
int image_copy(const ImageCopy *copy, uint64_t *ret_written_bytes, Error *error);

/* Compares the whole range with the image, which is read anew where the kernel lets go of what it has in
 * memory. ERROR_CORRUPT names the first byte that differs. */
int image_compare(const ImageCopy *copy, Error *error);
