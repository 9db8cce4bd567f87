/* SPDX-License-Identifier: Apache-2.0 */
#include "package-files.h"

#include <string.h>

#define INFO_FOLDER "usr/share/bascule/dpkg/info/"
#define LIST_MAX (16 * MIB)
#define PATHS_MAX 4000000

typedef struct OwnedPath {
        const char *path; /* in one of the texts */
        const char *package;
        bool is_before_merge; /* "bin/x", for "usr/bin/x" */
} OwnedPath;

struct PackageFiles {
        char **texts, **names; /* of the lists */
        size_t list_count;
        OwnedPath *paths;
        size_t path_count, path_capacity;
};

PackageFiles *package_files_free(PackageFiles *files)
{
        if (!files)
                return NULL;
        for (size_t i = 0; i < files->list_count; i++) {
                free(files->texts[i]);
                free(files->names[i]);
        }
        free(files->texts);
        free(files->names);
        free(files->paths);
        free(files);
        return NULL;
}

/* As on a tree with /usr merged: compares "bin/x" as "usr/bin/x". */
static int compare_paths(const OwnedPath *a, const OwnedPath *b)
{
        static const char prefix[] = "usr/";
        const char *left = a->path, *right = b->path;

        if (a->is_before_merge != b->is_before_merge) {
                const char *whole = a->is_before_merge ? right : left;
                int order = strncmp(prefix, whole, sizeof(prefix) - 1);

                if (order != 0)
                        return a->is_before_merge ? order : -order;
                if (a->is_before_merge)
                        right += sizeof(prefix) - 1;
                else
                        left += sizeof(prefix) - 1;
        }
        return strcmp(left, right);
}

static int by_path(const void *a, const void *b)
{
        return compare_paths(a, b);
}

static bool is_before_merge(const char *path)
{
        return strncmp(path, "bin/", 4) == 0 || strncmp(path, "sbin/", 5) == 0 ||
               strncmp(path, "lib/", 4) == 0 || strncmp(path, "lib64/", 6) == 0;
}

static int add_path(PackageFiles *files, const char *path, const char *package)
{
        if (files->path_count == files->path_capacity) {
                size_t capacity = MAX_OF(files->path_capacity * 2, (size_t)4096);
                OwnedPath *grown = capacity > PATHS_MAX
                                                   ? NULL
                                                   : reallocarray(files->paths, capacity, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                files->paths = grown;
                files->path_capacity = capacity;
        }
        files->paths[files->path_count++] = (OwnedPath){ path, package, is_before_merge(path) };
        return 0;
}

/* Lines "/PATH", which are cut up. */
static int add_list(PackageFiles *files, char *text, const char *package)
{
        char *next = text;
        int r = 0;

        for (char *line; r >= 0 && (line = strsep(&next, "\n"));)
                if (line[0] == '/' && line[1] && line[1] != '.')
                        r = add_path(files, line + 1, package);
        return r;
}

/* "libc6:amd64.list" is libc6's. */
static char *name_of(const char *path)
{
        const char *name = path + strlen(INFO_FOLDER);

        return strndup(name, MIN_OF(strcspn(name, ":"), strlen(name) - strlen(".list")));
}

static bool is_list(const char *path)
{
        size_t length = strlen(path), least = strlen(INFO_FOLDER) + strlen("x.list");

        return length >= least && strncmp(path, INFO_FOLDER, strlen(INFO_FOLDER)) == 0 &&
               strcmp(path + length - strlen(".list"), ".list") == 0;
}

static int read_lists(const DiffImage *image, PackageFiles *files, Error *error)
{
        for (size_t i = 0; i < image->count; i++) {
                size_t at = files->list_count;
                int r;

                if (!is_list(image->entries[i].path))
                        continue;
                r = diff_image_read(image, &image->entries[i], LIST_MAX, &files->texts[at], error);
                if (r < 0)
                        return r;
                files->list_count++;
                files->names[at] = name_of(image->entries[i].path);
                if (!files->names[at] || add_list(files, files->texts[at], files->names[at]) < 0)
                        return error_oom(error);
        }
        return 0;
}

int package_files_read(const DiffImage *image, PackageFiles **ret, Error *error)
{
        _cleanup_package_files_ PackageFiles *files = calloc(1, sizeof(*files));
        size_t count = 0;
        int r;

        if (!files)
                return error_oom(error);
        for (size_t i = 0; i < image->count; i++)
                count += is_list(image->entries[i].path);
        files->texts = calloc(count + 1, sizeof(*files->texts));
        files->names = calloc(count + 1, sizeof(*files->names));
        if (!files->texts || !files->names)
                return error_oom(error);
        r = read_lists(image, files, error);
        if (r < 0)
                return r;
        if (files->path_count > 0)
                qsort(files->paths, files->path_count, sizeof(*files->paths), by_path);
        *ret = TAKE_PTR(files);
        return 0;
}

const char *package_files_owner(const PackageFiles *files, const char *path)
{
        const OwnedPath wanted = { .path = path, .is_before_merge = is_before_merge(path) };
        const OwnedPath *found = files->path_count == 0 ? NULL
                                                        : bsearch(&wanted, files->paths, files->path_count,
                                                                          sizeof(*files->paths), by_path);

        return found ? found->package : NULL;
}
