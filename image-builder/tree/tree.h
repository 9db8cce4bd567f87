/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A root filesystem in memory: names, inodes and where each file's bytes lie, but not the bytes themselves.
 * The tar reader fills it, the recipe's files and the normaliser change it, the erofs writer puts it on
 * disk, and no step needs root, a mount or an unpacked copy.
 *
 * A TreeNode is a name in a directory, a TreeInode is what names stand for; hard links are several nodes of
 * one inode. Both are plain data: read their members freely; change mode, uid, gid, mtime and device of an
 * inode in place; everything else changes through the functions below. All of it is owned by the Tree, and
 * a pointer to a node stays good until that node is dropped or replaced.
 *
 * Paths are relative to the root of the tree; a leading '/' and doubled slashes mean nothing. Components "."
 * and ".." are refused. Symbolic links in the middle of a path are followed as a booted host would follow
 * them, inside the tree only ("bin/x" finds "usr/bin/x" on a merged /usr). The last component is followed
 * by tree_resolve() alone.
 *
 * What a walk or tree_children() gives is in byte order of the names, whatever the order of insertion. Names
 * may come from hostile archives: length and characters are checked on insertion (TREE_NAME_MAX, no '/', no
 * NUL). */

#include "error.h"

#include <sys/stat.h>
#include <sys/types.h>

#define TREE_NAME_MAX 255
#define TREE_PATH_MAX 4096
#define TREE_SYMLINK_MAX 4095
#define TREE_XATTR_VALUE_MAX 65535
#define TREE_DEPTH_MAX 256

typedef struct Tree Tree;
typedef struct TreeNode TreeNode;
typedef struct TreeInode TreeInode;

/* Where the bytes of a regular file lie. */
typedef enum TreeContentKind {
        TREE_CONTENT_EMPTY,
        TREE_CONTENT_MEMORY,
        TREE_CONTENT_BACKING, /* in a file that was given to tree_add_backing() */
        TREE_CONTENT_HOST,    /* a file of the building machine, opened when it is read */
} TreeContentKind;

typedef struct TreeContent {
        TreeContentKind kind;
        uint64_t size_bytes;
        uint8_t *memory;       /* MEMORY */
        unsigned backing;      /* BACKING: number from tree_add_backing() */
        uint64_t offset_bytes; /* BACKING */
        char *host_path;       /* HOST */
} TreeContent;

typedef struct TreeXattr {
        char *name; /* whole, such as "security.capability" */
        uint8_t *value;
        size_t size_bytes;
} TreeXattr;

struct TreeInode {
        mode_t mode; /* type and permissions: S_ISREG, S_ISDIR, S_ISLNK, S_ISCHR, S_ISBLK or S_ISFIFO */
        uint32_t uid, gid;
        int64_t mtime;         /* seconds */
        uint32_t link_count;   /* names; a directory has one */
        uint32_t major, minor; /* devices */
        uint64_t number;       /* order of creation: for tables of those who walk; never shown on disk */
        char *symlink_target;  /* symbolic links; its length is 1 to TREE_SYMLINK_MAX */
        TreeContent content;   /* regular files */
        TreeXattr *xattrs;     /* by name */
        size_t xattr_count;
        /* directories, the tree's own: use tree_child() and tree_children() */
        void *child_index;
        TreeNode **children;
        size_t child_count;
        bool children_current;
};

struct TreeNode {
        char *name;       /* "" for the root */
        TreeNode *parent; /* NULL for the root */
        TreeInode *inode;
};

/* An empty root directory, mode 0755, owned by root. NULL when out of memory. */
Tree *tree_new(void);
Tree *tree_free(Tree *tree);
DEFINE_CLEANUP(Tree *, tree_free)
#define _cleanup_tree_ _cleanup_(tree_freep)

/* Each gets what the other had. */
void tree_swap(Tree *a, Tree *b);

TreeNode *tree_root(const Tree *tree);

/* Inodes in the tree, the root's included. */
size_t tree_inode_count(const Tree *tree);
/* Inode numbers are below this: the size of a table that is indexed by them. */
uint64_t tree_inode_number_end(const Tree *tree);

/* Gives the tree a file that contents lie in; the tree keeps a duplicate of the descriptor. Returns its
 * number, or a negative errno. The file must not change while the tree lives. */
int tree_add_backing(Tree *tree, int fd);

/* ---- finding ---- */

/* NULL when there is none, when a component is not a directory, or on a loop of links. */
TreeNode *tree_lookup(const Tree *tree, const char *path);
/* As tree_lookup(), following a symbolic link in the last place too. */
TreeNode *tree_resolve(const Tree *tree, const char *path);
/* The child of that name, not following anything; NULL when there is none. */
TreeNode *tree_child(const TreeNode *directory, const char *name);
/* The children in byte order of their names. The array is the tree's, good until the directory changes; NULL
 * when there are none. -ENOMEM. */
int tree_children(TreeNode *directory, TreeNode *const **ret, size_t *ret_count);
/* "usr/bin/env", or "" for the root: newly allocated, NULL when out of memory. */
char *tree_node_path(const TreeNode *node);

