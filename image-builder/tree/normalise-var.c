/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"
#include "normalise.h"

#include <search.h>
#include <string.h>

#define TMPFILES "usr/lib/tmpfiles.d/bascule-factory.conf"
#define JOURNAL_SETTINGS "usr/lib/systemd/journald.conf.d/50-bascule-persistent.conf"
#define TMPFILES_MAX (16 * MIB)
#define DECLARATIONS_MAX (1 * MIB) /* one tmpfiles.d file of a package */

/* ---- moving ---- */

/* Moves a node to a place where there may be something already: folders are merged, else the mover wins. */
static int merge(Tree *tree, TreeNode *node, const char *to, Error *error)
{
        _cleanup_free_ char *from = tree_node_path(node);
        TreeNode *there = tree_lookup(tree, to);

        if (!from)
                return error_oom(error);
        if (!there || !S_ISDIR(there->inode->mode) || !S_ISDIR(node->inode->mode)) {
                int r = tree_drop(tree, to);
                return r < 0 ? r : tree_move(tree, from, to, error);
        }
        while (node->inode->child_count > 0) {
                char path[TREE_PATH_MAX];
                TreeNode *const *children;
                size_t count;

                if (tree_children(node, &children, &count) < 0)
                        return error_oom(error);
                (void)snprintf(path, sizeof(path), "%s/%s", to, children[0]->name);
                int r = merge(tree, children[0], path, error);
                if (r < 0)
                        return r;
        }
        tree_drop_node(tree, node);
        return 0;
}

/* A folder of the root becomes a link into /var, with what it holds. */
static int move_to_var(Tree *tree, const char *from, const char *to, mode_t mode, Error *error)
{
        TreeNode *node = tree_lookup(tree, from);

        if (node && !S_ISDIR(node->inode->mode))
                return 0; /* it is that link already, or somebody's own */
        int r = node ? merge(tree, node, to, error) : tree_make_directory(tree, to, mode, NULL, error);
        return r < 0 ? r : tree_make_symlink(tree, from, to, NULL, error);
}

static int move_homes(Tree *tree, Error *error)
{
        /* systemd's lines for /home and /srv would only complain of the links. */
        int r = tree_drop(tree, "usr/lib/tmpfiles.d/home.conf");

        if (r >= 0)
                r = move_to_var(tree, "home", "var/home", 0755, error);

        if (r >= 0)
                r = move_to_var(tree, "root", "var/roothome", 0700, error);
        return r < 0 ? r : move_to_var(tree, "srv", "var/srv", 0755, error);
}

static int move_dpkg(Tree *tree, Error *error)
{
        TreeNode *node = tree_lookup(tree, "var/lib/dpkg");

        return node && S_ISDIR(node->inode->mode) ? merge(tree, node, NORMALISE_DPKG_PATH, error) : 0;
}

/* ---- what packages declare themselves ---- */

/* Paths that other tmpfiles.d files make: a second line for them would only be warned about at each boot. */
typedef struct Declared {
        void *paths; /* char * */
} Declared;

static int compare_strings(const void *a, const void *b)
{
        return strcmp(a, b);
}

static void declared_done(Declared *declared)
{
        while (declared->paths) {
                char *path = *(char **)declared->paths;

                (void)tdelete(path, &declared->paths, compare_strings);
                free(path);
        }
}

static int declare_line(Declared *declared, const char *line, size_t length)
{
        const char *end = line + length;
        size_t type_length;

        while (line < end && (*line == ' ' || *line == '\t'))
                line++;
        for (type_length = 0;
                        line + type_length < end && line[type_length] != ' ' && line[type_length] != '\t';)
                type_length++;
        if (type_length == 0 || !strchr("dDvqQfFLCp", line[0]) || memchr(line, '!', type_length))
                return 0;
        for (line += type_length; line < end && (*line == ' ' || *line == '\t');)
                line++;
        size_t path_length = 0;
        while (line + path_length < end && line[path_length] != ' ' && line[path_length] != '\t')
                path_length++;
        char *path = strndup(line, path_length), **found;
        if (!path)
                return -ENOMEM;
        found = tsearch(path, &declared->paths, compare_strings);
        if (!found || *found != path)
                free(path);
        return found ? 0 : -ENOMEM;
}

static int declare_file(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t length = strlen(path);

        if (!S_ISREG(node->inode->mode) || length < 5 || strcmp(path + length - 5, ".conf") != 0 ||
                        strcmp(path, TMPFILES) == 0 ||
                        tree_read_file(tree, path, DECLARATIONS_MAX, &text, NULL) < 0)
                return 0;
        for (const char *line = text; *line;) {
                size_t size = strcspn(line, "\n");

                if (declare_line(data, line, size) < 0)
                        return error_oom(error);
                line += size + (line[size] ? 1 : 0);
        }
        return 0;
}

static int read_declared(Tree *tree, Declared *declared, Error *error)
{
        static const char *const folders[] = { "usr/lib/tmpfiles.d", "etc/tmpfiles.d" };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(folders); i++) {
                TreeNode *folder = tree_lookup(tree, folders[i]);

                if (folder)
                        r = tree_walk(tree, folder, declare_file, declared, error);
        }
        return r;
}

