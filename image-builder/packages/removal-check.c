/* SPDX-License-Identifier: Apache-2.0 */
#include "removal.h"

#include "elf-needs.h"
#include "strv.h"
#include "tree-units.h"

#include <string.h>

#define HEAD_SIZE 256
#define UNIT_FILE_MAX (1 * MIB)

typedef struct Library {
        const char *name; /* last component */
        const char *reason;
} Library;

typedef struct Check {
        Removal *removal;
        Library *removed, *kept; /* by name */
        size_t removed_count, kept_count, kept_capacity;
} Check;

static int by_name(const void *a, const void *b)
{
        return strcmp(((const Library *)a)->name, ((const Library *)b)->name);
}

static const Library *find_library(const Library *libraries, size_t count, const char *name)
{
        const Library wanted = { .name = name };

        return count > 0 ? bsearch(&wanted, libraries, count, sizeof(wanted), by_name) : NULL;
}

static const char *last_component(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static int gather_removed(Check *check)
{
        const Removal *removal = check->removal;

        check->removed = calloc(removal->count + 1, sizeof(*check->removed));
        if (!check->removed)
                return -ENOMEM;
        for (size_t i = 0; i < removal->count; i++) {
                const char *name = last_component(removal->paths[i].path);

                if (strstr(name, ".so"))
                        check->removed[check->removed_count++] = (Library){ name, removal->paths[i].reason };
        }
        if (check->removed_count > 0)
                qsort(check->removed, check->removed_count, sizeof(*check->removed), by_name);
        return 0;
}

static int gather_kept(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        Check *check = data;

        if (S_ISDIR(node->inode->mode) || !strstr(node->name, ".so") || !tree_resolve(tree, path))
                return 0;
        if (check->kept_count == check->kept_capacity) {
                size_t capacity = MAX_OF(check->kept_capacity * 2, (size_t)1024);
                Library *grown = reallocarray(check->kept, capacity, sizeof(*grown));

                if (!grown)
                        return error_oom(error);
                check->kept = grown;
                check->kept_capacity = capacity;
        }
        check->kept[check->kept_count++] = (Library){ node->name, NULL };
        return 0;
}

/* What took a path that a file names; NULL when it is there, or never was. */
static const char *gone(Removal *removal, const char *path)
{
        char merged[TREE_PATH_MAX];
        const char *bare = path + strspn(path, "/"), *reason;

        if (tree_resolve(removal->tree, path))
                return NULL;
        reason = removal_reason(removal, bare);
        (void)snprintf(merged, sizeof(merged), "usr/%.4000s", bare);
        return reason ? reason : removal_reason(removal, merged);
}

static int broken(const char *path, const char *what, const char *needed, const char *reason, Error *error)
{
        return error_set(error, ERROR_CONFIG, ENOENT,
                        "/%s %s %s, which %s removes: leave that out of the recipe, or remove /%s too", path,
                        what, needed, reason, path);
}

/* ---- programs and libraries ---- */

static int check_elf(Check *check, const TreeNode *node, const char *path, Error *error)
{
        TreeFile file = { check->removal->tree, node->inode };
        _cleanup_(elf_needs_done) ElfNeeds needs = { 0 };
        int r = elf_needs_read(tree_file_read, &file, &needs);

        if (r < 0)
                return error_oom(error);
        for (char **name = needs.libraries; name && *name; name++) {
                const Library *removed = find_library(check->removed, check->removed_count, *name);

                if (removed && !find_library(check->kept, check->kept_count, *name))
                        return broken(path, "needs the library", *name, removed->reason, error);
        }
        if (needs.interpreter && gone(check->removal, needs.interpreter))
                return broken(path, "needs the interpreter", needs.interpreter,
                                gone(check->removal, needs.interpreter), error);
        return 0;
}

/* "#!/usr/bin/env NAME" finds NAME in the folders of programs. */
static int check_env(Check *check, const char *name, const char *path, Error *error)
{
        static const char *const folders[] = { "usr/local/bin", "usr/bin", "usr/sbin" };
        const char *reason = NULL;

        for (size_t i = 0; i < ELEMENTS(folders); i++) {
                char place[HEAD_SIZE + 32];

                (void)snprintf(place, sizeof(place), "%s/%s", folders[i], name);
                if (tree_resolve(check->removal->tree, place))
                        return 0;
                if (!reason)
                        reason = removal_reason(check->removal, place);
        }
        return reason ? broken(path, "is a script for", name, reason, error) : 0;
}

/* `head` is the beginning of the file, with a NUL behind it. */
static int check_script(Check *check, char *head, const char *path, Error *error)
{
        char *rest = head + 2, *interpreter, *argument;
        const char *reason;

        rest[strcspn(rest, "\n\r")] = 0;
        rest += strspn(rest, " \t");
        interpreter = strsep(&rest, " \t");
        if (interpreter[0] != '/')
                return 0;
        reason = gone(check->removal, interpreter);
        if (reason)
                return broken(path, "is a script for", interpreter, reason, error);
        argument = rest ? strsep(&rest, " \t") : NULL;
        if (argument && strcmp(argument, "-S") == 0)
                argument = rest ? strsep(&rest, " \t") : NULL;
        return strcmp(last_component(interpreter), "env") == 0 && argument && argument[0] != '-' &&
                                               !strchr(argument, '=')
                               ? check_env(check, argument, path, error)
                               : 0;
}

/* ---- units ---- */

static bool is_service(const char *path)
{
        static const char *const folders[] = { "etc/systemd/system/", "usr/lib/systemd/system/",
                "usr/share/dbus-1/system-services/" };
        const char *point = strrchr(path, '.');

        for (size_t i = 0; point && i < ELEMENTS(folders); i++)
                if (strncmp(path, folders[i], strlen(folders[i])) == 0)
                        return strcmp(point, ".service") == 0 || strcmp(point, ".socket") == 0;
        return false;
}

/* "Exec...=PROGRAM ..."; one that begins with '-' may fail. */
static int check_exec(Check *check, char *line, const char *path, Error *error)
{
        char *value = strchr(line, '=');
        const char *reason;

        if (strncmp(line, "Exec", 4) != 0 || !value)
                return 0;
        value += 1 + strspn(value + 1, " \t");
        value += strspn(value, "@:+!");
        if (value[0] != '/')
                return 0;
        value[strcspn(value, " \t")] = 0;
        reason = gone(check->removal, value);
        return reason ? broken(path, "runs", value, reason, error) : 0;
}

static int check_service(Check *check, const TreeNode *node, const char *path, Error *error)
{
        _cleanup_free_ char *text = NULL;
        uint64_t size = node->inode->content.size_bytes;
        char *next;
        int r = 0;

        if (size > UNIT_FILE_MAX)
                return 0;
        text = calloc(1, size + 1);
        if (!text)
                return error_oom(error);
        if (tree_read(check->removal->tree, node->inode, 0, text, size) < 0)
                return 0;
        next = text;
        for (char *line; r >= 0 && (line = strsep(&next, "\n"));)
                r = check_exec(check, line, path, error);
        return r;
}

static int check_file(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        char head[HEAD_SIZE + 1] = "";
        size_t size = (size_t)MIN_OF(node->inode->content.size_bytes, (uint64_t)HEAD_SIZE);

        if (!S_ISREG(node->inode->mode) || size < 4)
                return 0;
        if (tree_read(tree, node->inode, 0, head, size) < 0)
                return error_set(error, ERROR_IO, EIO, "cannot read what is to become /%s", path);
        if (memcmp(head, "\177ELF", 4) == 0)
                return check_elf(data, node, path, error);
        if (head[0] == '#' && head[1] == '!' && (node->inode->mode & 0111))
                return check_script(data, head, path, error);
        return is_service(path) ? check_service(data, node, path, error) : 0;
}

/* ---- what the recipe names ---- */

/* The file itself, not a link that enables it. */
static bool is_unit_file(const char *path, const char *name)
{
        const char *last = last_component(path);

        return strcmp(last, name) == 0 && (size_t)(last - path) >= strlen("/system/") &&
               strncmp(last - strlen("/system/"), "/system/", strlen("/system/")) == 0;
}

/* A unit of which the file is gone: "ssh" stands for ssh.service, "a@b.service" for a@.service. */
static int check_unit(Removal *removal, const char *key, const char *unit, Error *error)
{
        _cleanup_free_ char *file = NULL;
        const char *at = strchr(unit, '@'), *point = strrchr(unit, '.');
        char names[3][TREE_NAME_MAX + 16];
        int r = tree_find_unit(removal->tree, unit, &file);

        if (r != -ENOENT)
                return r == -ENOMEM ? error_oom(error) : 0;
        (void)snprintf(names[0], sizeof(names[0]), "%.255s", unit);
        (void)snprintf(names[1], sizeof(names[1]), "%.255s.service", unit);
        (void)snprintf(names[2], sizeof(names[2]), "%.*s%.100s", at ? (int)(at + 1 - unit) : 0, unit,
                        at && point > at ? point : ".service");
        for (size_t i = 0; i < removal->count; i++)
                for (size_t j = 0; j < ELEMENTS(names); j++)
                        if (is_unit_file(removal->paths[i].path, names[j]))
                                return error_set(error, ERROR_CONFIG, ENOENT,
                                                "%s=%s needs /%s, which %s removes: leave one of them out "
                                                "of "
                                                "the recipe",
                                                key, unit, removal->paths[i].path, removal->paths[i].reason);
        return 0;
}

static int check_recipe(Removal *removal, const Recipe *recipe, Error *error)
{
        int r = recipe->default_target ? check_unit(removal, "DefaultTarget", recipe->default_target, error)
                                       : 0;

        for (char **unit = recipe->enabled_units; r >= 0 && unit && *unit; unit++)
                r = check_unit(removal, "Enable", *unit, error);
        for (size_t i = 0; r >= 0 && i < recipe->user_count; i++) {
                const RecipeUser *user = &recipe->users[i];
                const char *reason = user->shell ? gone(removal, user->shell) : NULL;

                if (reason)
                        return error_set(error, ERROR_CONFIG, ENOENT,
                                        "User=%s has the shell %s, which %s removes: leave one of them out "
                                        "of "
                                        "the recipe",
                                        user->name, user->shell, reason);
        }
        return r;
}

int removal_check(Removal *removal, const Recipe *recipe, Error *error)
{
        Check check = { .removal = removal };
        TreeNode *root = tree_root(removal->tree);
        int r = check_recipe(removal, recipe, error);

        if (r >= 0)
                r = gather_removed(&check) < 0 ? error_oom(error) : 0;
        if (r >= 0)
                r = tree_walk(removal->tree, root, gather_kept, &check, error);
        if (r >= 0 && check.kept_count > 0)
                qsort(check.kept, check.kept_count, sizeof(*check.kept), by_name);
        if (r >= 0)
                r = tree_walk(removal->tree, root, check_file, &check, error);
        free(check.removed);
        free(check.kept);
        return r;
}
