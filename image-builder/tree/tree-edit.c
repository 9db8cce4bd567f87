/* SPDX-License-Identifier: Apache-2.0 */
#include "tree-internal.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>

#define TEXT_FILE_MAX (4 * MIB) /* what tree_append_text() reads back */

int tree_refuse(Error *error, int errnum, const char *path)
{
        static const struct {
                int errnum;
                const char *why;
        } reasons[] = {
                { EINVAL, "the path is empty, or has \".\" or \"..\" in it, or leads into itself" },
                { ENOTDIR, "a part of the path is not a folder" },
                { EISDIR, "a folder is there" },
                { EEXIST, "there is something of that name already" },
                { ENOENT, "there is nothing of that name" },
                { ELOOP, "its symbolic links lead in a circle" },
                { ENAMETOOLONG, "the path is too long or too deep" },
        };

        for (size_t i = 0; i < ELEMENTS(reasons); i++)
                if (reasons[i].errnum == errnum)
                        return error_set(error, ERROR_CONFIG, errnum, "/%s in the image: %s",
                                        path + strspn(path, "/"), reasons[i].why);
        if (errnum == ENOMEM)
                return error_oom(error);
        return error_set(error, ERROR_FAILED, errnum, "/%s in the image: %s", path + strspn(path, "/"),
                        strerror(errnum));
}

/* ---- making ---- */

/* Puts a nameless inode in the place of what the path names; frees it when it cannot. */
static int place_inode(Tree *tree, const char *path, TreeInode *inode, TreeNode **ret, Error *error)
{
        TreeSpot spot;

        if (!inode)
                return error_oom(error);
        int r = tree_find(tree, path, TREE_FIND_MAKE_FOLDERS, &spot);
        if (r >= 0 && !spot.parent)
                r = -EISDIR;
        if (r >= 0 && spot.node) {
                if (S_ISDIR(spot.node->inode->mode))
                        r = -EISDIR;
                else if (spot.node->inode != inode)
                        tree_drop_node(tree, spot.node);
                else { /* a hard link over another name of the same inode */
                        if (ret)
                                *ret = spot.node;
                        return 0;
                }
        }
        if (r >= 0)
                r = tree_attach(spot.parent, spot.name, inode, ret);
        if (r < 0 && inode->link_count == 0)
                tree_inode_free(tree, inode);
        return r < 0 ? tree_refuse(error, -r, path) : 0;
}

int tree_make_directory(Tree *tree, const char *path, mode_t mode, TreeNode **ret, Error *error)
{
        TreeSpot spot;

        /* A link to a folder will do: asking for "lib/x" on a merged /usr means "usr/lib/x". */
        int r = tree_find(tree, path, TREE_FIND_MAKE_FOLDERS | TREE_FIND_FOLLOW_LAST, &spot);
        if (r < 0)
                return tree_refuse(error, -r, path);
        if (spot.node && !S_ISDIR(spot.node->inode->mode))
                return tree_refuse(error, ENOTDIR, path);
        if (!spot.node) {
                r = tree_attach_directory(tree, spot.parent, spot.name, mode, &spot.node);
                if (r < 0)
                        return tree_refuse(error, -r, path);
        }
        if (ret)
                *ret = spot.node;
        return 0;
}

int tree_set_content(TreeInode *inode, const void *data, size_t size)
{
        uint8_t *copy = NULL;

        if (!S_ISREG(inode->mode))
                return -EINVAL;
        if (size > 0) {
                copy = malloc(size);
                if (!copy)
                        return -ENOMEM;
                memcpy(copy, data, size);
        }
        tree_content_clear(&inode->content);
        inode->content = (TreeContent){
                .kind = copy ? TREE_CONTENT_MEMORY : TREE_CONTENT_EMPTY, .size_bytes = size, .memory = copy
        };
        return 0;
}

int tree_make_file(Tree *tree, const char *path, const void *data, size_t size, mode_t mode, TreeNode **ret,
                Error *error)
{
        TreeInode *inode = tree_inode_new(tree, S_IFREG | (mode & 07777));

        if (inode && tree_set_content(inode, data, size) < 0) {
                tree_inode_free(tree, inode);
                inode = NULL;
        }
        return place_inode(tree, path, inode, ret, error);
}

