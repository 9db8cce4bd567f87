/* SPDX-License-Identifier: Apache-2.0 */
#include "compose.h"
#include "deb.h"
#include "file.h"
#include "package-install-internal.h"
#include "stanza.h"
#include "strv.h"

#include <ctype.h>
#include <string.h>

#define INFO_FOLDER DPKG_FOLDER "info/"
#define TRIGGERS_FOLDER DPKG_FOLDER "triggers/"
#define CONFFILES_MAX (1 * MIB)
#define TRIGGERS_MAX (64 * KIB)
#define CONTROL_NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

/* What is here before any package is: the folders of merged /usr as links, which base-files of today brings
 * itself, and what dpkg expects of its database. "1" is the layout in which names have architectures. */
int install_database_begin(Installation *installation, Error *error)
{
        static const char *const merged[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };
        const char *architecture = recipe_debian_architecture(installation->options->recipe);
        Tree *tree = installation->tree;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < (strcmp(architecture, "amd64") == 0 ? ELEMENTS(merged) : 3); i++) {
                char target[16];

                (void)snprintf(target, sizeof(target), "usr/%s", merged[i]);
                r = tree_make_directory(tree, target, 0755, NULL, error);
                if (r >= 0)
                        r = tree_make_symlink(tree, merged[i], target, NULL, error);
        }
        if (r >= 0)
                r = tree_make_text(tree, INFO_FOLDER "format", "1\n", 0644, error);
        if (r >= 0)
                r = tree_make_directory(tree, DPKG_FOLDER "updates", 0755, NULL, error);
        return r < 0 ? r : tree_make_directory(tree, DPKG_FOLDER "triggers", 0755, NULL, error);
}

/* ---- what a package says of itself ---- */

/* A file of the control archive as text; an empty one when there is none. */
static int read_text(InstallPackage *package, const char *name, size_t cap_bytes, char **ret, Error *error)
{
        size_t size = 0;
        int r = tree_read_file(package->control, name, cap_bytes, ret, &size);

        if (r == -ENOENT) {
                *ret = strdup("");
                return *ret ? 0 : error_oom(error);
        }
        if (r >= 0 && strlen(*ret) == size)
                return 0;
        if (r == -ENOMEM)
                return error_oom(error);
        return error_set(error, ERROR_CORRUPT, EBADMSG, "its control file \"%s\" is no text, or too long",
                        name);
}

/* Lines are "/PATH", or a flag before it of files that the package does not have. */
static int read_conffiles(InstallPackage *package, Error *error)
{
        _cleanup_free_ char *text = NULL;
        char *next;
        int r = read_text(package, "conffiles", CONFFILES_MAX, &text, error);

        next = text;
        for (char *line; r >= 0 && (line = strsep(&next, "\n"));) {
                for (size_t end = strlen(line); end > 0 && isspace((unsigned char)line[end - 1]);)
                        line[--end] = 0;
                if (line[0] != '/' || strv_contains(package->conffiles, line + 1))
                        continue;
                if (strv_append(&package->conffiles, line + 1) < 0)
                        return error_oom(error);
        }
        return r;
}

int install_read_control(InstallPackage *package, Error *error)
{
        /* What dpkg's database has beside a package's own fields. */
        static const char *const states[] = { "Status", "Conffiles", "Config-Version", "Triggers-Pending",
                "Triggers-Awaited" };
        _cleanup_free_ char *essential = stanza_field(package->stanza, NULL, "Essential"),
                            *multi_arch = stanza_field(package->stanza, NULL, "Multi-Arch");
        const TreeNode *preinst = tree_child(tree_root(package->control), "preinst");

        for (size_t i = 0; i < ELEMENTS(states); i++) {
                _cleanup_free_ char *state = stanza_field(package->stanza, NULL, states[i]);

                if (state)
                        return error_set(error, ERROR_CORRUPT, EBADMSG,
                                        "it speaks of its own state, as only dpkg may");
        }
        package->is_essential = essential && strcmp(essential, "yes") == 0;
        package->is_multi_arch_same = multi_arch && strcmp(multi_arch, "same") == 0;
        package->has_preinst = preinst && S_ISREG(preinst->inode->mode);
        package->name = string_format("%s%s%s", package->locked->name,
                        package->is_multi_arch_same ? ":" : "",
                        package->is_multi_arch_same ? package->locked->architecture : "");
        return package->name ? read_conffiles(package, error) : error_oom(error);
}

/* ---- triggers ---- */

/* A path, or a name of its own: then of a file, and not of one that dpkg has there. */
static bool is_trigger_name(const char *name)
{
        static const char *const taken[] = { "File", "Unincorp", "Lock" };

        if (name[0] != '/' && (!name[0] || name[0] == '.' || strlen(name) > TREE_NAME_MAX))
                return false;
        for (size_t i = 0; i < ELEMENTS(taken); i++)
                if (strcmp(name, taken[i]) == 0)
                        return false;
        for (const char *p = name; *p; p++)
                if (*p <= ' ' || *p >= 0x7f || (*p == '/' && name[0] != '/'))
                        return false;
        return true;
}

