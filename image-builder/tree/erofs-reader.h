/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads an EROFS image: inodes, folders, where each file's bytes lie, xattrs. Only what erofs-writer.h and
 * mkfs.erofs without compression make is understood (FLAT_PLAIN and FLAT_INLINE data, one device, no
 * fragments): anything else is -EOPNOTSUPP with ERROR_INCOMPATIBLE.
 *
 * The image may be hostile: every offset is checked against its length, sums do not wrap, a directory that
 * appears twice (a loop) is refused, depth and counts are capped. Damage is -EBADMSG with ERROR_CORRUPT. */

#include "error.h"

#include <sys/types.h>

typedef struct ErofsImage ErofsImage;

typedef struct ErofsInode {
        uint64_t nid;
        uint64_t offset; /* of the inode itself, bytes from the image's start */
        mode_t mode;
        uint32_t uid, gid;
        uint32_t link_count;
        int64_t mtime;
        uint32_t major, minor; /* devices */
        uint64_t size_bytes;
        /* The content: data_bytes at data_offset (whole blocks but for the end of a plain file), and then
         * tail_bytes at tail_offset. Offsets from the image's start; 0 when the part is empty. */
        uint64_t data_offset, data_bytes;
        uint64_t tail_offset, tail_bytes;
        uint64_t xattr_offset; /* of the inline xattr area */
        uint32_t xattr_bytes;  /* 0: none */
} ErofsInode;

/* The descriptor stays the caller's and must outlive the image. */
int erofs_open(int fd, ErofsImage **ret, Error *error);
ErofsImage *erofs_close(ErofsImage *image);
DEFINE_CLEANUP(ErofsImage *, erofs_close)
#define _cleanup_erofs_ _cleanup_(erofs_closep)

typedef struct ErofsSuperblock {
        uint8_t uuid[16];
        char label[17];
        int64_t epoch;
        uint64_t inode_count;
        uint64_t size_bytes; /* blocks times block size */
        uint64_t root_nid;
} ErofsSuperblock;
const ErofsSuperblock *erofs_superblock(const ErofsImage *image);

int erofs_read_inode(const ErofsImage *image, uint64_t nid, ErofsInode *ret, Error *error);

/* Exactly `size` bytes of a file, folder or link; -EINVAL past its end. */
int erofs_read(const ErofsImage *image, const ErofsInode *inode, uint64_t offset_bytes, void *ret,
                size_t size, Error *error);

/* Calls `visit` for each entry but "." and "..", in order. `name` is NUL-terminated and holds no '/'. A
 * negative result ends it and is returned. */
typedef int (*ErofsEntryVisit)(const char *name, uint64_t nid, void *data, Error *error);
int erofs_read_directory(const ErofsImage *image, const ErofsInode *directory, ErofsEntryVisit visit,
                void *data, Error *error);

/* Calls `visit` for each extended attribute, with its whole name ("security.capability"). */
typedef int (*ErofsXattrVisit)(
                const char *name, const uint8_t *value, size_t size, void *data, Error *error);
int erofs_read_xattrs(const ErofsImage *image, const ErofsInode *inode, ErofsXattrVisit visit, void *data,
                Error *error);

/* Calls `visit` for every name below (and, with path "", for) the root, folders before what they hold. An
 * inode with several names comes several times, with the same nid. */
typedef int (*ErofsVisit)(const char *path, const ErofsInode *inode, void *data, Error *error);
int erofs_walk(const ErofsImage *image, ErofsVisit visit, void *data, Error *error);