int tree_make_text(Tree *tree, const char *path, const char *text, mode_t mode, Error *error)
{
        return tree_make_file(tree, path, text, strlen(text), mode, NULL, error);
}

int tree_make_symlink(Tree *tree, const char *path, const char *target, TreeNode **ret, Error *error)
{
        size_t length = strlen(target);

        if (length == 0 || length > TREE_SYMLINK_MAX)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "/%s in the image: the target of a symbolic link has 1 to %d bytes",
                                path + strspn(path, "/"), TREE_SYMLINK_MAX);
        TreeInode *inode = tree_inode_new(tree, S_IFLNK | 0777);
        if (inode) {
                inode->symlink_target = strdup(target);
                if (!inode->symlink_target) {
                        tree_inode_free(tree, inode);
                        inode = NULL;
                }
        }
        return place_inode(tree, path, inode, ret, error);
}

int tree_make_special(Tree *tree, const char *path, mode_t type, mode_t mode, uint32_t major_number,
                uint32_t minor_number, TreeNode **ret, Error *error)
{
        if (!S_ISCHR(type) && !S_ISBLK(type) && !S_ISFIFO(type))
                return tree_refuse(error, EINVAL, path);

        TreeInode *inode = tree_inode_new(tree, type | (mode & 07777));
        if (inode) {
                inode->major = major_number;
                inode->minor = minor_number;
        }
        return place_inode(tree, path, inode, ret, error);
}

int tree_make_hardlink(Tree *tree, const char *path, TreeNode *existing, TreeNode **ret, Error *error)
{
        if (S_ISDIR(existing->inode->mode))
                return tree_refuse(error, EISDIR, path);
        return place_inode(tree, path, existing->inode, ret, error);
}

int tree_make_backed_file(Tree *tree, const char *path, unsigned backing, uint64_t offset_bytes,
                uint64_t size_bytes, mode_t mode, TreeNode **ret, Error *error)
{
        TreeInode *inode = tree_inode_new(tree, S_IFREG | (mode & 07777));

        if (inode && size_bytes > 0)
                inode->content = (TreeContent){ .kind = TREE_CONTENT_BACKING,
                        .size_bytes = size_bytes,
                        .backing = backing,
                        .offset_bytes = offset_bytes };
        return place_inode(tree, path, inode, ret, error);
}

int tree_make_host_file(Tree *tree, const char *path, const char *host_path, mode_t mode, TreeNode **ret,
                Error *error)
{
        struct stat st;

        if (stat(host_path, &st) < 0)
                return error_set(error, ERROR_CONFIG, errno, "Cannot read %s: %s", host_path,
                                strerror(errno));
        if (!S_ISREG(st.st_mode))
                return error_set(error, ERROR_CONFIG, EINVAL, "%s is not a regular file", host_path);

        TreeInode *inode = tree_inode_new(tree, S_IFREG | (mode & 07777));
        if (inode && st.st_size > 0) {
                inode->content = (TreeContent){ .kind = TREE_CONTENT_HOST,
                        .size_bytes = (uint64_t)st.st_size,
                        .host_path = strdup(host_path) };
                if (!inode->content.host_path) {
                        tree_inode_free(tree, inode);
                        inode = NULL;
                }
        }
        return place_inode(tree, path, inode, ret, error);
}

int tree_append_text(Tree *tree, const char *path, const char *text, Error *error)
{
        _cleanup_free_ char *old = NULL;
        size_t size = 0, more = strlen(text);

        TreeNode *node = tree_resolve(tree, path);
        if (!node)
                return tree_make_text(tree, path, text, 0644, error);
        int r = tree_read_file(tree, path, TEXT_FILE_MAX, &old, &size);
        if (r < 0)
                return tree_refuse(error, -r, path);
        char *grown = realloc(old, size + more + 1);
        if (!grown)
                return error_oom(error);
        old = grown;
        memcpy(old + size, text, more);
        r = tree_set_content(node->inode, old, size + more);
        return r < 0 ? tree_refuse(error, -r, path) : 0;
}

