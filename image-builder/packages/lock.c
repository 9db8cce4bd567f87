/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"
#include "file.h"
#include "strv.h"

#include <string.h>

Lock *lock_new(void)
{
        return calloc(1, sizeof(Lock));
}

static void free_source(LockSource *source)
{
        for (size_t i = 0; i < source->index_count; i++)
                free(source->indexes[i].name);
        free(source->indexes);
        free(source->suite);
        free(source->mirror);
}

Lock *lock_free(Lock *lock)
{
        if (!lock)
                return NULL;
        for (size_t i = 0; i < lock->source_count; i++)
                free_source(&lock->sources[i]);
        for (size_t i = 0; i < lock->package_count; i++) {
                free(lock->packages[i].name);
                free(lock->packages[i].version);
                free(lock->packages[i].architecture);
                free(lock->packages[i].path);
        }
        free(lock->sources);
        free(lock->packages);
        strv_free(lock->request);
        free(lock);
        return NULL;
}

static int by_name(const void *a, const void *b)
{
        const LockPackage *left = a, *right = b;
        int order = strcmp(left->name, right->name);

        return order ? order : strcmp(left->architecture, right->architecture);
}

static int by_index_name(const void *a, const void *b)
{
        return strcmp(((const LockIndex *)a)->name, ((const LockIndex *)b)->name);
}

void lock_sort(Lock *lock)
{
        if (lock->package_count > 0)
                qsort(lock->packages, lock->package_count, sizeof(*lock->packages), by_name);
        for (size_t i = 0; i < lock->source_count; i++)
                if (lock->sources[i].index_count > 0)
                        qsort(lock->sources[i].indexes, lock->sources[i].index_count,
                                        sizeof(*lock->sources[i].indexes), by_index_name);
        strv_sort(lock->request);
}

int64_t lock_time(const Lock *lock)
{
        int64_t newest = 0;

        for (size_t i = 0; i < lock->source_count; i++)
                newest = MAX_OF(newest, lock->sources[i].time);
        return newest;
}

uint64_t lock_size_bytes(const Lock *lock)
{
        uint64_t size = 0;

        for (size_t i = 0; i < lock->package_count; i++)
                size += lock->packages[i].size_bytes;
        return size;
}

char *lock_path(const Recipe *recipe)
{
        _cleanup_buffer_ Buffer path = BUFFER_WITH_CAP(1 * MIB);
        int r = buffer_append_string(&path, recipe->path);

        for (char **name = recipe->profiles; r >= 0 && name && *name; name++)
                r = buffer_printf(&path, "%c%s", name == recipe->profiles ? '.' : '+', *name);
        if (r >= 0)
                r = buffer_append_string(&path, ".lock");
        return r < 0 ? NULL : buffer_take(&path, NULL);
}

/* ---- what was asked for ---- */

static int add_line(char ***request, const char *key, const char *value)
{
        _cleanup_free_ char *line = string_format("%s=%s", key, value);

        if (!line)
                return -ENOMEM;
        return strv_contains(*request, line) ? 0 : strv_append(request, line);
}

static int add_each(char ***request, const char *key, char *const *values)
{
        int r = 0;

        for (; r >= 0 && values && *values; values++)
                r = add_line(request, key, *values);
        return r;
}

/* Of a list whose order counts. */
static int add_joined(char ***request, const char *key, char *const *values)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(1 * MIB);
        int r = 0;

        for (char *const *value = values; r >= 0 && value && *value; value++)
                r = buffer_printf(&text, "%s%s", value == values ? "" : " ", *value);
        if (r >= 0 && text.size > 0)
                r = add_line(request, key, (const char *)text.data);
        return r;
}

int lock_make_request(const Recipe *recipe, const LockBase *base, char ***ret)
{
        _cleanup_strv_ char **request = NULL;
        int r = add_line(&request, "Architecture", recipe->architecture);

        if (r >= 0)
                r = add_joined(&request, "Profiles", recipe->profiles);
        if (r >= 0 && base)
                r = add_line(&request, "Base", base->identity);
        if (r >= 0)
                r = add_joined(&request, "Suites", recipe->suites);
        if (r >= 0)
                r = add_joined(&request, "Areas", recipe->areas);
        if (r >= 0)
                r = add_each(&request, "Install", recipe->packages);
        if (r >= 0)
                r = add_each(&request, "Exclude", recipe->excluded_packages);
        if (r >= 0 && recipe->kernel_package)
                r = add_line(&request, "Kernel", recipe->kernel_package);
        if (r >= 0)
                r = add_line(&request, "Recommended", recipe->with_recommended ? "yes" : "no");
        if (r < 0)
                return r;
        strv_sort(request);
        *ret = TAKE_PTR(request);
        return 0;
}

/* The first line of `these` that `those` do not have. */
static const char *first_missing(char *const *these, char *const *those)
{
        for (; these && *these; these++)
                if (!strv_contains(those, *these))
                        return *these;
        return NULL;
}

/* "--profile one --profile other RECIPE" */
static char *name_recipe(const Recipe *recipe)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(1 * MIB);
        int r = 0;

        for (char **name = recipe->profiles; r >= 0 && name && *name; name++)
                r = buffer_printf(&text, "--profile %s ", *name);
        if (r >= 0)
                r = buffer_append_string(&text, recipe->path);
        return r < 0 ? NULL : buffer_take(&text, NULL);
}

int lock_check_request(const Lock *lock, const Recipe *recipe, const LockBase *base, Error *error)
{
        _cleanup_strv_ char **request = NULL;
        _cleanup_free_ char *named = name_recipe(recipe);
        const char *added, *removed;

        if (!named || lock_make_request(recipe, base, &request) < 0)
                return error_oom(error);
        added = first_missing(request, lock->request);
        removed = first_missing(lock->request, request);
        if (!added && !removed)
                return 0;
        return error_set(error, ERROR_REFUSED, ESTALE,
                        "the lock is stale: the recipe %s %s, and the lock was made %s it; renew it with "
                        "\"bascule-image lock --update %s\"",
                        added ? "has" : "has no", added ? added : removed, added ? "without" : "with",
                        named);
}
