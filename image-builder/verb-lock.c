/* SPDX-License-Identifier: Apache-2.0 */
#include "base.h"
#include "cache.h"
#include "file.h"
#include "fixes.h"
#include "json-text.h"
#include "lock.h"
#include "options.h"
#include "scratch-folder.h"
#include "strv.h"
#include "verbs.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>

typedef struct Arguments {
        const char *mirror, *cache;
        char **settings, **profiles;
        bool update, dry_run, fetch, json;
} Arguments;

typedef struct Work {
        const Arguments *arguments;
        const Recipe *recipe;
        char *path; /* of the lock */
        Cache *cache;
        AptSources *sources; /* NULL: no mirror is known */
        int log_fd;
        char *log_path;
        Base *base;           /* NULL: the recipe has none */
        char *base_status;    /* dpkg's database of it, once packages are chosen */
        Lock *before, *after; /* NULL: there is none, or it is not made anew */
        bool is_written;
        LockFetched fetched;
} Work;

static void work_done(Work *work)
{
        free(work->path);
        free(work->log_path);
        fd_close(work->log_fd);
        sources_free(work->sources);
        base_free(work->base);
        free(work->base_status);
        lock_free(work->before);
        lock_free(work->after);
        cache_close(work->cache);
}

/* ---- what is said ---- */

static json_t *change_json(const LockChange *change)
{
        const LockPackage *package = change->after ? change->after : change->before;

        return json_pack("{s:s, s:s, s:s, s:s}", "package", package->name, "architecture",
                        package->architecture, "old", change->before ? change->before->version : "", "new",
                        change->after ? change->after->version : "");
}

static int print_json(const Work *work, const LockChange *changes, size_t count)
{
        const Lock *lock = work->after ? work->after : work->before;
        json_t *list = json_array(), *root;
        int r;

        for (size_t i = 0; i < count; i++)
                (void)json_array_append_new(list, change_json(&changes[i]));
        root = json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:o}", "lock", work->path, "written",
                        work->is_written, "packages", (json_int_t)lock->package_count, "size-bytes",
                        (json_int_t)lock_size_bytes(lock), "fetched-packages",
                        (json_int_t)work->fetched.count, "fetched-bytes",
                        (json_int_t)work->fetched.size_bytes, "changes", list);
        if (!root)
                return -ENOMEM;
        r = json_print(stdout, root);
        json_decref(root);
        return r;
}

static void print_change(const LockChange *change)
{
        switch (change->kind) {
        case LOCK_ADDED:
                printf("+ %s %s\n", change->after->name, change->after->version);
                break;
        case LOCK_REMOVED:
                printf("- %s %s\n", change->before->name, change->before->version);
                break;
        case LOCK_CHANGED:
                printf("  %s %s -> %s%s\n", change->after->name, change->before->version,
                                change->after->version,
                                strcmp(change->before->version, change->after->version) == 0
                                                ? " (the same version with other bytes!)"
                                                : "");
                break;
        }
}

static void print_end(const Work *work)
{
        const Lock *lock = work->after ? work->after : work->before;
        char size[SIZE_TEXT_MAX];

        printf("%s: %zu packages, %s%s\n", work->path, lock->package_count,
                        size_format(lock_size_bytes(lock), size),
                        work->is_written ? ", written"
                        : work->after    ? ", not written"
                                         : "");
        if (work->arguments->fetch)
                printf("%zu packages fetched, %s\n", work->fetched.count,
                                size_format(work->fetched.size_bytes, size));
}

/* ---- what is done ---- */

/* NULL when there is no base. */
static const LockBase *find_base(const Work *work, LockBase *base)
{
        if (!work->base)
                return NULL;
        *base = (LockBase){ .identity = base_identity(work->base), .status = work->base_status };
        return base;
}

static int read_base(Work *work, Error *error)
{
        _cleanup_cache_entry_ CacheEntry entry = CACHE_ENTRY_NONE;
        int r;

        if (!work->base || !recipe_installs_packages(work->recipe))
                return 0;
        r = base_acquire(work->base, work->cache, &entry, error);
        return r < 0 ? r : base_read_status(&entry, &work->base_status, error);
}

static int resolve(Work *work, Error *error)
{
        _cleanup_free_ char *folder = NULL;
        LockBase base;
        int r = read_base(work, error);

        if (r >= 0 && !work->sources && recipe_installs_packages(work->recipe))
                r = sources_resolve(work->recipe, work->arguments->mirror, &work->sources, error);
        if (r < 0)
                return r;
        folder = string_format("%s/scratch-lock-%d", cache_folder(work->cache), (int)getpid());
        if (!folder)
                return error_oom(error);
        r = tree_remove(AT_FDCWD, folder);
        if (r >= 0)
                r = directory_make(AT_FDCWD, folder, 0755);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot make %s: %s", folder, strerror(-r));
        r = lock_resolve(work->recipe, find_base(work, &base), work->sources, folder, work->log_fd,
                        &work->after, error);
        (void)tree_remove(AT_FDCWD, folder);
        return r;
}

