/* SPDX-License-Identifier: Apache-2.0 */
#include "base-folder.h"
#include "bytes.h"
#include "file.h"

#include <dirent.h>
#include <search.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define CHUNK (1 * MIB)
#define CAPABILITY "security.capability"

/* An inode that has several names, of which the first is in the tree. */
typedef struct Shared {
        dev_t device;
        ino_t number;
        TreeNode *node;
} Shared;

typedef struct Import {
        Tree *tree;
        struct stat top;
        uint64_t left_bytes, limit_bytes;
        void *shared; /* of Shared, for tsearch() */
        Error *error;
} Import;

static int by_inode(const void *a, const void *b)
{
        const Shared *left = a, *right = b;

        if (left->device != right->device)
                return left->device < right->device ? -1 : 1;
        return left->number < right->number ? -1 : left->number > right->number;
}

static int cannot_read(Import *import, const char *path)
{
        return error_set(import->error, errno == EACCES ? ERROR_PERMISSION : ERROR_IO, errno,
                        "cannot read %s: %s", path, strerror(errno));
}

/* ---- one file ---- */

static int take_capability(Import *import, TreeInode *inode, const char *host_path)
{
        uint8_t value[256];
        ssize_t size = lgetxattr(host_path, CAPABILITY, value, sizeof(value));

        if (size < 0)
                return errno == ENODATA || errno == ENOTSUP ? 0 : cannot_read(import, host_path);
        return tree_set_xattr(inode, CAPABILITY, value, (size_t)size) < 0 ? error_oom(import->error) : 0;
}

static void take_attributes(const Import *import, TreeInode *inode, const struct stat *status)
{
        inode->mode = status->st_mode;
        inode->uid = status->st_uid == import->top.st_uid ? 0 : status->st_uid;
        inode->gid = status->st_gid == import->top.st_gid ? 0 : status->st_gid;
}

static int make_link(Import *import, const char *path, const char *host_path, TreeNode **ret)
{
        char target[TREE_SYMLINK_MAX + 1];
        ssize_t size = readlink(host_path, target, sizeof(target));

        if (size <= 0 || (size_t)size >= sizeof(target))
                return cannot_read(import, host_path);
        target[size] = 0;
        return tree_make_symlink(import->tree, path, target, ret, import->error);
}

static int make_file(Import *import, const char *path, const char *host_path, const struct stat *status,
                TreeNode **ret)
{
        char limit[SIZE_TEXT_MAX];
        int r;

        if ((uint64_t)status->st_size > import->left_bytes)
                return error_set(import->error, ERROR_REFUSED, EFBIG,
                                "its files are larger than %s together",
                                size_format(import->limit_bytes, limit));
        if (access(host_path, R_OK) < 0)
                return cannot_read(import, host_path);
        import->left_bytes -= (uint64_t)status->st_size;
        r = tree_make_host_file(import->tree, path, host_path, 0, ret, import->error);
        return r < 0 ? r : take_capability(import, (*ret)->inode, host_path);
}

/* NULL in *ret: it is left out. */
static int make_node(Import *import, const char *path, const char *host_path, const struct stat *status,
                TreeNode **ret)
{
        *ret = NULL;
        switch (status->st_mode & S_IFMT) {
        case S_IFREG:
                return make_file(import, path, host_path, status, ret);
        case S_IFLNK:
                return make_link(import, path, host_path, ret);
        case S_IFIFO:
                return tree_make_special(import->tree, path, S_IFIFO, 0, 0, 0, ret, import->error);
        case S_IFCHR:
        case S_IFBLK:
                if (strncmp(path, "dev/", 4) == 0)
                        return 0;
                return error_set(import->error, ERROR_REFUSED, EPERM,
                                "%s is a device node: they may only be below dev, where they are left out",
                                host_path);
        default:
                return 0;
        }
}

static int import_file(Import *import, const char *path, const char *host_path, const struct stat *status)
{
        Shared key = { status->st_dev, status->st_ino, NULL }, *known;
        TreeNode *node;
        void *found = status->st_nlink > 1 ? tfind(&key, &import->shared, by_inode) : NULL;
        int r;

        if (found)
                return tree_make_hardlink(
                                import->tree, path, (*(Shared **)found)->node, NULL, import->error);
        r = make_node(import, path, host_path, status, &node);
        if (r < 0 || !node)
                return r;
        take_attributes(import, node->inode, status);
        if (status->st_nlink < 2)
                return 0;
        known = malloc(sizeof(*known));
        if (known)
                *known = (Shared){ status->st_dev, status->st_ino, node };
        if (!known || !tsearch(known, &import->shared, by_inode)) {
                free(known);
                return error_oom(import->error);
        }
        return 0;
}

