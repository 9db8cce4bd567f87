/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "tree-internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

static int read_host(const TreeContent *content, uint64_t offset, void *ret, size_t size)
{
        _cleanup_fd_ int fd = open(content->host_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        return fd < 0 ? -errno : pread_full(fd, ret, size, offset);
}

int tree_read(Tree *tree, const TreeInode *inode, uint64_t offset_bytes, void *ret, size_t size)
{
        const TreeContent *content = &inode->content;

        if (!S_ISREG(inode->mode) || offset_bytes > content->size_bytes ||
                        size > content->size_bytes - offset_bytes)
                return -EINVAL;
        if (size == 0)
                return 0;
        switch (content->kind) {
        case TREE_CONTENT_MEMORY:
                memcpy(ret, content->memory + offset_bytes, size);
                return 0;
        case TREE_CONTENT_BACKING:
                return pread_full(tree->backings[content->backing], ret, size,
                                content->offset_bytes + offset_bytes);
        case TREE_CONTENT_HOST:
                return read_host(content, offset_bytes, ret, size);
        case TREE_CONTENT_EMPTY:
                break;
        }
        return -EINVAL;
}

int tree_file_read(void *data, uint64_t offset_bytes, void *ret, size_t size)
{
        const TreeFile *file = data;

        return tree_read(file->tree, file->inode, offset_bytes, ret, size);
}

int tree_read_file(Tree *tree, const char *path, size_t cap_bytes, char **ret, size_t *ret_size)
{
        TreeNode *node = tree_resolve(tree, path);

        if (!node)
                return -ENOENT;
        if (S_ISDIR(node->inode->mode))
                return -EISDIR;
        if (!S_ISREG(node->inode->mode))
                return -EINVAL;
        uint64_t size = node->inode->content.size_bytes;
        if (size > cap_bytes)
                return -E2BIG;

        _cleanup_free_ char *data = malloc(size + 1);
        if (!data)
                return -ENOMEM;
        int r = tree_read(tree, node->inode, 0, data, size);
        if (r < 0)
                return r;
        data[size] = 0;
        *ret = TAKE_PTR(data);
        if (ret_size)
                *ret_size = size;
        return 0;
}

/* ---- walking ---- */

typedef struct Walk {
        Tree *tree;
        TreeVisit visit;
        void *data;
        Error *error;
        char path[TREE_PATH_MAX + TREE_NAME_MAX + 2];
} Walk;

/* `length` of walk->path is the path of `node`. Recursion is bounded by TREE_DEPTH_MAX. */
static int walk_below(Walk *walk, TreeNode *node, size_t length)
{
        TreeNode *const *children;
        size_t count;

        int r = walk->visit(walk->tree, node, walk->path, walk->data, walk->error);
        if (r < 0 || !S_ISDIR(node->inode->mode))
                return r;
        r = tree_children(node, &children, &count);
        for (size_t i = 0; r >= 0 && i < count; i++) {
                size_t name_length = strlen(children[i]->name), at = length;

                if (length > 0)
                        walk->path[at++] = '/';
                memcpy(walk->path + at, children[i]->name, name_length + 1);
                r = walk_below(walk, children[i], at + name_length);
                walk->path[length] = 0;
        }
        return r < 0 ? r : 0;
}

int tree_walk(Tree *tree, TreeNode *node, TreeVisit visit, void *data, Error *error)
{
        Walk walk = { .tree = tree, .visit = visit, .data = data, .error = error };

        _cleanup_free_ char *path = tree_node_path(node);
        if (!path)
                return error_oom(error);
        (void)snprintf(walk.path, sizeof(walk.path), "%s", path);
        return walk_below(&walk, node, strlen(walk.path));
}

/* ---- folders of the building machine ---- */

static int import_folder(Tree *tree, const char *path, const char *folder, unsigned depth, Error *error);

static int import_link(Tree *tree, const char *path, const char *host_path, Error *error)
{
        char target[TREE_SYMLINK_MAX + 1];

        ssize_t n = readlink(host_path, target, sizeof(target));
        if (n <= 0 || (size_t)n >= sizeof(target))
                return error_set(error, ERROR_IO, n < 0 ? errno : EINVAL, "Cannot read the link %s",
                                host_path);
        target[n] = 0;
        return tree_make_symlink(tree, path, target, NULL, error);
}

static int import_one(Tree *tree, const char *path, const char *host_path, unsigned depth, Error *error)
{
        struct stat st;

        if (lstat(host_path, &st) < 0)
                return error_set(error, ERROR_IO, errno, "Cannot read %s: %s", host_path, strerror(errno));
        if (S_ISDIR(st.st_mode))
                return import_folder(tree, path, host_path, depth + 1, error);
        if (S_ISLNK(st.st_mode))
                return import_link(tree, path, host_path, error);
        if (S_ISREG(st.st_mode))
                return tree_make_host_file(
                                tree, path, host_path, st.st_mode & S_IXUSR ? 0755 : 0644, NULL, error);
        return error_set(error, ERROR_CONFIG, EINVAL,
                        "%s is a device, pipe or socket: only files, folders and links are copied into an "
                        "image",
                        host_path);
}

static int is_not_dots(const struct dirent *entry)
{
        return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* Not alphasort(), which goes by the locale. */
static int in_byte_order(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int import_folder(Tree *tree, const char *path, const char *folder, unsigned depth, Error *error)
{
        struct dirent **entries = NULL;

        int r = depth > TREE_DEPTH_MAX ? tree_refuse(error, ENAMETOOLONG, path)
                                       : tree_make_directory(tree, path, 0755, NULL, error);
        if (r < 0)
                return r;
        int count = scandir(folder, &entries, is_not_dots, in_byte_order);
        if (count < 0)
                return error_set(error, ERROR_CONFIG, errno, "Cannot read %s: %s", folder, strerror(errno));
        for (int i = 0; i < count; i++) {
                _cleanup_free_ char *below = path_join(path, entries[i]->d_name);
                _cleanup_free_ char *host_path = path_join(folder, entries[i]->d_name);

                if (r >= 0)
                        r = below && host_path ? import_one(tree, below, host_path, depth, error)
                                               : error_oom(error);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int tree_import_host(Tree *tree, const char *path, const char *host_folder, Error *error)
{
        return import_folder(tree, path, host_folder, 0, error);
}
