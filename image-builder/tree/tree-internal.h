/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files that implement tree.h share. Nobody else includes this. */

#include "tree.h"

struct Tree {
        TreeNode *root;
        size_t inode_count;
        uint64_t next_number;
        int *backings; /* descriptors */
        size_t backing_count;
};

/* Where a path leads. */
typedef struct TreeSpot {
        TreeNode *parent;             /* NULL for the root */
        TreeNode *node;               /* NULL when the last component is not there */
        char name[TREE_NAME_MAX + 1]; /* the last component, within `parent` */
} TreeSpot;

typedef enum TreeFindFlags {
        TREE_FIND_FOLLOW_LAST = 1 << 0,
        TREE_FIND_MAKE_FOLDERS = 1 << 1,
} TreeFindFlags;

/* 0 also when only the last component is missing. -ENOENT when one before it is, -ENOTDIR, -ELOOP, -EINVAL,
 * -ENAMETOOLONG, -ENOMEM. */
int tree_find(Tree *tree, const char *path, TreeFindFlags flags, TreeSpot *ret);

/* 0 when `name` may stand in a directory, else -EINVAL or -ENAMETOOLONG. */
int tree_check_name(const char *name);

/* A new inode without a name; NULL when out of memory. */
TreeInode *tree_inode_new(Tree *tree, mode_t mode);
/* Frees an inode that has no name left. */
void tree_inode_free(Tree *tree, TreeInode *inode);
/* Forgets the bytes of a regular file: it is empty then. */
void tree_content_clear(TreeContent *content);

/* Gives an inode a name in a directory that has none such. -EINVAL, -EMLINK, -ENOMEM, and -ENAMETOOLONG past
 * the limits of names, paths and depth. ret may be NULL. */
int tree_attach(TreeNode *parent, const char *name, TreeInode *inode, TreeNode **ret);
/* The same with a new directory. */
int tree_attach_directory(Tree *tree, TreeNode *parent, const char *name, mode_t mode, TreeNode **ret);

/* error_set() for a path that cannot be made or changed; errnum is positive. */
int tree_refuse(Error *error, int errnum, const char *path);
