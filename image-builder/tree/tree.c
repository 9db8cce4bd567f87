/* SPDX-License-Identifier: Apache-2.0 */
#include "tree-internal.h"

#include <fcntl.h>
#include <search.h>
#include <string.h>

#define SYMLINKS_FOLLOWED_MAX 40

static int compare_names(const void *a, const void *b)
{
        return strcmp(((const TreeNode *)a)->name, ((const TreeNode *)b)->name);
}

TreeInode *tree_inode_new(Tree *tree, mode_t mode)
{
        TreeInode *inode = calloc(1, sizeof(*inode));
        if (!inode)
                return NULL;
        inode->mode = mode;
        inode->number = tree->next_number++;
        tree->inode_count++;
        return inode;
}

void tree_content_clear(TreeContent *content)
{
        free(content->memory);
        free(content->host_path);
        *content = (TreeContent){ 0 };
}

void tree_inode_free(Tree *tree, TreeInode *inode)
{
        for (size_t i = 0; i < inode->xattr_count; i++) {
                free(inode->xattrs[i].name);
                free(inode->xattrs[i].value);
        }
        free(inode->xattrs);
        free(inode->symlink_target);
        free(inode->children);
        tree_content_clear(&inode->content);
        free(inode);
        tree->inode_count--;
}

Tree *tree_new(void)
{
        _cleanup_tree_ Tree *tree = calloc(1, sizeof(*tree));
        if (!tree)
                return NULL;
        tree->root = calloc(1, sizeof(*tree->root));
        if (!tree->root)
                return NULL;
        tree->root->name = strdup("");
        tree->root->inode = tree_inode_new(tree, S_IFDIR | 0755);
        if (!tree->root->name || !tree->root->inode)
                return NULL;
        tree->root->inode->link_count = 1;
        return TAKE_PTR(tree);
}

/* Frees a node and all below it. Recursion is bounded by TREE_DEPTH_MAX. */
static void node_free(Tree *tree, TreeNode *node)
{
        TreeInode *inode = node->inode;

        while (inode && inode->child_index) {
                TreeNode *child = *(TreeNode **)inode->child_index;

                (void)tdelete(child, &inode->child_index, compare_names);
                node_free(tree, child);
        }
        if (inode && --inode->link_count == 0)
                tree_inode_free(tree, inode);
        free(node->name);
        free(node);
}

Tree *tree_free(Tree *tree)
{
        if (!tree)
                return NULL;
        if (tree->root)
                node_free(tree, tree->root);
        for (size_t i = 0; i < tree->backing_count; i++)
                (void)fd_close(tree->backings[i]);
        free(tree->backings);
        free(tree);
        return NULL;
}

void tree_swap(Tree *a, Tree *b)
{
        Tree kept = *a;

        *a = *b;
        *b = kept;
}

TreeNode *tree_root(const Tree *tree)
{
        return tree->root;
}

size_t tree_inode_count(const Tree *tree)
{
        return tree->inode_count;
}

uint64_t tree_inode_number_end(const Tree *tree)
{
        return tree->next_number;
}