/* ---- dropping ---- */

int tree_drop(Tree *tree, const char *path)
{
        TreeSpot spot;

        int r = tree_find(tree, path, 0, &spot);
        if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
                return 0;
        if (r >= 0 && spot.node)
                tree_drop_node(tree, spot.node);
        return r;
}

int tree_empty_directory(Tree *tree, const char *path)
{
        TreeNode *node = tree_resolve(tree, path);

        if (!node || !S_ISDIR(node->inode->mode))
                return 0;
        while (node->inode->child_index)
                tree_drop_node(tree, *(TreeNode **)node->inode->child_index);
        return 0;
}

static int drop_matches(Tree *tree, TreeNode *directory, const char *pattern, int *count)
{
        char component[TREE_NAME_MAX + 1];
        TreeNode *const *children;
        size_t child_count, length = strcspn(pattern, "/");
        const char *rest = pattern + length + strspn(pattern + length, "/");

        if (length > TREE_NAME_MAX)
                return -ENAMETOOLONG;
        memcpy(component, pattern, length);
        component[length] = 0;
        int r = tree_children(directory, &children, &child_count);
        /* Backwards, because dropping a child only makes the tree forget that its array is current. */
        for (size_t i = child_count; r >= 0 && i-- > 0;) {
                TreeNode *child = directory->inode->children[i];

                if (fnmatch(component, child->name, 0) != 0)
                        continue;
                if (*rest == 0) {
                        tree_drop_node(tree, child);
                        (*count)++;
                } else if (S_ISDIR(child->inode->mode))
                        r = drop_matches(tree, child, rest, count);
        }
        return r;
}

int tree_drop_glob(Tree *tree, const char *pattern)
{
        int count = 0;

        pattern += strspn(pattern, "/");
        if (*pattern == 0)
                return -EINVAL;
        int r = drop_matches(tree, tree->root, pattern, &count);
        return r < 0 ? r : count;
}

/* ---- attributes ---- */

const TreeXattr *tree_get_xattr(const TreeInode *inode, const char *name)
{
        for (size_t i = 0; i < inode->xattr_count; i++)
                if (strcmp(inode->xattrs[i].name, name) == 0)
                        return &inode->xattrs[i];
        return NULL;
}

void tree_drop_xattr(TreeInode *inode, const char *name)
{
        TreeXattr *found = (TreeXattr *)tree_get_xattr(inode, name);

        if (!found)
                return;
        free(found->name);
        free(found->value);
        inode->xattr_count--;
        memmove(found, found + 1, (size_t)(inode->xattrs + inode->xattr_count - found) * sizeof(*found));
}

int tree_set_xattr(TreeInode *inode, const char *name, const void *value, size_t size)
{
        size_t at = 0;

        if (strlen(name) > TREE_NAME_MAX || name[0] == 0)
                return -ENAMETOOLONG;
        if (size > TREE_XATTR_VALUE_MAX)
                return -E2BIG;

        TreeXattr xattr = { .name = strdup(name), .value = malloc(size + 1), .size_bytes = size };
        TreeXattr *grown = reallocarray(inode->xattrs, inode->xattr_count + 1, sizeof(*grown));
        if (grown)
                inode->xattrs = grown;
        if (!xattr.name || !xattr.value || !grown) {
                free(xattr.name);
                free(xattr.value);
                return -ENOMEM;
        }
        if (size > 0)
                memcpy(xattr.value, value, size);
        tree_drop_xattr(inode, name);
        while (at < inode->xattr_count && strcmp(grown[at].name, name) < 0)
                at++;
        memmove(grown + at + 1, grown + at, (inode->xattr_count - at) * sizeof(*grown));
        grown[at] = xattr;
        inode->xattr_count++;
        return 0;
}

static int set_time(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        node->inode->mtime = *(const int64_t *)data;
        return 0;
}

int tree_set_times(Tree *tree, int64_t mtime)
{
        return tree_walk(tree, tree->root, set_time, &mtime, NULL);
}
