/* SPDX-License-Identifier: Apache-2.0 */
#include "tree-units.h"
#include "ini.h"
#include "strv.h"

#include <string.h>

#define ADMIN_UNITS "etc/systemd/system"
#define UNIT_FILE_MAX (1 * MIB)
#define UNIT_NAME_MAX 255
#define ENABLED_MAX 256        /* units that are enabled because one is */
#define INSTALL_VALUE_MAX 8192 /* bytes */
#define INSTALL_WORDS_MAX 256

static const char *const unit_folders[] = { ADMIN_UNITS, "usr/local/lib/systemd/system",
        "usr/lib/systemd/system", "lib/systemd/system" };

/* What [Install] says. */
typedef struct Install {
        char **wanted_by, **required_by, **upheld_by, **aliases, **also;
        char default_instance[UNIT_NAME_MAX + 1];
} Install;

static void install_done(Install *install)
{
        strv_free(install->wanted_by);
        strv_free(install->required_by);
        strv_free(install->upheld_by);
        strv_free(install->aliases);
        strv_free(install->also);
}

/* ---- names ---- */

/* "name" becomes "name.service". -EINVAL for what cannot be a unit. */
static int full_name(const char *name, char ret[static UNIT_NAME_MAX + 1], Error *error)
{
        static const char *const suffixes[] = { ".service", ".socket", ".target", ".timer", ".path",
                ".mount", ".automount", ".swap", ".slice", ".scope", ".device" };
        const char *point = strrchr(name, '.');
        bool known = false;

        for (size_t i = 0; i < ELEMENTS(suffixes); i++)
                known = known || (point && strcmp(point, suffixes[i]) == 0);
        int n = snprintf(ret, UNIT_NAME_MAX + 1, "%s%s", name, known ? "" : ".service");
        if (name[0] == 0 || name[0] == '.' || strpbrk(name, "/ \t\n*?") || n > UNIT_NAME_MAX)
                return error_set(error, ERROR_CONFIG, EINVAL, "\"%s\" is no name of a systemd unit", name);
        return 0;
}

/* "getty@tty1.service" gives "getty@.service"; false when it is no instance. */
static bool template_of(const char *name, char ret[static UNIT_NAME_MAX + 1])
{
        const char *at = strchr(name, '@'), *point = strrchr(name, '.');

        if (!at || !point || point <= at + 1)
                return false;
        (void)snprintf(ret, UNIT_NAME_MAX + 1, "%.*s%s", (int)(at + 1 - name), name, point);
        return true;
}

static bool is_template(const char *name)
{
        const char *at = strchr(name, '@');

        return at && at[1] == '.';
}

/* ---- finding ---- */

static bool is_null_link(const TreeNode *node)
{
        return S_ISLNK(node->inode->mode) && strcmp(node->inode->symlink_target, "/dev/null") == 0;
}

static int find_file(Tree *tree, const char *name, char **ret)
{
        for (size_t i = 0; i < ELEMENTS(unit_folders); i++) {
                char path[TREE_PATH_MAX];

                (void)snprintf(path, sizeof(path), "%s/%s", unit_folders[i], name);
                TreeNode *node = tree_lookup(tree, path);
                if (!node || S_ISDIR(node->inode->mode))
                        continue;
                *ret = tree_node_path(node);
                return *ret ? 0 : -ENOMEM;
        }
        return -ENOENT;
}

int tree_find_unit(Tree *tree, const char *name, char **ret)
{
        char full[UNIT_NAME_MAX + 1], template[UNIT_NAME_MAX + 1];

        int r = full_name(name, full, NULL);
        if (r >= 0)
                r = find_file(tree, full, ret);
        if (r == -ENOENT && template_of(full, template))
                r = find_file(tree, template, ret);
        return r;
}

static int collect_units(Tree *tree, const char *folder, char ***names)
{
        TreeNode *node = tree_resolve(tree, folder);
        TreeNode *const *children;
        size_t count;

        if (!node || !S_ISDIR(node->inode->mode))
                return 0;
        int r = tree_children(node, &children, &count);
        for (size_t i = 0; r >= 0 && i < count; i++)
                if (!S_ISDIR(children[i]->inode->mode))
                        r = strv_append(names, children[i]->name);
        return r;
}

