/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "file.h"
#include "output-file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int build_open_lock(Build *build, Error *error)
{
        _cleanup_free_ char *path = lock_path(build->recipe);
        int r;

        if (build->options->without_lock)
                return 0;
        if (!path)
                return error_oom(error);
        r = lock_load(path, &build->lock, error);
        if (r == -ENOENT && build->options->must_be_locked)
                return error_set(error, ERROR_REFUSED, ENOENT,
                                "there is no %s, and --locked asks for one; make it with \"bascule-image "
                                "lock %s\"",
                                path, build->recipe->path);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = lock_check_request(build->lock, build->recipe, error);
        if (r < 0)
                return r;
        build->epoch = build->recipe->epoch ? (int64_t)build->recipe->epoch : lock_time(build->lock);
        return 0;
}

static int fetch(Build *build, int log_fd, Error *error)
{
        _cleanup_sources_ AptSources *sources = NULL;
        LockFetch options = { .cache_folder = cache_folder(build->cache),
                .fallbacks = build->recipe->fallback_mirrors,
                .log_fd = log_fd };
        LockFetched fetched;

        /* A machine that knows no mirror can still have all packages. */
        if (sources_resolve(build->recipe, build->options->mirror, &sources, NULL) >= 0)
                options.sources = sources;
        return lock_fetch(build->lock, &options, &fetched, error);
}

/* Not in the cache, since in a user namespace it may not look into a home folder. */
static int make_folder(char **ret, Error *error)
{
        _cleanup_free_ char *folder = scratch_path("bascule-packages-XXXXXX");

        if (!folder)
                return error_oom(error);
        if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
                return error_set(error, ERROR_IO, errno, "cannot make the folder %s: %s", folder,
                                strerror(errno));
        *ret = TAKE_PTR(folder);
        return 0;
}

int build_stage_lock(Build *build, int log_fd, char **ret_folder, Error *error)
{
        _cleanup_free_ char *folder = NULL;
        int r = fetch(build, log_fd, error);

        if (r >= 0)
                r = make_folder(&folder, error);
        if (r < 0)
                return r;
        r = lock_make_archive(
                        build->lock, cache_folder(build->cache), build->recipe->suites[0], folder, error);
        if (r < 0) {
                (void)tree_remove(AT_FDCWD, folder);
                return r;
        }
        *ret_folder = TAKE_PTR(folder);
        return 0;
}

static int differs(const char *what, const char *name, Error *error)
{
        return error_set(error, ERROR_REFUSED, ESTALE,
                        "%s %s: what was installed is not what the lock names; renew it with "
                        "\"bascule-image "
                        "lock --update\"",
                        name, what);
}

/* Both lists are in the same order. */
int build_check_lock(const Build *build, Error *error)
{
        const Composition *composition = &build->composition;
        const Lock *lock = build->lock;
        size_t count = lock ? MAX_OF(lock->package_count, composition->package_count) : 0;

        for (size_t i = 0; i < count; i++) {
                const LockPackage *locked = i < lock->package_count ? &lock->packages[i] : NULL;
                const ComposePackage *found =
                                i < composition->package_count ? &composition->packages[i] : NULL;
                int order = !locked ? 1 : !found ? -1 : strcmp(locked->name, found->name);

                if (order < 0)
                        return differs("is not installed", locked->name, error);
                if (order > 0)
                        return differs("is installed and not in the lock", found->name, error);
                if (strcmp(locked->version, found->version) != 0 ||
                                strcmp(locked->architecture, found->architecture) != 0)
                        return differs("is installed in another version", found->name, error);
        }
        return 0;
}
