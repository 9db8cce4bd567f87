/* SPDX-License-Identifier: Apache-2.0 */
#include "removal.h"

#include "compose.h"
#include "strv.h"

#include <string.h>

#define INFO_FOLDER "var/lib/dpkg/info"
#define LIST_MAX (16 * MIB)
#define LISTS_MAX 100000

/* A list of dpkg's: PACKAGE.list or PACKAGE:ARCHITECTURE.list. */
typedef struct List {
        char *text;          /* cut into lines */
        const char *package; /* of the recipe's list; NULL: it stays */
} List;

typedef struct Lists {
        List *items;
        size_t count;
        const char **kept; /* paths that packages which stay have, too; sorted */
        size_t kept_count;
} Lists;

static void lists_done(Lists *lists)
{
        for (size_t i = 0; i < lists->count; i++)
                free(lists->items[i].text);
        free(lists->items);
        free(lists->kept);
}

/* Which of the packages a file of the database is about; NULL: none. */
static const char *package_of(const char *name, char *const *packages)
{
        const char *point = strrchr(name, '.');
        size_t length = strcspn(name, ":");

        if (!point)
                return NULL;
        length = MIN_OF(length, (size_t)(point - name));
        for (; *packages; packages++)
                if (strlen(*packages) == length && strncmp(name, *packages, length) == 0)
                        return *packages;
        return NULL;
}

static bool is_list(const char *name)
{
        size_t length = strlen(name);

        return length > 5 && strcmp(name + length - 5, ".list") == 0;
}

static int read_lists(Tree *tree, TreeNode *folder, char *const *packages, Lists *lists, Error *error)
{
        TreeNode *const *children;
        size_t count;
        int r = tree_children(folder, &children, &count);

        if (r < 0)
                return error_oom(error);
        lists->items = calloc(MIN_OF(count, (size_t)LISTS_MAX) + 1, sizeof(*lists->items));
        if (!lists->items)
                return error_oom(error);
        for (size_t i = 0; i < count && lists->count < LISTS_MAX; i++) {
                _cleanup_free_ char *path = NULL;
                List *list = &lists->items[lists->count];

                if (!is_list(children[i]->name))
                        continue;
                path = tree_node_path(children[i]);
                if (!path)
                        return error_oom(error);
                r = tree_read_file(tree, path, LIST_MAX, &list->text, NULL);
                if (r < 0)
                        return error_set(error, ERROR_FAILED, -r, "cannot read /%s of the image: %s", path,
                                        strerror(-r));
                list->package = package_of(children[i]->name, packages);
                lists->count++;
        }
        return 0;
}

static int by_text(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int gather_kept(Lists *lists)
{
        size_t lines = 0;

        for (size_t i = 0; i < lists->count; i++)
                for (const char *p = lists->items[i].text; !lists->items[i].package && *p; p++)
                        lines += *p == '\n';
        lists->kept = calloc(lines + lists->count + 1, sizeof(*lists->kept));
        if (!lists->kept)
                return -ENOMEM;
        for (size_t i = 0; i < lists->count; i++) {
                char *next = lists->items[i].text;

                if (lists->items[i].package)
                        continue;
                for (char *line; (line = strsep(&next, "\n"));)
                        lists->kept[lists->kept_count++] = line;
        }
        qsort(lists->kept, lists->kept_count, sizeof(*lists->kept), by_text);
        return 0;
}

static bool is_kept(const Lists *lists, const char *path)
{
        return lists->kept_count > 0 &&
               bsearch(&path, lists->kept, lists->kept_count, sizeof(*lists->kept), by_text);
}

/* Backwards, so that folders come after what is in them; a folder that is not empty stays. */
static int drop_listed(Removal *removal, const Lists *lists, const List *list, Error *error)
{
        char *text = list->text, reason[TREE_NAME_MAX + 32];
        int r = 0;

        (void)snprintf(reason, sizeof(reason), "RemovePackages=%s", list->package);
        for (size_t end = strlen(text); r >= 0 && end > 0;) {
                size_t start;
                TreeNode *node;

                if (text[end - 1] == '\n')
                        text[--end] = 0;
                for (start = end; start > 0 && text[start - 1] != '\n';)
                        start--;
                node = text[start] == '/' && text[start + 1] && !is_kept(lists, text + start)
                                       ? tree_lookup(removal->tree, text + start)
                                       : NULL;
                /* Links in the root, such as /lib, belong to all. */
                if (node && node->parent && (node->parent->parent || !S_ISLNK(node->inode->mode)) &&
                                !(S_ISDIR(node->inode->mode) && node->inode->child_index))
                        r = removal_drop_node(removal, node, reason, error);
                end = start;
        }
        return r;
}

/* The files of the database, and what it says in its status file. The database may be among what a list
 * named: nothing that was found in it before counts. */
static int drop_entries(Removal *removal, char *const *packages, Error *error)
{
        TreeNode *folder = tree_resolve(removal->tree, INFO_FOLDER);
        TreeNode *const *children;
        size_t count = 0;
        int r = folder ? tree_children(folder, &children, &count) : 0;

        if (r < 0)
                return error_oom(error);
        for (size_t i = count; i-- > 0;)
                if (package_of(folder->inode->children[i]->name, packages))
                        tree_drop_node(removal->tree, folder->inode->children[i]);
        for (; r >= 0 && *packages; packages++)
                r = compose_drop_package(removal->tree, *packages, error);
        return r;
}

int removal_drop_packages(Removal *removal, char *const *packages, Error *error)
{
        _cleanup_(lists_done) Lists lists = { 0 };
        TreeNode *folder = tree_resolve(removal->tree, INFO_FOLDER);
        int r = 0;

        if (strv_length(packages) == 0)
                return 0;
        if (folder && S_ISDIR(folder->inode->mode))
                r = read_lists(removal->tree, folder, packages, &lists, error);
        for (size_t i = 0; r >= 0 && packages[i]; i++) {
                bool is_there = false;

                for (size_t j = 0; j < lists.count; j++)
                        is_there = is_there || (lists.items[j].package && strcmp(lists.items[j].package,
                                                                                          packages[i]) == 0);
                if (!is_there)
                        return error_set(error, ERROR_CONFIG, ENOENT,
                                        "RemovePackages=%s: no such package is installed; correct the name, "
                                        "or "
                                        "leave it out",
                                        packages[i]);
        }
        if (r >= 0 && gather_kept(&lists) < 0)
                return error_oom(error);
        for (size_t i = 0; r >= 0 && i < lists.count; i++)
                if (lists.items[i].package)
                        r = drop_listed(removal, &lists, &lists.items[i], error);
        return r < 0 ? r : drop_entries(removal, packages, error);
}
