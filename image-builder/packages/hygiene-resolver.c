/* SPDX-License-Identifier: Apache-2.0 */
#include "hygiene.h"

#include <string.h>

/* resolved.conf(5): systemd-resolved opens UDP and TCP port 5355 to everybody, to answer and to ask by
 * LLMNR, unless LLMNR= is off; "resolve" opens them as well. Port 5353 is opened for links with
 * MulticastDNS= only, which is off for each link that does not ask for it. */

#define CONFIG_MAX (1 * MIB)

/* parse_boolean() of systemd. */
static bool is_off(const char *value)
{
        static const char *const words[] = { "0", "no", "n", "false", "f", "off" };

        for (size_t i = 0; i < ELEMENTS(words); i++)
                if (strcasecmp(value, words[i]) == 0)
                        return true;
        return false;
}

/* The last assignment counts. Nothing is changed by a file that is not there or says nothing of it. */
static int take_file(Tree *tree, const char *path, bool *is_closed)
{
        _cleanup_free_ char *text = NULL;
        bool is_section = false;
        int r = tree_read_file(tree, path, CONFIG_MAX, &text, NULL);

        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (char *next = text, *line; (line = strsep(&next, "\n"));) {
                size_t length;

                line += strspn(line, " \t");
                length = strlen(line);
                while (length > 0 && strchr(" \t\r", line[length - 1]))
                        line[--length] = 0;
                if (line[0] == '[')
                        is_section = strcmp(line, "[Resolve]") == 0;
                length = strcspn(line, " \t=");
                if (!is_section || length != 5 || strncmp(line, "LLMNR", length) != 0)
                        continue;
                line += length;
                line += strspn(line, " \t");
                if (*line++ == '=')
                        *is_closed = is_off(line + strspn(line, " \t"));
        }
        return 0;
}

typedef struct Folder {
        TreeNode *const *files;
        size_t count, at;
} Folder;

static int open_folder(Tree *tree, const char *path, Folder *ret)
{
        TreeNode *node = tree_resolve(tree, path);

        return node && S_ISDIR(node->inode->mode) ? tree_children(node, &ret->files, &ret->count) : 0;
}

static int take_dropin(Tree *tree, TreeNode *node, bool *is_closed)
{
        const char *ending = strrchr(node->name, '.');
        _cleanup_free_ char *path = tree_node_path(node);

        if (!path)
                return -ENOMEM;
        return ending && strcmp(ending, ".conf") == 0 ? take_file(tree, path, is_closed) : 0;
}

/* The first of those with the first name that was not taken yet; NULL: all were. */
static TreeNode *next_dropin(Folder *folders, size_t count)
{
        TreeNode *found = NULL;

        for (size_t i = 0; i < count; i++) {
                TreeNode *node = folders[i].at < folders[i].count ? folders[i].files[folders[i].at] : NULL;

                if (node && (!found || strcmp(node->name, found->name) < 0))
                        found = node;
        }
        for (size_t i = 0; found && i < count; i++)
                if (folders[i].at < folders[i].count &&
                                strcmp(folders[i].files[folders[i].at]->name, found->name) == 0)
                        folders[i].at++;
        return found;
}

/* In the order of their names, wherever they lie; of one name, that in the first of these folders counts. */
static int take_dropins(Tree *tree, bool *is_closed)
{
        static const char *const paths[] = { "etc/systemd/resolved.conf.d",
                "usr/local/lib/systemd/resolved.conf.d", "usr/lib/systemd/resolved.conf.d" };
        Folder folders[ELEMENTS(paths)] = { 0 };
        TreeNode *node;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(paths); i++)
                r = open_folder(tree, paths[i], &folders[i]);
        while (r >= 0 && (node = next_dropin(folders, ELEMENTS(folders))))
                r = take_dropin(tree, node, is_closed);
        return r;
}

/* A main file in /usr/lib is not believed: systemd reads one there since its version 254 only. */
int hygiene_check_resolver(Tree *tree, const char *unit, Error *error)
{
        bool is_closed = false;
        int r = take_file(tree, "etc/systemd/resolved.conf", &is_closed);

        if (r >= 0)
                r = take_dropins(tree, &is_closed);
        if (r < 0)
                return error_oom(error);
        return is_closed ? 0
                         : error_set(error, ERROR_REFUSED, EPERM,
                                           "%s is enabled and listens on the network (LLMNR, port 5355): "
                                           "set "
                                           "LLMNR=no below [Resolve] in a file of "
                                           "/usr/lib/systemd/resolved.conf.d, "
                                           "or name it in the recipe: Listen=%s",
                                           unit, unit);
}
