/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the tar reader share. Nobody else includes this. */

#include "tar.h"

/* One member as its header block and the extended headers before it tell. */
typedef struct TarMember {
        uint64_t header_offset;
        uint64_t size_bytes;
        uint64_t uid, gid, major, minor;
        int64_t mtime;
        mode_t mode;
        char type;
        char *name, *link; /* owned */
        TreeXattr *xattrs; /* owned; from SCHILY.xattr */
        size_t xattr_count;
        bool has_size, has_uid, has_gid, has_mtime; /* given by a pax header, which then counts */
} TarMember;

typedef struct TarReader {
        Tree *tree;
        const TarOptions *options;
        Error *error;
        int fd;
        unsigned backing;
        uint64_t at, end; /* bytes */
        uint64_t count;
        TarMember member;
} TarReader;

/* error_set() for the present member: -EBADMSG. */
int tar_refuse(TarReader *reader, const char *why);

/* Finds a name without following any link. 0 and NULL when it is not there. Refuses a name with "." or "..",
 * and, if `strict`, one that leads through something that is not a folder, so nothing can be put outside the
 * place that its name tells; otherwise such a name is not there. */
int tar_find(TarReader *reader, const char *name, bool strict, TreeNode **ret);

/* tar-layer.c: what is special about the present member, whose name is clean, in a pass over a layer;
 * *ret_done when nothing else is to be done with it. */
int tar_take_layer_member(TarReader *reader, bool *ret_done);

/* Puts a copy of the bytes, as text, in the place of *ret. -ENOMEM. */
int tar_copy_text(const void *text, size_t size, char **ret);

/* Takes the records of a pax extended header into reader->member. A global one may hold nothing but
 * comments. */
int tar_parse_pax(TarReader *reader, const char *text, size_t size, bool global);
