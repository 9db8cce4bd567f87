/* SPDX-License-Identifier: Apache-2.0 */
#include "engine-files.h"

#include "file.h"
#include "strv.h"
#include "tree-units.h"
#include "tree-users.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define INIT_PATH "usr/lib/bascule/bascule-init"
#define INIT_MAX (16 * MIB)
#define TEXT_MAX (1 * MIB)
#define PART "engine-" /* what parts of keys begin with */

typedef struct EnginePattern {
        const char *pattern;
        bool is_needed;
} EnginePattern;

/* bascule-init is in the initrd and nowhere else; bascule-image belongs to the building machine. */
static const EnginePattern engine_patterns[] = {
        { "usr/bin/bascule", true },
        { "usr/bin/bascule-disk", true },
        { "usr/lib/bascule/bascule-bless", true },
        { "usr/lib/bascule/basculed", true },
        { "usr/lib/bascule/engine.conf", true },
        { "usr/lib/bascule/*", false },
        { "usr/lib/systemd/*/*/*bascule*", false }, /* wants, and drop-ins of units */
        { "usr/lib/systemd/*/*bascule*", true },
        { "usr/lib/sysusers.d/bascule*", true },
        { "usr/lib/tmpfiles.d/bascule*", false },
        { "usr/share/bash-completion/completions/bascule", false },
        { "usr/share/bash-completion/completions/bascule-disk", false },
        { "usr/share/dbus-1/*/io.bascule.*", true },
        { "usr/share/polkit-1/*/io.bascule.*", true },
};

typedef int (*EngineVisit)(const char *host_path, const char *path, void *data, Error *error);

/* Of what a path below it begins with. */
static size_t root_length(const char *root)
{
        return strlen(root) + (root[strlen(root) - 1] == '/' ? 0 : 1);
}

/* Calls `visit` for everything that a pattern names, in byte order, in the C locale's sense. */
static int for_each_match(
                const char *root, const EnginePattern *pattern, EngineVisit visit, void *data, Error *error)
{
        _cleanup_free_ char *full = path_join(root, pattern->pattern);
        size_t skip = root_length(root);
        glob_t matches = { 0 };
        int r = 0;

        if (!full)
                return error_oom(error);
        switch (glob(full, GLOB_NOSORT, NULL, &matches)) {
        case 0:
                break;
        case GLOB_NOSPACE:
                return error_oom(error);
        default:
                return pattern->is_needed ? error_set(error, ERROR_MISSING_TOOL, ENOENT,
                                                            "%s is not there: install Bascule with the "
                                                            "prefix /usr, or name the "
                                                            "folder of a staged installation with "
                                                            "--engine-root",
                                                            full)
                                          : 0;
        }
        strv_sort(matches.gl_pathv);
        for (size_t i = 0; r >= 0 && i < matches.gl_pathc; i++)
                if (strcmp(matches.gl_pathv[i] + skip, INIT_PATH) != 0)
                        r = visit(matches.gl_pathv[i], matches.gl_pathv[i] + skip, data, error);
        globfree(&matches);
        return r;
}

