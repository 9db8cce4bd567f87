/* SPDX-License-Identifier: Apache-2.0 */
#include "removal.h"

#include "strv.h"

#include <fnmatch.h>
#include <string.h>

typedef struct Links {
        Removal *removal;
        size_t count, capacity;
} Links;

static int grow_links(Links *links)
{
        size_t capacity = MAX_OF(links->capacity * 2, (size_t)1024);
        char **paths = reallocarray(links->removal->links, capacity, sizeof(*paths));
        char **targets;

        if (!paths)
                return -ENOMEM;
        links->removal->links = paths;
        targets = reallocarray(links->removal->targets, capacity, sizeof(*targets));
        if (!targets)
                return -ENOMEM;
        links->removal->targets = targets;
        links->capacity = capacity;
        return 0;
}

static int note_link(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        Links *links = data;
        TreeNode *target = S_ISLNK(node->inode->mode) ? tree_resolve(tree, path) : NULL;
        char *place, *copy;

        if (!target)
                return 0;
        if (links->count + 1 >= links->capacity && grow_links(links) < 0)
                return error_oom(error);
        copy = strdup(path);
        place = tree_node_path(target);
        links->removal->links[links->count] = copy;
        links->removal->targets[links->count++] = place;
        links->removal->links[links->count] = links->removal->targets[links->count] = NULL;
        return copy && place ? 0 : error_oom(error);
}

int removal_begin(Removal *removal, Tree *tree, Error *error)
{
        Links links = { .removal = removal };

        *removal = (Removal){ .tree = tree };
        return tree_walk(tree, tree_root(tree), note_link, &links, error);
}

void removal_done(Removal *removal)
{
        for (size_t i = 0; i < removal->count; i++)
                free(removal->paths[i].path);
        free(removal->paths);
        strv_free(removal->reasons);
        strv_free(removal->links);
        strv_free(removal->targets);
        *removal = (Removal){ 0 };
}

/* ---- noting and dropping ---- */

/* The Removal's copy of a reason. */
static const char *keep_reason(Removal *removal, const char *reason)
{
        size_t count = strv_length(removal->reasons);

        if (count > 0 && strcmp(removal->reasons[count - 1], reason) == 0)
                return removal->reasons[count - 1];
        return strv_append(&removal->reasons, reason) < 0 ? NULL : removal->reasons[count];
}

typedef struct Noting {
        Removal *removal;
        const char *reason;
} Noting;

static int note_path(
                Tree *tree _unused_, TreeNode *node _unused_, const char *path, void *data, Error *error)
{
        const Noting *noting = data;
        Removal *removal = noting->removal;

        if (removal->count == removal->capacity) {
                size_t capacity = MAX_OF(removal->capacity * 2, (size_t)256);
                RemovedPath *grown = reallocarray(removal->paths, capacity, sizeof(*grown));

                if (!grown)
                        return error_oom(error);
                removal->paths = grown;
                removal->capacity = capacity;
        }
        removal->paths[removal->count] = (RemovedPath){ .path = strdup(path), .reason = noting->reason };
        if (!removal->paths[removal->count].path)
                return error_oom(error);
        removal->count++;
        removal->is_sorted = false;
        return 0;
}

int removal_drop_node(Removal *removal, TreeNode *node, const char *reason, Error *error)
{
        Noting noting = { removal, keep_reason(removal, reason) };
        int r = noting.reason ? tree_walk(removal->tree, node, note_path, &noting, error) : error_oom(error);

        if (r >= 0)
                tree_drop_node(removal->tree, node);
        return r;
}

static int by_path(const void *a, const void *b)
{
        return strcmp(((const RemovedPath *)a)->path, ((const RemovedPath *)b)->path);
}

void removal_sort(Removal *removal)
{
        if (!removal->is_sorted && removal->count > 0)
                qsort(removal->paths, removal->count, sizeof(*removal->paths), by_path);
        removal->is_sorted = true;
}

const char *removal_reason(Removal *removal, const char *path)
{
        RemovedPath wanted = { .path = (char *)path }, *found = NULL;

        removal_sort(removal);
        if (removal->count > 0)
                found = bsearch(&wanted, removal->paths, removal->count, sizeof(wanted), by_path);
        return found ? found->reason : NULL;
}

/* ---- patterns ---- */