/* So that builds find it done. What is wrong with a package is theirs to say. */
static void read_changelogs(const Work *work, const Lock *lock)
{
        _cleanup_scratch_folder_ ScratchFolder scratch = SCRATCH_FOLDER_NONE;
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(FIXES_MAX);

        if (scratch_folder_make("bascule-changelogs", &scratch, NULL) >= 0)
                (void)fixes_collect(lock, cache_folder(work->cache), scratch.path, &text, NULL);
}

static int fetch(Work *work, Error *error)
{
        const Lock *lock = work->after ? work->after : work->before;
        LockFetch options = { .cache_folder = cache_folder(work->cache),
                .sources = work->sources,
                .fallbacks = work->recipe->fallback_mirrors,
                .log_fd = work->log_fd };
        int r;

        r = lock_fetch(lock, &options, &work->fetched, error);
        if (r >= 0)
                read_changelogs(work, lock);
        return r;
}

/* What an older lock is, if it can be read: with --update it may be anything. */
static int load_before(Work *work, Error *error)
{
        const Arguments *arguments = work->arguments;
        Error ignored = { 0 };
        LockBase base;
        int r = lock_load(work->path, &work->before, arguments->update ? &ignored : error);

        if (r == -ENOENT || (r < 0 && r != -ENOMEM && arguments->update))
                return 0;
        if (r < 0 || arguments->update)
                return r;
        if (!arguments->fetch && !arguments->dry_run)
                return error_set(error, ERROR_REFUSED, EEXIST,
                                "%s is there; --update renews it, --dry-run shows what that would change",
                                work->path);
        return arguments->dry_run ? 0
                                  : lock_check_request(work->before, work->recipe, find_base(work, &base),
                                                    error);
}

static int open_work(Work *work, Error *error)
{
        char name[64];
        int r = cache_open(work->arguments->cache, &work->cache, error);

        (void)snprintf(name, sizeof(name), "lock-%d", (int)getpid());
        if (r >= 0)
                r = cache_open_log(work->cache, name, &work->log_fd, &work->log_path, error);
        if (r >= 0 && work->recipe->base)
                r = base_open(work->recipe, &work->base, error);
        if (r < 0)
                return r;
        work->path = lock_path(work->recipe);
        if (!work->path)
                return error_oom(error);
        if (recipe_installs_packages(work->recipe) && sources_resolve(work->recipe, work->arguments->mirror,
                                                                      &work->sources, NULL) == -ENOMEM)
                return error_oom(error);
        return load_before(work, error);
}

/* The difference comes before anything is written. */
static int run_work(Work *work, Error *error)
{
        const Arguments *arguments = work->arguments;
        _cleanup_free_ LockChange *changes = NULL;
        size_t count = 0;
        int r = open_work(work, error);

        if (r >= 0 && (!work->before || arguments->update || arguments->dry_run))
                r = resolve(work, error);
        if (r >= 0 && work->after && lock_compare(work->before, work->after, &changes, &count) < 0)
                r = error_oom(error);
        if (r < 0)
                return r;
        for (size_t i = 0; !arguments->json && work->before && i < count; i++)
                print_change(&changes[i]);
        (void)fflush(stdout);
        if (arguments->fetch)
                r = fetch(work, error);
        if (r >= 0 && work->after && !arguments->dry_run) {
                r = lock_save(work->after, work->path, error);
                work->is_written = r >= 0;
        }
        if (r < 0)
                return r;
        (void)unlink(work->log_path);
        if (arguments->json)
                return print_json(work, changes, work->before ? count : 0);
        print_end(work);
        return 0;
}

static int run(const char *recipe_path, const Arguments *arguments, Error *error)
{
        _cleanup_recipe_ Recipe *recipe = NULL;
        Work work = { .arguments = arguments, .log_fd = -1 };
        int r = recipe_load(recipe_path,
                        &(RecipeOptions){ .profiles = arguments->profiles, .settings = arguments->settings },
                        &recipe, error);

        if (r < 0)
                return r;
        work.recipe = recipe;
        r = run_work(&work, error);
        work_done(&work);
        return r;
}

int verb_lock(int argc, char **argv)
{
        Arguments a = { 0 };
        const Option options[] = {
                { "update", 'u', OPTION_FLAG, &a.update, NULL, "Make the lock anew and show what changed" },
                { "dry-run", 'n', OPTION_FLAG, &a.dry_run, NULL,
                                "Show what would change, and write nothing" },
                { "fetch", 0, OPTION_FLAG, &a.fetch, NULL,
                                "Bring all packages into the cache, so that a build needs no network" },
                { "profile", 0, OPTION_LIST, &a.profiles, "NAME", "Read this profile of the recipe" },
                { "set", 's', OPTION_LIST, &a.settings, "SECTION.KEY=VALUE", "Read this after the recipe" },
                { "mirror", 'm', OPTION_STRING, &a.mirror, "URL", "Package mirror, instead of apt's" },
                { "cache", 0, OPTION_STRING, &a.cache, "DIR", "Keep packages here (~/.cache/bascule)" },
                { "json", 0, OPTION_FLAG, &a.json, NULL, "Print what was done as JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "lock RECIPE [OPTION...]",
                "Chooses the packages of an image once, and writes them down in RECIPE.lock.", 1, 1 };
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0)
                r = run(arguments[0], &a, &error);
        a.profiles = strv_free(a.profiles);
        a.settings = strv_free(a.settings);
        return program_exit(PROGRAM_NAME, r, &error, a.json);
}