/* ---- folders ---- */

static int is_not_dots(const struct dirent *entry)
{
        return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int in_byte_order(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int import_folder(Import *import, const char *path, const char *host_path, unsigned depth);

static int import_any(Import *import, const char *path, const char *host_path, unsigned depth)
{
        struct stat status;
        TreeNode *node;
        int r;

        if (lstat(host_path, &status) < 0)
                return cannot_read(import, host_path);
        if (!S_ISDIR(status.st_mode))
                return import_file(import, path, host_path, &status);
        r = tree_make_directory(import->tree, path, 0, &node, import->error);
        if (r < 0)
                return r;
        take_attributes(import, node->inode, &status);
        return status.st_dev == import->top.st_dev ? import_folder(import, path, host_path, depth + 1) : 0;
}

static int import_folder(Import *import, const char *path, const char *host_path, unsigned depth)
{
        struct dirent **entries = NULL;
        int count, r = 0;

        if (depth > TREE_DEPTH_MAX)
                return error_set(import->error, ERROR_CONFIG, ELOOP, "%s is nested too deeply", host_path);
        count = scandir(host_path, &entries, is_not_dots, in_byte_order);
        if (count < 0)
                return cannot_read(import, host_path);
        for (int i = 0; i < count; i++) {
                _cleanup_free_ char *below =
                                path[0] ? path_join(path, entries[i]->d_name) : strdup(entries[i]->d_name);
                _cleanup_free_ char *host_below = path_join(host_path, entries[i]->d_name);

                if (r >= 0)
                        r = below && host_below ? import_any(import, below, host_below, depth)
                                                : error_oom(import->error);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int base_import_folder(Tree *tree, const char *folder, uint64_t limit_bytes, Error *error)
{
        Import import = {
                .tree = tree, .left_bytes = limit_bytes, .limit_bytes = limit_bytes, .error = error
        };
        int r;

        if (lstat(folder, &import.top) < 0)
                return cannot_read(&import, folder);
        take_attributes(&import, tree_root(tree)->inode, &import.top);
        r = import_folder(&import, "", folder, 0);
        tdestroy(import.shared, free);
        return r;
}

/* ---- the hash ---- */

typedef struct Hashing {
        Sha256 *hash;
        uint8_t *chunk;
} Hashing;

static void add(Hashing *hashing, const void *data, size_t size)
{
        uint8_t length[8];

        write_le64(length, size);
        sha256_update(hashing->hash, length, sizeof(length));
        sha256_update(hashing->hash, data, size);
}

static int hash_node(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        Hashing *hashing = data;
        const TreeInode *inode = node->inode;
        const char *target = S_ISLNK(inode->mode) ? inode->symlink_target : "";
        uint8_t numbers[32];

        write_le64(numbers, inode->mode);
        write_le64(numbers + 8, (uint64_t)inode->uid << 32 | inode->gid);
        write_le64(numbers + 16, inode->number); /* the same one: a hard link */
        write_le64(numbers + 24, inode->content.size_bytes);
        add(hashing, path, strlen(path));
        add(hashing, numbers, sizeof(numbers));
        add(hashing, target, strlen(target));
        for (size_t i = 0; i < inode->xattr_count; i++)
                add(hashing, inode->xattrs[i].value, inode->xattrs[i].size_bytes);
        for (uint64_t at = 0; S_ISREG(inode->mode) && at < inode->content.size_bytes;) {
                size_t size = (size_t)MIN_OF((uint64_t)CHUNK, inode->content.size_bytes - at);
                int r = tree_read(tree, inode, at, hashing->chunk, size);

                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r));
                sha256_update(hashing->hash, hashing->chunk, size);
                at += size;
        }
        return 0;
}

int base_hash_tree(Tree *tree, uint8_t ret[static SHA256_SIZE], Error *error)
{
        _cleanup_sha256_ Sha256 *hash = sha256_new();
        _cleanup_free_ uint8_t *chunk = malloc(CHUNK);
        int r;

        if (!hash || !chunk)
                return error_oom(error);
        r = tree_walk(tree, tree_root(tree), hash_node, &(Hashing){ hash, chunk }, error);
        if (r >= 0)
                sha256_finish(hash, ret);
        return r;
}