static int for_each_file(const char *root, EngineVisit visit, void *data, Error *error)
{
        for (size_t i = 0; i < ELEMENTS(engine_patterns); i++) {
                int r = for_each_match(root, &engine_patterns[i], visit, data, error);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_to_key(const char *host_path, const char *path, void *data, Error *error)
{
        CacheKey *key = data;
        struct stat status;

        cache_key_add_text(key, PART "path", path);
        if (lstat(host_path, &status) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot read %s: %s", host_path,
                                strerror(errno));
        if (S_ISDIR(status.st_mode))
                return cache_key_add_folder(key, PART "folder", host_path, error);
        if (S_ISLNK(status.st_mode)) {
                char target[PATH_MAX];
                ssize_t length = readlink(host_path, target, sizeof(target));

                if (length < 0)
                        return error_set(error, ERROR_FAILED, errno, "cannot read %s: %s", host_path,
                                        strerror(errno));
                cache_key_add(key, PART "link", target, (size_t)length);
                return 0;
        }
        return cache_key_add_file(key, PART "file", host_path, error);
}

int engine_files_key(CacheKey *key, const char *engine_root, Error *error)
{
        return for_each_file(engine_root, add_to_key, key, error);
}

const char *engine_files_input_path(const CacheInput *input, const char *engine_root)
{
        return strncmp(input->part, PART, strlen(PART)) == 0 ? input->path + root_length(engine_root) : NULL;
}

static int copy(const char *host_path, const char *path, void *data, Error *error)
{
        Tree *tree = data;
        struct stat status;

        if (lstat(host_path, &status) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot read %s: %s", host_path,
                                strerror(errno));
        if (S_ISDIR(status.st_mode))
                return tree_import_host(tree, path, host_path, error);
        if (S_ISLNK(status.st_mode)) {
                char target[PATH_MAX];
                ssize_t length = readlink(host_path, target, sizeof(target) - 1);

                if (length < 0)
                        return error_set(error, ERROR_FAILED, errno, "cannot read %s: %s", host_path,
                                        strerror(errno));
                target[length] = 0;
                return tree_make_symlink(tree, path, target, NULL, error);
        }
        return tree_make_host_file(
                        tree, path, host_path, status.st_mode & S_IXUSR ? 0755 : 0644, NULL, error);
}

/* A line of sysusers.d(5) that makes a user: u NAME ID "COMMENT" HOME SHELL, of which we write the first two
 * and the comment. */
static int add_user_of_line(Tree *tree, const char *line, Error *error)
{
        char name[33], comment[128] = "";

        if (sscanf(line, "u %32s %*s \"%127[^\"]\"", name, comment) < 1)
                return 0;
        return tree_add_user(tree,
                        &(TreeUser){ .name = name, .comment = comment, .home = "", .is_system = true },
                        error);
}

/* Accounts are made now: made at boot they would be changes to /etc/passwd that hide later releases'. */
static int add_users(const char *host_path, const char *path _unused_, void *data, Error *error)
{
        _cleanup_free_ char *text = NULL;
        char *next;
        size_t size;
        int r = file_read(AT_FDCWD, host_path, TEXT_MAX, &text, &size);

        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot read %s: %s", host_path, strerror(-r));
        next = text;
        for (char *line; r >= 0 && (line = strsep(&next, "\n"));)
                r = add_user_of_line(data, line, error);
        return r;
}

static int enable(const char *host_path, const char *path, void *data, Error *error)
{
        _cleanup_free_ char *text = NULL;
        struct stat status;
        size_t size;

        if (lstat(host_path, &status) < 0 || !S_ISREG(status.st_mode) ||
                        file_read(AT_FDCWD, host_path, TEXT_MAX, &text, &size) < 0 ||
                        !strstr(text, "\n[Install]"))
                return 0;
        return tree_enable_unit(data, strrchr(path, '/') + 1, error);
}

int engine_files_add(Tree *tree, const char *engine_root, Error *error)
{
        int r = for_each_file(engine_root, copy, tree, error);

        if (r >= 0)
                r = for_each_match(engine_root, &(EnginePattern){ "usr/lib/sysusers.d/bascule*", false },
                                add_users, tree, error);
        if (r >= 0)
                r = for_each_match(engine_root, &(EnginePattern){ "usr/lib/systemd/system/bascule*", false },
                                enable, tree, error);
        return r;
}

static int no_init(const char *path, int r, Error *error)
{
        return error_set(error, ERROR_MISSING_TOOL, -r,
                        "cannot read %s: %s; install Bascule with the prefix /usr, or name the folder of a "
                        "staged installation with --engine-root",
                        path, strerror(-r));
}

int engine_files_read_init(const char *engine_root, char **ret, size_t *ret_size, Error *error)
{
        _cleanup_free_ char *path = path_join(engine_root, INIT_PATH);
        int r;

        if (!path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, INIT_MAX, ret, ret_size);
        return r < 0 ? no_init(path, r, error) : 0;
}

int engine_files_key_init(CacheKey *key, const char *engine_root, Error *error)
{
        _cleanup_free_ char *path = path_join(engine_root, INIT_PATH);

        if (!path)
                return error_oom(error);
        return access(path, R_OK) < 0 ? no_init(path, -errno, error)
                                      : cache_key_add_file(key, PART "init", path, error);
}