static int no_such_unit(Tree *tree, const char *name, Error *error)
{
        _cleanup_strv_ char **names = NULL;

        for (size_t i = 0; i < ELEMENTS(unit_folders); i++)
                if (collect_units(tree, unit_folders[i], &names) < 0)
                        return error_oom(error);
        const char *near = ini_suggest(name, (const char *const *)names, strv_length(names));
        return error_set(error, ERROR_CONFIG, ENOENT, "There is no unit %s in the image%s%s%s", name,
                        near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* ---- reading [Install] ---- */

/* -E2BIG for more than any unit needs: adding a word costs as much as there are before it. */
static int take_setting(Install *install, const char *key, const char *value)
{
        const struct {
                const char *key;
                char ***list;
        } lists[] = {
                { "WantedBy", &install->wanted_by },
                { "RequiredBy", &install->required_by },
                { "UpheldBy", &install->upheld_by },
                { "Alias", &install->aliases },
                { "Also", &install->also },
        };

        if (strcmp(key, "DefaultInstance") == 0)
                (void)snprintf(install->default_instance, sizeof(install->default_instance), "%s", value);
        for (size_t i = 0; i < ELEMENTS(lists); i++) {
                if (strcmp(key, lists[i].key) != 0)
                        continue;
                if (*value == 0) {
                        *lists[i].list = strv_free(*lists[i].list);
                        continue;
                }
                if (strlen(value) > INSTALL_VALUE_MAX || strv_length(*lists[i].list) > INSTALL_WORDS_MAX)
                        return -E2BIG;
                return strv_append_words(lists[i].list, value);
        }
        return 0;
}

static void trim(char *text)
{
        size_t length = strlen(text), lead = strspn(text, " \t\r");

        while (length > lead && strchr(" \t\r", text[length - 1]))
                length--;
        memmove(text, text + lead, length - lead);
        text[length - lead] = 0;
}

/* One logical line: a section, a setting or nothing. In place. */
static int take_line(Install *install, char *line, bool *in_section)
{
        trim(line);
        if (line[0] == '[') {
                *in_section = strcmp(line, "[Install]") == 0;
                return 0;
        }
        char *equals = strchr(line, '=');
        if (!*in_section || !equals || line[0] == '#' || line[0] == ';')
                return 0;
        *equals = 0;
        trim(line);
        trim(equals + 1);
        return take_setting(install, line, equals + 1);
}

/* A backslash at the end joins the next line. The text is changed. */
static int parse_install(char *text, Install *install)
{
        bool in_section = false;
        int r = 0;

        for (char *p = text; (p = strstr(p, "\\\n"));)
                p[0] = p[1] = ' ';
        for (char *next = text, *line; r >= 0 && (line = strsep(&next, "\n"));)
                r = take_line(install, line, &in_section);
        return r;
}

/* ---- specifiers ---- */

/* The words of a value may hold %i (instance), %n and %N (name, without suffix), %p (prefix). */
static int expand(const char *word, const char *unit, char ret[static UNIT_NAME_MAX + 1], Error *error)
{
        const char *at = strchr(unit, '@'), *point = strrchr(unit, '.');
        const char *prefix_end = at ? at : point;
        size_t used = 0;

        for (const char *p = word; *p; p++) {
                const char *from = p;
                size_t length = 1;

                if (*p == '%') {
                        p++;
                        from = *p == 'i' && at ? at + 1 : unit;
                        length = *p == 'i'   ? (at ? (size_t)(point - at - 1) : 0)
                                 : *p == 'n' ? strlen(unit)
                                 : *p == 'N' ? (size_t)(point - unit)
                                 : *p == 'p' ? (size_t)(prefix_end - unit)
                                             : SIZE_MAX;
                        if (*p == '%') {
                                from = p;
                                length = 1;
                        }
                }
                if (length == SIZE_MAX || used + length > UNIT_NAME_MAX)
                        return error_set(error, ERROR_CONFIG, EINVAL,
                                        "\"%s\" in [Install] of %s cannot be understood", word, unit);
                memcpy(ret + used, from, length);
                used += length;
        }
        ret[used] = 0;
        return strchr(ret, '/') ? error_set(error, ERROR_CONFIG, EINVAL,
                                                  "\"%s\" in [Install] of %s is no unit", word, unit)
                                : 0;
}

/* ---- enabling ----
 *
 * A list of names grows while it is worked off: what a unit asks for goes to its end, unless it is there. */

static int want(char ***names, const char *name, Error *error)
{
        char full[UNIT_NAME_MAX + 1];
        int r = full_name(name, full, error);

        if (r < 0 || strv_contains(*names, full))
                return r;
        if (strv_length(*names) == ENABLED_MAX)
                return error_set(error, ERROR_CONFIG, E2BIG,
                                "Enabling %s would enable more than %d units by Also=: enable those that "
                                "are needed by name, and not this one",
                                **names, ENABLED_MAX);
        return strv_append(names, full) < 0 ? error_oom(error) : 0;
}

static int link_in(Tree *tree, char **targets, const char *kind, const char *unit, const char *file,
                Error *error)
{
        for (char **target = targets; target && *target; target++) {
                char expanded[UNIT_NAME_MAX + 1], path[TREE_PATH_MAX];

                int r = expand(*target, unit, expanded, error);
                if (r < 0)
                        return r;
                (void)snprintf(path, sizeof(path), ADMIN_UNITS "/%s.%s/%s", expanded, kind, unit);
                r = tree_make_symlink(tree, path, file, NULL, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int link_aliases(Tree *tree, char **aliases, const char *unit, const char *file, Error *error)
{
        for (char **alias = aliases; alias && *alias; alias++) {
                char expanded[UNIT_NAME_MAX + 1], path[TREE_PATH_MAX];

                int r = expand(*alias, unit, expanded, error);
                if (r < 0)
                        return r;
                if (strcmp(expanded, unit) == 0)
                        continue;
                (void)snprintf(path, sizeof(path), ADMIN_UNITS "/%s", expanded);
                const TreeNode *there = tree_lookup(tree, path);
                if (there && !S_ISLNK(there->inode->mode))
                        continue; /* a unit of an administrator's own has that name */
                r = tree_make_symlink(tree, path, file, NULL, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int want_also(Tree *tree, char **also, const char *unit, char ***names, Error *error)
{
        for (char **other = also; other && *other; other++) {
                char expanded[UNIT_NAME_MAX + 1];
                _cleanup_free_ char *file = NULL;

                int r = expand(*other, unit, expanded, error);
                if (r < 0)
                        return r;
                if (tree_find_unit(tree, expanded, &file) < 0)
                        continue; /* of a package that is not there */
                r = want(names, expanded, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A template is enabled through its default instance. */
static int instance_name(
                const char *name, const Install *install, char ret[static UNIT_NAME_MAX + 1], Error *error)
{
        const char *at = strchr(name, '@');

        if (!is_template(name)) {
                (void)snprintf(ret, UNIT_NAME_MAX + 1, "%s", name);
                return 0;
        }
        if (install->default_instance[0] == 0 && (install->wanted_by || install->required_by))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "%s is a template: name an instance, such as %.*sNAME%s", name,
                                (int)(at + 1 - name), name, at + 1);
        int n = snprintf(ret, UNIT_NAME_MAX + 1, "%.*s%s%s", (int)(at + 1 - name), name,
                        install->default_instance, at + 1);
        return n > UNIT_NAME_MAX ? error_set(error, ERROR_CONFIG, EINVAL, "%s: instance name too long", name)
                                 : 0;
}

static int apply_install(Tree *tree, const char *name, const char *file, const Install *install,
                char ***names, Error *error)
{
        char unit[UNIT_NAME_MAX + 1], target[TREE_PATH_MAX + 1];

        int r = instance_name(name, install, unit, error);
        (void)snprintf(target, sizeof(target), "/%s", file);
        if (r >= 0)
                r = link_in(tree, install->wanted_by, "wants", unit, target, error);
        if (r >= 0)
                r = link_in(tree, install->required_by, "requires", unit, target, error);
        if (r >= 0)
                r = link_in(tree, install->upheld_by, "upholds", unit, target, error);
        if (r >= 0)
                r = link_aliases(tree, install->aliases, unit, target, error);
        return r < 0 ? r : want_also(tree, install->also, unit, names, error);
}

/* What a link among the units stands for: the name that its target ends with. */
static const char *link_name(const TreeNode *node)
{
        const char *slash = strrchr(node->inode->symlink_target, '/');

        return slash ? slash + 1 : node->inode->symlink_target;
}

static int read_install(Tree *tree, const char *file, Install *install, Error *error)
{
        _cleanup_free_ char *text = NULL;
        int r = tree_read_file(tree, file, UNIT_FILE_MAX, &text, NULL);

        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "Cannot read /%s of the image: %s", file,
                                strerror(-r));
        r = parse_install(text, install);
        if (r == -E2BIG)
                return error_set(error, ERROR_CONFIG, E2BIG,
                                "[Install] of /%s in the image names more units than can be meant", file);
        return r < 0 ? error_oom(error) : 0;
}

static bool is_installed(const Install *install)
{
        return install->wanted_by || install->required_by || install->upheld_by || install->aliases ||
               install->also;
}

/* `name` is whole. */
static int enable(Tree *tree, const char *name, bool is_asked_for, char ***names, Error *error)
{
        _cleanup_(install_done) Install install = { 0 };
        _cleanup_free_ char *file = NULL;
        char plain[UNIT_NAME_MAX + 1];
        int r = tree_find_unit(tree, name, &file);

        if (r < 0)
                return r == -ENOENT ? no_such_unit(tree, name, error) : error_oom(error);
        TreeNode *node = tree_lookup(tree, file);
        if (is_null_link(node))
                return error_set(error, ERROR_CONFIG, EINVAL, "The unit %s is masked in the image", name);
        if (S_ISLNK(node->inode->mode) && strcmp(link_name(node), node->name) != 0 &&
                        !template_of(name, plain))
                return want(names, link_name(node), error);
        r = read_install(tree, file, &install, error);
        if (r < 0)
                return r;
        if (is_asked_for && !is_installed(&install))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "The unit %s has no [Install] section: it is started by others and cannot "
                                "be enabled",
                                name);
        return apply_install(tree, name, file, &install, names, error);
}

int tree_enable_unit(Tree *tree, const char *name, Error *error)
{
        _cleanup_strv_ char **names = NULL;
        int r = want(&names, name, error);

        for (size_t i = 0; r >= 0 && names[i]; i++)
                r = enable(tree, names[i], i == 0, &names, error);
        return r;
}

/* ---- disabling ---- */

typedef struct Disabling {
        char name[UNIT_NAME_MAX + 1];
        char **found; /* paths to drop */
} Disabling;

/* Links that enable the unit, or an instance of it, and other names of it; its own file stays. */
static int find_links(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        Disabling *disabling = data;
        char template[UNIT_NAME_MAX + 1];

        if (!S_ISLNK(node->inode->mode))
                return 0;
        bool instance = is_template(disabling->name) && template_of(node->name, template) &&
                        strcmp(template, disabling->name) == 0;
        if (strcmp(node->name, disabling->name) != 0 && strcmp(link_name(node), disabling->name) != 0 &&
                        !instance)
                return 0;
        return strv_append(&disabling->found, path) < 0 ? error_oom(error) : 0;
}

int tree_disable_unit(Tree *tree, const char *name, Error *error)
{
        TreeNode *folder = tree_lookup(tree, ADMIN_UNITS);
        Disabling disabling = { .found = NULL };

        int r = full_name(name, disabling.name, error);
        if (r >= 0 && folder)
                r = tree_walk(tree, folder, find_links, &disabling, error);
        for (char **path = disabling.found; r >= 0 && path && *path; path++)
                r = tree_drop(tree, *path);
        strv_free(disabling.found);
        return r;
}

int tree_mask_unit(Tree *tree, const char *name, Error *error)
{
        char full[UNIT_NAME_MAX + 1], path[TREE_PATH_MAX];

        int r = full_name(name, full, error);
        if (r >= 0)
                r = tree_disable_unit(tree, full, error);
        if (r < 0)
                return r;
        (void)snprintf(path, sizeof(path), ADMIN_UNITS "/%s", full);
        if (tree_lookup(tree, path))
                return error_set(error, ERROR_CONFIG, EEXIST,
                                "The unit %s cannot be masked: the image has /%s, which would be lost", full,
                                path);
        return tree_make_symlink(tree, path, "/dev/null", NULL, error);
}

int tree_set_default_target(Tree *tree, const char *name, Error *error)
{
        char full[UNIT_NAME_MAX + 1], target[TREE_PATH_MAX + 1];
        _cleanup_free_ char *file = NULL;

        int r = full_name(name, full, error);
        if (r < 0)
                return r;
        r = tree_find_unit(tree, full, &file);
        if (r < 0)
                return r == -ENOENT ? no_such_unit(tree, full, error) : error_oom(error);
        (void)snprintf(target, sizeof(target), "/%s", file);
        return tree_make_symlink(tree, ADMIN_UNITS "/default.target", target, NULL, error);
}
