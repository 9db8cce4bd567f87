/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inodes of an EROFS image with where each lies, and which of an old image each of a new one stands for:
 * what a delta by files is planned from. */

#include "erofs-reader.h"

typedef struct ImageFile {
        char *path;  /* of its first name, without a slash in front */
        char *alike; /* the path with every run of digits made one '#' */
        ErofsInode inode;
        uint64_t head_bytes; /* of the inode and its xattrs, before the tail */
} ImageFile;

typedef struct ImageFiles {
        ImageFile *list; /* each inode once, in order of path */
        size_t count, capacity;
        ErofsImage *image;
} ImageFiles;

/* -EBADMSG, -EOPNOTSUPP for what is not an image that can be read (erofs-reader.h). The descriptor stays
 * the caller's. */
int image_files_open(int fd, ImageFiles *ret, Error *error);
void image_files_done(ImageFiles *files);

/* For each file of `new_files` the one of `old_files` that it stands for, or NULL: that of the same path;
 * else the one whose path is the same but for numbers; else a regular file with the same content; else the
 * one of the same name that is nearest in size. The array belongs to the caller. */
int image_files_pair(const ImageFiles *old_files, const ImageFiles *new_files, const ImageFile ***ret,
                Error *error);

/* 1 when two regular files have the same content, 0 when not, or an error. */
int image_files_same(const ImageFiles *a_files, const ImageFile *a, const ImageFiles *b_files,
                const ImageFile *b, Error *error);