/* The folder that a child is or, as a link, leads to; NULL: neither. */
static TreeNode *as_folder(Tree *tree, TreeNode *child)
{
        _cleanup_free_ char *path = NULL;

        if (S_ISDIR(child->inode->mode))
                return child;
        path = S_ISLNK(child->inode->mode) ? tree_node_path(child) : NULL;
        child = path ? tree_resolve(tree, path) : NULL;
        return child && S_ISDIR(child->inode->mode) ? child : NULL;
}

/* Paths, ended by NULL: links can lead to one place more than once, and into what is to go. */
typedef struct Matches {
        char **paths;
        size_t count, capacity;
} Matches;

static int note_match(Matches *matches, const TreeNode *node)
{
        if (matches->count + 1 >= matches->capacity) {
                size_t capacity = MAX_OF(matches->capacity * 2, (size_t)64);
                char **grown = reallocarray(matches->paths, capacity, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                matches->paths = grown;
                matches->capacity = capacity;
        }
        matches->paths[matches->count] = tree_node_path(node);
        if (!matches->paths[matches->count])
                return -ENOMEM;
        matches->paths[++matches->count] = NULL;
        return 0;
}

static int find_matches(Tree *tree, TreeNode *folder, const char *pattern, Matches *matches)
{
        char component[TREE_NAME_MAX + 1];
        TreeNode *const *children;
        size_t child_count, length = strcspn(pattern, "/");
        const char *rest = pattern + length + strspn(pattern + length, "/");
        int r = length > TREE_NAME_MAX ? -ENAMETOOLONG : tree_children(folder, &children, &child_count);

        if (r < 0)
                return r;
        memcpy(component, pattern, length);
        component[length] = 0;
        for (size_t i = 0; r >= 0 && i < child_count; i++) {
                TreeNode *next;

                if (fnmatch(component, children[i]->name, 0) != 0)
                        continue;
                next = *rest ? as_folder(tree, children[i]) : NULL;
                if (next)
                        r = find_matches(tree, next, rest, matches);
                else if (!*rest)
                        r = note_match(matches, children[i]);
        }
        return r;
}

static int drop_matches(Removal *removal, char *const *paths, const char *reason, Error *error)
{
        int r = 0;

        for (; r >= 0 && paths && *paths; paths++) {
                TreeNode *node = tree_lookup(removal->tree, *paths);

                if (node)
                        r = removal_drop_node(removal, node, reason, error);
        }
        return r;
}

int removal_drop_glob(Removal *removal, const char *pattern, Error *error)
{
        _cleanup_free_ char *reason = NULL, *bare = strdup(pattern + strspn(pattern, "/"));
        Matches matches = { 0 };
        int r;

        for (size_t length = bare ? strlen(bare) : 0; length > 0 && bare[length - 1] == '/';)
                bare[--length] = 0;
        if (asprintf(&reason, "Remove=%s", pattern) < 0 || !bare) {
                reason = NULL;
                return error_oom(error);
        }
        if (!*bare)
                return error_set(error, ERROR_CONFIG, EINVAL, "%s would remove everything", reason);
        r = find_matches(removal->tree, tree_root(removal->tree), bare, &matches);
        if (r == -ENOMEM)
                r = error_oom(error);
        else if (r < 0)
                r = error_set(error, ERROR_CONFIG, -r, "%s: %s", reason, strerror(-r));
        else if (matches.count == 0)
                r = error_set(error, ERROR_CONFIG, ENOENT,
                                "%s matches nothing in the image: correct the pattern, or leave it out",
                                reason);
        else
                r = drop_matches(removal, matches.paths, reason, error);
        strv_free(matches.paths);
        return r;
}

/* ---- finishing ---- */

/* A link that led to what went has gone too, by the same reason. */
static int drop_dangling(Removal *removal, Error *error)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && removal->links && removal->links[i]; i++) {
                TreeNode *link = tree_lookup(removal->tree, removal->links[i]);
                const char *reason;
                Noting noting = { .removal = removal };

                if (!link || !S_ISLNK(link->inode->mode) || tree_resolve(removal->tree, removal->links[i]))
                        continue;
                reason = removal_reason(removal, removal->targets[i]);
                if (!reason)
                        continue; /* it led through a link that is another one now */
                noting.reason = reason;
                r = note_path(removal->tree, link, removal->links[i], &noting, error);
                if (r >= 0)
                        tree_drop_node(removal->tree, link);
        }
        return r;
}

int removal_finish(Removal *removal, const Recipe *recipe, Error *error)
{
        int r = removal->count > 0 ? drop_dangling(removal, error) : 0;

        if (r < 0 || removal->count == 0)
                return r;
        removal_sort(removal);
        return removal_check(removal, recipe, error);
}