int tree_add_backing(Tree *tree, int fd)
{
        if (tree->backing_count >= INT32_MAX)
                return -EMFILE;
        int *grown = reallocarray(tree->backings, tree->backing_count + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        tree->backings = grown;
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return -errno;
        grown[tree->backing_count] = copy;
        return (int)tree->backing_count++;
}

int tree_check_name(const char *name)
{
        if (name[0] == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/'))
                return -EINVAL;
        return strlen(name) > TREE_NAME_MAX ? -ENAMETOOLONG : 0;
}

static int compare_key(const void *key, const void *node)
{
        return strcmp(key, ((const TreeNode *)node)->name);
}

TreeNode *tree_child(const TreeNode *directory, const char *name)
{
        TreeNode **found = tfind(name, &directory->inode->child_index, compare_key);
        return found ? *found : NULL;
}

static void collect_child(const void *item, VISIT order, void *closure)
{
        TreeInode *directory = closure;

        if (order == postorder || order == leaf)
                directory->children[directory->child_count++] = *(TreeNode *const *)item;
}

int tree_children(TreeNode *directory, TreeNode *const **ret, size_t *ret_count)
{
        TreeInode *inode = directory->inode;

        if (!inode->children_current && inode->child_count > 0) {
                free(inode->children);
                inode->children = calloc(inode->child_count, sizeof(*inode->children));
                if (!inode->children)
                        return -ENOMEM;
                inode->child_count = 0;
                twalk_r(inode->child_index, collect_child, inode);
                inode->children_current = true;
        }
        *ret = inode->child_count > 0 ? inode->children : NULL;
        *ret_count = inode->child_count;
        return 0;
}

char *tree_node_path(const TreeNode *node)
{
        size_t length = 0;

        for (const TreeNode *at = node; at->parent; at = at->parent)
                length += strlen(at->name) + (at->parent->parent ? 1 : 0);

        char *path = malloc(length + 1);
        if (!path)
                return NULL;
        path[length] = 0;
        for (const TreeNode *at = node; at->parent; at = at->parent) {
                size_t part = strlen(at->name);

                length -= part;
                memcpy(path + length, at->name, part);
                if (at->parent->parent)
                        path[--length] = '/';
        }
        return path;
}

/* Depth and path length that a node would have as `name` in `parent`, against the limits. */
static int check_place(const TreeNode *parent, const char *name, size_t more_depth, size_t more_length)
{
        size_t depth = 1 + more_depth, length = strlen(name) + more_length;

        for (const TreeNode *at = parent; at->parent; at = at->parent) {
                depth++;
                length += strlen(at->name) + 1;
        }
        return depth > TREE_DEPTH_MAX || length >= TREE_PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Puts a node that has no parent into a directory. */
static int link_node(TreeNode *parent, TreeNode *node)
{
        if (!tsearch(node, &parent->inode->child_index, compare_names))
                return -ENOMEM;
        node->parent = parent;
        parent->inode->child_count++;
        parent->inode->children_current = false;
        return 0;
}

static void unlink_node(TreeNode *node)
{
        TreeInode *directory = node->parent->inode;

        (void)tdelete(node, &directory->child_index, compare_names);
        directory->child_count--;
        directory->children_current = false;
        node->parent = NULL;
}

int tree_attach(TreeNode *parent, const char *name, TreeInode *inode, TreeNode **ret)
{
        int r = tree_check_name(name);
        if (r >= 0)
                r = check_place(parent, name, 0, 0);
        if (r < 0)
                return r;
        if (inode->link_count == UINT32_MAX)
                return -EMLINK;

        TreeNode *node = calloc(1, sizeof(*node));
        if (!node)
                return -ENOMEM;
        node->name = strdup(name);
        if (!node->name || link_node(parent, node) < 0) {
                free(node->name);
                free(node);
                return -ENOMEM;
        }
        node->inode = inode;
        inode->link_count++;
        if (ret)
                *ret = node;
        return 0;
}

int tree_attach_directory(Tree *tree, TreeNode *parent, const char *name, mode_t mode, TreeNode **ret)
{
        TreeInode *inode = tree_inode_new(tree, S_IFDIR | (mode & 07777));
        if (!inode)
                return -ENOMEM;
        int r = tree_attach(parent, name, inode, ret);
        if (r < 0)
                tree_inode_free(tree, inode);
        return r;
}

void tree_drop_node(Tree *tree, TreeNode *node)
{
        if (node->parent) {
                unlink_node(node);
                node_free(tree, node);
                return;
        }
        while (node->inode->child_index)
                tree_drop_node(tree, *(TreeNode **)node->inode->child_index);
}

/* ---- paths ---- */

/* A walk along a path: where it is, and what is left to go. Link targets are put in front of the rest. */
typedef struct PathWalk {
        Tree *tree;
        TreeNode *at;
        unsigned links;
        TreeFindFlags flags;
        char *rest;
        char text[2 * TREE_PATH_MAX];
} PathWalk;

static int next_component(PathWalk *walk, char ret[static TREE_NAME_MAX + 1])
{
        walk->rest += strspn(walk->rest, "/");
        size_t length = strcspn(walk->rest, "/");
        if (length > TREE_NAME_MAX)
                return -ENAMETOOLONG;
        memcpy(ret, walk->rest, length);
        ret[length] = 0;
        walk->rest += length;
        walk->rest += strspn(walk->rest, "/");
        return 0;
}

/* The spot becomes the folder that the walk is at. */
static void stand_at(PathWalk *walk, TreeSpot *spot)
{
        spot->node = walk->at;
        spot->parent = walk->at->parent;
        (void)snprintf(spot->name, sizeof(spot->name), "%s", walk->at->name);
}

static int follow_link(PathWalk *walk, const char *target, TreeSpot *spot)
{
        char rest[TREE_PATH_MAX];

        if (++walk->links > SYMLINKS_FOLLOWED_MAX)
                return -ELOOP;
        if (strlen(walk->rest) >= sizeof(rest))
                return -ENAMETOOLONG;
        (void)snprintf(rest, sizeof(rest), "%s", walk->rest);
        int n = snprintf(walk->text, sizeof(walk->text), "%s/%s", target, rest);
        if (n < 0 || (size_t)n >= sizeof(walk->text))
                return -ENAMETOOLONG;
        if (target[0] == '/')
                walk->at = walk->tree->root;
        walk->rest = walk->text + strspn(walk->text, "/");
        stand_at(walk, spot);
        return 0;
}

/* Steps to, or over, the component `spot->name` of walk->at. Sets spot->parent and spot->node. */
static int step(PathWalk *walk, TreeSpot *spot)
{
        bool last = *walk->rest == 0;

        if (!S_ISDIR(walk->at->inode->mode))
                return -ENOTDIR;
        if (strcmp(spot->name, ".") == 0 || strcmp(spot->name, "..") == 0) {
                if (spot->name[1] == '.' && walk->at->parent)
                        walk->at = walk->at->parent;
                stand_at(walk, spot);
                return 0;
        }
        spot->parent = walk->at;
        spot->node = tree_child(walk->at, spot->name);
        if (!spot->node && !last) {
                int r = walk->flags & TREE_FIND_MAKE_FOLDERS ? tree_attach_directory(walk->tree, walk->at,
                                                                               spot->name, 0755, &spot->node)
                                                             : -ENOENT;
                if (r < 0)
                        return r;
        }
        if (spot->node && S_ISLNK(spot->node->inode->mode) &&
                        (!last || (walk->flags & TREE_FIND_FOLLOW_LAST)))
                return follow_link(walk, spot->node->inode->symlink_target, spot);
        if (spot->node)
                walk->at = spot->node;
        return 0;
}

/* "." and ".." are for links in the tree; in what a caller, or an archive, names they are a mistake. */
static int check_path(const char *path)
{
        for (const char *p = path; *p;) {
                size_t length = strcspn(p, "/");

                if ((length == 1 && p[0] == '.') || (length == 2 && p[0] == '.' && p[1] == '.'))
                        return -EINVAL;
                p += length;
                p += strspn(p, "/");
        }
        return strlen(path) >= TREE_PATH_MAX ? -ENAMETOOLONG : 0;
}

int tree_find(Tree *tree, const char *path, TreeFindFlags flags, TreeSpot *ret)
{
        PathWalk walk = { .tree = tree, .at = tree->root, .flags = flags };

        int r = check_path(path);
        if (r < 0)
                return r;
        (void)snprintf(walk.text, sizeof(walk.text), "%s", path);
        walk.rest = walk.text + strspn(walk.text, "/");
        *ret = (TreeSpot){ .node = tree->root };
        while (*walk.rest) {
                r = next_component(&walk, ret->name);
                if (r >= 0 && ret->name[0])
                        r = step(&walk, ret);
                if (r < 0)
                        return r;
        }
        return 0;
}

TreeNode *tree_lookup(const Tree *tree, const char *path)
{
        TreeSpot spot;

        return tree_find((Tree *)tree, path, 0, &spot) < 0 ? NULL : spot.node;
}

TreeNode *tree_resolve(const Tree *tree, const char *path)
{
        TreeSpot spot;

        return tree_find((Tree *)tree, path, TREE_FIND_FOLLOW_LAST, &spot) < 0 ? NULL : spot.node;
}

/* ---- moving ---- */

/* How deep, and how long in path bytes, the tree below a node is. */
static int measure_below(TreeNode *node, size_t *ret_depth, size_t *ret_length)
{
        TreeNode *const *children = NULL;
        size_t count = 0, depth = 0, length = 0;

        int r = S_ISDIR(node->inode->mode) ? tree_children(node, &children, &count) : 0;
        if (r < 0)
                return r;
        for (size_t i = 0; i < count; i++) {
                size_t child_depth, child_length;

                r = measure_below(children[i], &child_depth, &child_length);
                if (r < 0)
                        return r;
                depth = MAX_OF(depth, child_depth + 1);
                length = MAX_OF(length, child_length + strlen(children[i]->name) + 1);
        }
        *ret_depth = depth;
        *ret_length = length;
        return 0;
}

static int move_node(TreeNode *node, TreeNode *parent, const char *name)
{
        size_t depth, length;

        for (const TreeNode *at = parent; at; at = at->parent)
                if (at == node)
                        return -EINVAL;
        int r = measure_below(node, &depth, &length);
        if (r >= 0)
                r = tree_check_name(name);
        if (r >= 0)
                r = check_place(parent, name, depth, length);
        if (r < 0)
                return r;

        char *copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        unlink_node(node);
        free(node->name);
        node->name = copy;
        return link_node(parent, node);
}

int tree_move(Tree *tree, const char *from, const char *to, Error *error)
{
        TreeSpot source, target;

        int r = tree_find(tree, from, 0, &source);
        if (r >= 0 && !source.node)
                r = -ENOENT;
        if (r >= 0 && !source.parent)
                r = -EINVAL;
        if (r < 0)
                return tree_refuse(error, -r, from);
        r = tree_find(tree, to, TREE_FIND_MAKE_FOLDERS, &target);
        if (r >= 0 && target.node)
                r = -EEXIST;
        if (r >= 0)
                r = move_node(source.node, target.parent, target.name);
        return r < 0 ? tree_refuse(error, -r, to) : 0;
}
