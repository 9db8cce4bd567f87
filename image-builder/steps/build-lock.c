/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "file.h"
#include "hex.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* NULL when there is no base. */
static const LockBase *find_base(const Build *build, LockBase *base)
{
        if (!build->base)
                return NULL;
        base->identity = base_identity(build->base);
        return base;
}

int build_make_request(const Build *build, char ***ret)
{
        LockBase base = { 0 };

        return lock_make_request(build->recipe, find_base(build, &base), ret);
}

int build_open_lock(Build *build, Error *error)
{
        LockBase base = { 0 };
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
                r = lock_check_request(build->lock, build->recipe, find_base(build, &base), error);
        if (r < 0)
                return r;
        build->epoch = build->recipe->epoch ? (int64_t)build->recipe->epoch : lock_time(build->lock);
        return 0;
}

/* Whether these are the archives whose hashes went into the key. */
static int check_unchanged(const Build *build, const Lock *lock, Error *error)
{
        if (lock->source_count != build->sources->count)
                return error_set(error, ERROR_FAILED, EPROTO,
                                "the sources of packages are others than before");
        for (size_t i = 0; i < lock->source_count; i++) {
                char hex[SHA256_HEX_SIZE];

                hex_encode(lock->sources[i].sha256, SHA256_SIZE, hex);
                if (strcmp(hex, build->sources->items[i].release_sha256) != 0)
                        return error_set(error, ERROR_NETWORK, EAGAIN,
                                        "the archive of %s changed while packages were chosen from it; run "
                                        "the build again",
                                        lock->sources[i].suite);
        }
        return 0;
}

int build_choose_packages(Build *build, const char *folder, int log_fd, Lock **ret, Error *error)
{
        _cleanup_free_ char *status = NULL, *scratch = path_join(folder, "apt");
        _cleanup_sources_ AptSources *sources = NULL;
        _cleanup_lock_ Lock *lock = NULL;
        LockBase base = { 0 };
        int r = scratch ? directory_make(AT_FDCWD, scratch, 0755) : -ENOMEM;

        if (r < 0)
                return error_set(
                                error, ERROR_IO, -r, "cannot make a folder in %s: %s", folder, strerror(-r));
        r = build->base ? base_read_status(&build->entries[BUILD_BASE], &status, error) : 0;
        if (r >= 0)
                r = sources_resolve(build->recipe, build->options->mirror, &sources, error);
        base.status = status;
        if (r >= 0)
                r = lock_resolve(build->recipe, find_base(build, &base), sources, scratch, log_fd, &lock,
                                error);
        (void)tree_remove(AT_FDCWD, scratch);
        if (r >= 0)
                r = check_unchanged(build, lock, error);
        if (r >= 0)
                *ret = TAKE_PTR(lock);
        return r;
}

int build_fetch_packages(Build *build, const Lock *lock, int log_fd, Error *error)
{
        _cleanup_sources_ AptSources *sources = NULL;
        LockFetch options = { .cache_folder = cache_folder(build->cache),
                .fallbacks = build->recipe->fallback_mirrors,
                .log_fd = log_fd };
        LockFetched fetched;

        /* A machine that knows no mirror can still have all packages. */
        if (sources_resolve(build->recipe, build->options->mirror, &sources, NULL) >= 0)
                options.sources = sources;
        return lock_fetch(lock, &options, &fetched, error);
}

int build_stage_lock(const Build *build, const Lock *lock, ScratchFolder *ret, Error *error)
{
        _cleanup_scratch_folder_ ScratchFolder folder = SCRATCH_FOLDER_NONE;
        int r = scratch_folder_make("bascule-packages", &folder, error);

        /* Not in the cache, since in a user namespace mmdebstrap may not look into a home folder. */
        if (r >= 0 && chmod(folder.path, 0755) < 0)
                r = error_set(error, ERROR_IO, errno, "cannot open the folder %s to others: %s", folder.path,
                                strerror(errno));
        if (r >= 0)
                r = lock_make_archive(lock, cache_folder(build->cache), build->recipe->suites[0],
                                folder.path, error);
        if (r < 0)
                return r;
        *ret = folder;
        folder = SCRATCH_FOLDER_NONE;
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

/* As it should be; NULL: it should not be there. */
static const char *version_of(const LockPackage *locked, const ComposePackage *of_base)
{
        return locked ? locked->version : of_base ? of_base->version : NULL;
}

static const LockPackage *find_locked(const Lock *lock, const ComposePackage *package)
{
        for (size_t i = 0; i < lock->package_count; i++)
                if (strcmp(lock->packages[i].name, package->name) == 0 &&
                                strcmp(lock->packages[i].architecture, package->architecture) == 0)
                        return &lock->packages[i];
        return NULL;
}

static const ComposePackage *find_package(
                const ComposePackage *list, size_t count, const char *name, const char *architecture)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(list[i].name, name) == 0 && strcmp(list[i].architecture, architecture) == 0)
                        return &list[i];
        return NULL;
}

/* What the lock has beside what the base had. */
static int check_packages(const Build *build, const ComposePackage *of_base, size_t base_count, Error *error)
{
        const Composition *composition = &build->composition;
        const Lock *lock = build->lock;

        for (size_t i = 0; i < composition->package_count; i++) {
                const ComposePackage *found = &composition->packages[i];
                const char *version = version_of(find_locked(lock, found),
                                find_package(of_base, base_count, found->name, found->architecture));

                if (!version)
                        return differs("is installed and not in the lock", found->name, error);
                if (strcmp(version, found->version) != 0)
                        return differs("is installed in another version", found->name, error);
        }
        for (size_t i = 0; i < lock->package_count; i++)
                if (!find_package(composition->packages, composition->package_count, lock->packages[i].name,
                                    lock->packages[i].architecture))
                        return differs("is not installed", lock->packages[i].name, error);
        for (size_t i = 0; i < base_count; i++)
                if (strcmp(of_base[i].name, COMPOSE_STAND_IN) != 0 &&
                                !find_package(composition->packages, composition->package_count,
                                                of_base[i].name, of_base[i].architecture))
                        return differs("was in the base and is gone", of_base[i].name, error);
        return 0;
}

int build_check_lock(const Build *build, Error *error)
{
        _cleanup_free_ char *status = NULL;
        ComposePackage *of_base = NULL;
        size_t count = 0;
        int r = 0;

        if (!build->lock || !build_has_step(build, BUILD_PACKAGES))
                return 0;
        if (build->base)
                r = base_read_status(&build->entries[BUILD_BASE], &status, error);
        if (r >= 0 && status)
                r = compose_parse_packages(status, &of_base, &count, error);
        if (r >= 0)
                r = check_packages(build, of_base, count, error);
        compose_free_packages(of_base, count);
        return r;
}