/* A line of "triggers" (deb-triggers(5)). Who activates one does so when it is configured, by dpkg. */
static int add_trigger(Installation *installation, const InstallPackage *package, char *line, Error *error)
{
        static const char spaces[] = " \t\r";
        _cleanup_free_ char *path = NULL, *entry = NULL;
        const char *directive, *name;

        line[strcspn(line, "#")] = 0;
        directive = strtok_r(line, spaces, &line);
        name = strtok_r(NULL, spaces, &line);
        if (!directive || strncmp(directive, "interest", 8) != 0)
                return 0;
        if (!name || !is_trigger_name(name))
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "it is interested in a trigger without a proper name");
        path = string_format(TRIGGERS_FOLDER "%s", name[0] == '/' ? "File" : name);
        entry = string_format("%s%s%s%s\n", name[0] == '/' ? name : "", name[0] == '/' ? " " : "",
                        package->name, strcmp(directive, "interest-noawait") == 0 ? "/noawait" : "");
        return path && entry ? tree_append_text(installation->tree, path, entry, error) : error_oom(error);
}

static int add_triggers(Installation *installation, InstallPackage *package, Error *error)
{
        _cleanup_free_ char *text = NULL;
        char *next;
        int r = read_text(package, "triggers", TRIGGERS_MAX, &text, error);

        next = text;
        for (char *line; r >= 0 && (line = strsep(&next, "\n"));)
                r = add_trigger(installation, package, line, error);
        return r;
}

/* ---- files and status ---- */

static int add_file(Installation *installation, const InstallPackage *package, const char *name,
                const void *data, size_t size, mode_t mode, Error *error)
{
        _cleanup_free_ char *path = string_format(INFO_FOLDER "%s.%s", package->name, name);

        return path ? tree_make_file(installation->tree, path, data, size, mode, NULL, error)
                    : error_oom(error);
}

/* dpkg runs the script also of a package that has forgotten to let it. */
static mode_t mode_of(const TreeNode *node)
{
        return (node->inode->mode & 0777) | (strcmp(node->name, "preinst") == 0 ? 0111 : 0);
}

static int add_control_files(Installation *installation, InstallPackage *package, Error *error)
{
        TreeNode *const *children;
        size_t count;
        int r = tree_children(tree_root(package->control), &children, &count);

        if (r < 0)
                return error_oom(error);
        for (size_t i = 0; r >= 0 && i < count; i++) {
                _cleanup_free_ char *data = NULL;
                size_t size;

                if (!S_ISREG(children[i]->inode->mode) || strcmp(children[i]->name, "control") == 0)
                        continue;
                /* With a dot it could be of a package with a longer name. */
                if (children[i]->name[strspn(children[i]->name, CONTROL_NAME_CHARACTERS)])
                        return error_set(error, ERROR_CORRUPT, EBADMSG,
                                        "its control archive has a file with a name that none has");
                r = tree_read_file(package->control, children[i]->name, DEB_CONTROL_MAX, &data, &size);
                r = r < 0 ? error_set(error, ERROR_IO, -r, "cannot read its scripts: %s", strerror(-r))
                          : add_file(installation, package, children[i]->name, data, size,
                                            mode_of(children[i]), error);
        }
        return r;
}

static int add_status(Installation *installation, const InstallPackage *package, Error *error)
{
        Buffer *status = &installation->status;
        int r = buffer_printf(status, "Status: install ok unpacked\n%s", package->stanza);

        for (char **path = package->conffiles; r >= 0 && path && *path; path++)
                r = buffer_printf(status, "%s /%s newconffile\n",
                                path == package->conffiles ? "Conffiles:\n" : "", *path);
        if (r >= 0)
                r = buffer_append_byte(status, '\n');
        return r < 0 ? error_oom(error) : 0;
}

int install_database_add(
                Installation *installation, InstallPackage *package, const Buffer *list, Error *error)
{
        int r = add_control_files(installation, package, error);

        if (r >= 0)
                r = add_file(installation, package, "list", list->data, list->size, 0644, error);
        if (r >= 0)
                r = add_triggers(installation, package, error);
        return r < 0 ? r : add_status(installation, package, error);
}

int install_database_end(Installation *installation, Error *error)
{
        int r = 0;

        if (installation->options->recipe->kernel_package)
                r = buffer_append_string(&installation->status, &COMPOSE_STAND_IN_STANZA[1]);
        return r < 0 ? error_oom(error)
                     : tree_make_file(installation->tree, DPKG_FOLDER "status", installation->status.data,
                                       installation->status.size, 0644, NULL, error);
}