/* ---- making ----
 *
 * Each makes the missing folders of the path (0755, root), puts a new inode (owner root, mtime 0) in the
 * place of what was there, and returns its node in *ret, which may be NULL. What is a directory is never
 * replaced: -EISDIR. The mode is permission bits only. Errors name the path: -EINVAL for a bad path or
 * name, -ENOTDIR, -ELOOP, -ENAMETOOLONG, -ENOMEM. */

/* A directory that is there already stays as it is and is returned. */
int tree_make_directory(Tree *tree, const char *path, mode_t mode, TreeNode **ret, Error *error);
/* The bytes are copied. */
int tree_make_file(Tree *tree, const char *path, const void *data, size_t size, mode_t mode, TreeNode **ret,
                Error *error);
int tree_make_text(Tree *tree, const char *path, const char *text, mode_t mode, Error *error);
int tree_make_symlink(Tree *tree, const char *path, const char *target, TreeNode **ret, Error *error);
/* type is S_IFCHR, S_IFBLK or S_IFIFO (numbers 0). */
int tree_make_special(Tree *tree, const char *path, mode_t type, mode_t mode, uint32_t major, uint32_t minor,
                TreeNode **ret, Error *error);
/* One more name for an inode of the same tree that is not a directory. */
int tree_make_hardlink(Tree *tree, const char *path, TreeNode *existing, TreeNode **ret, Error *error);
/* A file whose bytes lie in a backing file. */
int tree_make_backed_file(Tree *tree, const char *path, unsigned backing, uint64_t offset_bytes,
                uint64_t size_bytes, mode_t mode, TreeNode **ret, Error *error);
/* A file whose bytes are those of a regular file of the building machine, whose size is taken now. */
int tree_make_host_file(Tree *tree, const char *path, const char *host_path, mode_t mode, TreeNode **ret,
                Error *error);
/* Copies a folder of the building machine, with all in it, over what the tree has at `path`. So that no
 * umask or checkout shows in the image, owners become root and modes 0755 (directories, and files their
 * owner may execute) or 0644. Special files are refused. */
int tree_import_host(Tree *tree, const char *path, const char *host_folder, Error *error);

/* ---- changing ---- */

/* Removes what the path names, with all below it; 0 also when there is nothing. The root only loses what
 * is in it. -EINVAL for a bad path. */
int tree_drop(Tree *tree, const char *path);
/* Removes all that matches a pattern: '*', '?' and '[...]' match within one component, leading dots
 * included. Returns how many matched, or a negative errno. */
int tree_drop_glob(Tree *tree, const char *pattern);
/* Removes what is in a directory, not the directory itself; 0 also when there is none. */
int tree_empty_directory(Tree *tree, const char *path);
void tree_drop_node(Tree *tree, TreeNode *node);
/* Moves a node with all below it; the folders of `to` are made. -EEXIST when `to` is there, -EINVAL when it
 * lies inside what is moved, -ENOENT. */
int tree_move(Tree *tree, const char *from, const char *to, Error *error);
/* Gives a regular file other bytes (copied), for all its names. */
int tree_set_content(TreeInode *inode, const void *data, size_t size);
/* Appends text to a file, or makes it with mode 0644. */
int tree_append_text(Tree *tree, const char *path, const char *text, Error *error);
/* Adds or replaces. -ENAMETOOLONG past 255 bytes of name, -E2BIG past TREE_XATTR_VALUE_MAX. */
int tree_set_xattr(TreeInode *inode, const char *name, const void *value, size_t size);
const TreeXattr *tree_get_xattr(const TreeInode *inode, const char *name);
/* Drops one; nothing happens when there is none. */
void tree_drop_xattr(TreeInode *inode, const char *name);
/* Gives every inode the same time. -ENOMEM. */
int tree_set_times(Tree *tree, int64_t mtime);

/* ---- reading ---- */

/* Calls `visit` for `node` and all below it, folders before what they hold, in byte order, with the path
 * as tree_node_path() gives it. A negative result ends the walk and is returned. `visit` may change
 * members of the inode and, when the node is a directory, what lies below it; it must not drop the node. */
typedef int (*TreeVisit)(Tree *tree, TreeNode *node, const char *path, void *data, Error *error);
int tree_walk(Tree *tree, TreeNode *node, TreeVisit visit, void *data, Error *error);

/* Exactly `size` bytes of a regular file. -EIO when the source is shorter than it was, -EINVAL past the
 * end of the file. */
int tree_read(Tree *tree, const TreeInode *inode, uint64_t offset_bytes, void *ret, size_t size);
/* The same as a callback: `data` is a TreeFile. */
typedef struct TreeFile {
        Tree *tree;
        const TreeInode *inode;
} TreeFile;
int tree_file_read(void *data, uint64_t offset_bytes, void *ret, size_t size);
/* A whole file, NUL-terminated, freed by the caller. -E2BIG past cap_bytes, -ENOENT, -EISDIR. Follows links.
 */
int tree_read_file(Tree *tree, const char *path, size_t cap_bytes, char **ret, size_t *ret_size);
