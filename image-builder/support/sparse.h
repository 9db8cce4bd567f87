/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Copies of large files that leave holes where the source has holes or zeros. */

#include "error.h"

bool sparse_is_zero(const void *bytes, size_t size);

/* The next stretch of data at or after `offset`, cut at `limit`; none left: both are `limit`. Where the
 * filesystem cannot tell holes, all of it is data. */
int sparse_next(int fd, uint64_t offset, uint64_t limit, uint64_t *ret_begin, uint64_t *ret_end);

/* Copies `size` bytes between regular files. The target range must read as zeros before. Shares blocks with
 * the source where the filesystem can. 0 or a negative errno; -EIO when the source ends early. */
int sparse_copy(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset, uint64_t size);

/* Makes the file `to` (which must not exist, mode 0644) a copy of `from`. */
int sparse_copy_file(const char *from, const char *to, Error *error);

/* Makes the file `path`, which must not exist, of this size and all hole, and opens it. */
int sparse_make_file(const char *path, uint64_t size, int *ret_fd, Error *error);