/* ---- the tmpfiles.d file ---- */

typedef struct Lines {
        Buffer text;
        Declared declared;
} Lines;

static void lines_done(Lines *lines)
{
        buffer_done(&lines->text);
        declared_done(&lines->declared);
}

/* As tmpfiles.d(5) reads fields: C escapes, and '%' begins a specifier. */
static int append_escaped(Buffer *text, const char *field)
{
        int r = 0;

        for (const char *p = field; r >= 0 && *p; p++) {
                uint8_t c = (uint8_t)*p;

                if (c <= ' ' || c == 0x7f || c == '"' || c == '\'' || c == '\\')
                        r = buffer_printf(text, "\\x%02x", c);
                else if (c == '%')
                        r = buffer_append_string(text, "%%");
                else
                        r = buffer_append_byte(text, c);
        }
        return r;
}

static int append_line(Buffer *text, const TreeInode *inode, const char *path, bool once)
{
        const char *type = S_ISDIR(inode->mode)    ? "d"
                           : S_ISLNK(inode->mode)  ? "L"
                           : S_ISFIFO(inode->mode) ? "p"
                                                   : "C";
        const char *only_new = once ? ":" : ""; /* an administrator's later chmod or chown is left alone */

        int r = buffer_printf(text, "%s /", type);
        if (r >= 0)
                r = append_escaped(text, path);
        if (r >= 0 && S_ISLNK(inode->mode)) {
                r = buffer_append_string(text, " - - - - ");
                if (r >= 0)
                        r = append_escaped(text, inode->symlink_target);
        } else if (r >= 0)
                r = buffer_printf(text, " %s%04o %s%u %s%u - -", only_new, inode->mode & 07777, only_new,
                                inode->uid, only_new, inode->gid);
        return r < 0 ? r : buffer_append_byte(text, '\n');
}

static bool is_hosts_own(const char *path)
{
        static const char *const folders[] = { "var/home/", "var/roothome/", "var/srv/" };

        for (size_t i = 0; i < ELEMENTS(folders); i++)
                if (strncmp(path, folders[i], strlen(folders[i])) == 0)
                        return true;
        return false;
}

static int describe(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        const char *on_host = path + strlen(NORMALISE_VAR_PATH) - strlen("var");
        Lines *lines = data;
        char absolute[TREE_PATH_MAX + 1];

        if (strcmp(on_host, "var") == 0)
                return 0;
        if (S_ISCHR(node->inode->mode) || S_ISBLK(node->inode->mode))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "/%s in the image is a device node, which cannot be made on the host's /var",
                                on_host);
        (void)snprintf(absolute, sizeof(absolute), "/%s", on_host);
        if (tfind(absolute, &lines->declared.paths, compare_strings))
                return 0;
        return append_line(&lines->text, node->inode, on_host, is_hosts_own(on_host)) < 0 ? error_oom(error)
                                                                                          : 0;
}

static int write_lines(Tree *tree, Error *error)
{
        _cleanup_(lines_done) Lines lines = { .text = BUFFER_WITH_CAP(TMPFILES_MAX) };
        TreeNode *factory = tree_lookup(tree, NORMALISE_VAR_PATH);

        int r = buffer_append_string(&lines.text, "# Made with the image: what its packages keep in /var, "
                                                  "for hosts where it is missing.\n");
        if (r < 0)
                return error_oom(error);
        if (tree_lookup(tree, NORMALISE_DPKG_PATH))
                r = buffer_append_string(
                                &lines.text, "L+ /var/lib/dpkg - - - - ../../" NORMALISE_DPKG_PATH "\n");
        if (r < 0)
                return error_oom(error);
        r = read_declared(tree, &lines.declared, error);
        if (r >= 0 && factory)
                r = tree_walk(tree, factory, describe, &lines, error);
        return r < 0 ? r : tree_make_text(tree, TMPFILES, (const char *)lines.text.data, 0644, error);
}

/* journald keeps the journal when /var/log/journal is there as it begins to write. At the first boot that is
 * before systemd-tmpfiles has made it, and the log of a host's first boot is one that somebody may want. */
static int keep_journal(Tree *tree, Error *error)
{
        static const char settings[] = "# The image has /var/log/journal.\n[Journal]\nStorage=persistent\n";

        return tree_lookup(tree, "var/log/journal")
                               ? tree_make_text(tree, JOURNAL_SETTINGS, settings, 0644, error)
                               : 0;
}

int normalise_var(Tree *tree, Error *error)
{
        TreeNode *var;

        int r = move_dpkg(tree, error);
        if (r >= 0)
                r = keep_journal(tree, error);
        if (r >= 0)
                r = move_homes(tree, error);
        if (r < 0)
                return r;
        var = tree_lookup(tree, "var");
        if (var && S_ISDIR(var->inode->mode) && var->inode->child_count > 0)
                r = merge(tree, var, NORMALISE_VAR_PATH, error);
        if (r >= 0)
                r = tree_make_directory(tree, "var", 0755, NULL, error);
        return r < 0 ? r : write_lines(tree, error);
}
