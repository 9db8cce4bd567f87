/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whole reads and writes, and replacement of a file that survives power loss. All retry EINTR and short
 * transfers. Paths are trusted; contents are not. */

#include "buffer.h"
#include "error.h"

#include <sys/types.h>

/* Exactly `size` bytes, or -EIO when the file ends before. */
int pread_full(int fd, void *ret, size_t size, uint64_t offset);
int pwrite_full(int fd, const void *data, size_t size, uint64_t offset);

/* Reads until `size` bytes or end of stream; *ret_size tells how many. */
int read_up_to(int fd, void *ret, size_t size, size_t *ret_size);
/* Exactly `size` bytes from a stream; -EPIPE when it ends before. */
int read_full(int fd, void *ret, size_t size);
int write_full(int fd, const void *data, size_t size);

/* Whole file into *ret (freed by the caller, NUL-terminated). -E2BIG when longer than cap_bytes. dir_fd
 * may be AT_FDCWD. */
int file_read(int dir_fd, const char *path, size_t cap_bytes, char **ret, size_t *ret_size);

/* Replaces `path` by the given bytes: temporary file beside it, write, fsync, rename, fsync of the folder.
 * Afterwards, also after a power cut, the path holds either the old or the new bytes, whole. */
int file_replace(int dir_fd, const char *path, const void *data, size_t size, mode_t mode);

/* mkdir -p. */
int directory_make(int dir_fd, const char *path, mode_t mode);

/* Removes a file, or a folder with all in it, without following links or crossing into another
 * filesystem; success when there is none. */
int tree_remove(int dir_fd, const char *path);

/* Size in bytes of a regular file or block device. */
int fd_size(int fd, uint64_t *ret_bytes);

/* "a/b" joined to "name", newly allocated; NULL when out of memory. */
char *path_join(const char *folder, const char *name);

/* printf into new memory; NULL when out of memory. */
char *string_format(const char *format, ...) _printf_(1, 2);

/* "410.2 MiB": for people; ret is also returned. */
#define SIZE_TEXT_MAX 32
const char *size_format(uint64_t bytes, char ret[static SIZE_TEXT_MAX]);

/* Decimal or with suffix K, M, G, T (powers of 1024). -EINVAL, -ERANGE. The text may be hostile. */
int size_parse(const char *text, uint64_t *ret_bytes);
