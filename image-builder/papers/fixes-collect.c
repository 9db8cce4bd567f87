/* SPDX-License-Identifier: Apache-2.0 */
#include "compose.h"
#include "deb.h"
#include "debian-version.h"
#include "file.h"
#include "fixes.h"
#include "hex.h"
#include "json.h"
#include "output-file.h"
#include "papers.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define CHANGELOGS_FOLDER "changelogs"

/* A package that may have the changelog of a source. */
typedef struct Candidate {
        const LockPackage *package;
        char *source, *version; /* of the source */
} Candidate;

static void free_candidates(Candidate *candidates, size_t count)
{
        for (size_t i = 0; candidates && i < count; i++) {
                free(candidates[i].source);
                free(candidates[i].version);
        }
        free(candidates);
}

/* Of a source the newest version, and of that the smallest package, first. */
static int by_source_and_size(const void *a, const void *b)
{
        const Candidate *left = a, *right = b;
        int order = strcmp(left->source, right->source);

        if (order == 0)
                order = debian_version_compare(right->version, left->version);
        if (order)
                return order;
        if (left->package->size_bytes != right->package->size_bytes)
                return left->package->size_bytes < right->package->size_bytes ? -1 : 1;
        order = strcmp(left->package->name, right->package->name);
        return order ? order : strcmp(left->package->architecture, right->package->architecture);
}

static int open_package(const LockPackage *package, const char *cache_folder, int *ret, Error *error)
{
        _cleanup_free_ char *path = lock_cached_path(cache_folder, package);

        if (!path)
                return error_oom(error);
        *ret = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        return *ret < 0 ? error_set(error, ERROR_IO, errno, "cannot read %s: %s", path, strerror(errno)) : 0;
}

/* As the package itself says, in the words of dpkg's list of those that are installed. */
static int read_source(Candidate *candidate, const char *cache_folder, Error *error)
{
        const LockPackage *locked = candidate->package;
        _cleanup_fd_ int fd = -1;
        _cleanup_free_ char *control = NULL, *status = NULL;
        ComposePackage *packages = NULL;
        size_t count = 0;
        int r = open_package(locked, cache_folder, &fd, error);

        if (r >= 0)
                r = deb_read_control(fd, &control, error);
        if (r < 0)
                return error_prefix(error, r, "the package %s", locked->name);
        status = string_format("Status: install ok installed\n%s", control);
        r = status ? compose_parse_packages(status, &packages, &count, error) : error_oom(error);
        if (r >= 0 && count == 1) {
                candidate->source = TAKE_PTR(packages[0].source);
                candidate->version = TAKE_PTR(packages[0].source_version);
        }
        compose_free_packages(packages, count);
        if (r >= 0 && count != 1)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "the package %s does not say what it is; make the lock anew", locked->name);
        return r;
}

/* ---- what was read before ---- */

/* CACHE/changelogs/READER-HASH, of the package: a paper of its source alone. */
static char *known_path(const LockPackage *package, const char *cache_folder)
{
        char hex[SHA256_HEX_SIZE];

        hex_encode(package->sha256, SHA256_SIZE, hex);
        return string_format("%s/" CHANGELOGS_FOLDER "/%d-%s", cache_folder, FIXES_READER, hex);
}

/* False when nothing is known, or what there is cannot be read. */
static bool load_known(const char *path, const char *source, json_t **ret)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_t *paper = NULL;
        size_t size;

        if (file_read(AT_FDCWD, path, FIXES_MAX, &text, &size) < 0 ||
                        fixes_parse(text, size, path, &paper, NULL) < 0 ||
                        !json_object_get(paper, "sources"))
                return false;
        (void)utimensat(AT_FDCWD, path, NULL, 0); /* it is in use, for cache_gc() */
        *ret = json_incref(json_object_get(json_object_get(paper, "sources"), source));
        return true;
}

/* It can be read again if this fails, and is if a crash leaves a part of it. */
static void keep_known(const char *path, const char *source, json_t *fixes)
{
        json_t *sources = fixes ? json_pack("{s:O}", source, fixes) : json_object();
        _cleanup_json_ json_t *paper = json_pack("{s:i, s:o}", "format", FIXES_FORMAT, "sources", sources);
        _cleanup_free_ char *text = json_dumps(paper, JSON_COMPACT),
                            *name = string_format("%s.XXXXXX", path);
        _cleanup_fd_ int fd = -1;

        if (!text || !name)
                return;
        fd = mkostemp(name, O_CLOEXEC);
        if (fd < 0)
                return;
        if (write_full(fd, text, strlen(text)) < 0 || fchmod(fd, 0644) < 0 || rename(name, path) < 0)
                (void)unlink(name);
}

/* ---- changelogs ---- */

/* Leaves *ret as it is when the package has no changelog of the source, or none that can be read. */
static int read_package(const Candidate *candidate, const char *cache_folder, const char *scratch,
                json_t **ret, Error *error)
{
        _cleanup_free_ char *path = path_join(scratch, "data"), *text = NULL;
        _cleanup_fd_ int fd = -1, unpacked = -1;
        size_t size;
        int r = path ? scratch_file_open(path, &unpacked, error) : error_oom(error);

        if (r >= 0)
                r = open_package(candidate->package, cache_folder, &fd, error);
        if (r < 0)
                return r;
        r = deb_read_changelog(fd, candidate->package->name, unpacked, &text, &size, error);
        if (r == -ENOENT || r == -EBADMSG || r == -EFBIG) {
                error_clear(error);
                return 0;
        }
        if (r < 0)
                return error_prefix(error, r, "the package %s", candidate->package->name);
        return fixes_read_changelog(text, candidate->source, ret) < 0 ? error_oom(error) : 0;
}

static int try_package(const Candidate *candidate, const char *cache_folder, const char *scratch,
                json_t **ret, Error *error)
{
        _cleanup_free_ char *known = known_path(candidate->package, cache_folder);
        int r;

        if (!known)
                return error_oom(error);
        if (load_known(known, candidate->source, ret))
                return 0;
        r = read_package(candidate, cache_folder, scratch, ret, error);
        if (r >= 0)
                keep_known(known, candidate->source, *ret);
        return r;
}

/* Sources in the order of their names. */
static int read_changelogs(const Candidate *candidates, size_t count, const char *cache_folder,
                const char *scratch, json_t *sources, Error *error)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < count;) {
                const char *source = candidates[i].source;
                json_t *fixes = NULL;

                for (; i < count && strcmp(candidates[i].source, source) == 0; i++)
                        if (r >= 0 && !fixes)
                                r = try_package(&candidates[i], cache_folder, scratch, &fixes, error);
                if (fixes && json_object_set_new(sources, source, fixes) < 0)
                        return error_oom(error);
        }
        return r;
}

int fixes_collect(const Lock *lock, const char *cache_folder, const char *scratch, Buffer *ret, Error *error)
{
        Candidate *candidates = calloc(lock->package_count + 1, sizeof(*candidates));
        _cleanup_free_ char *known = path_join(cache_folder, CHANGELOGS_FOLDER);
        json_t *sources = json_object();
        int r = candidates && sources && known ? 0 : error_oom(error);

        if (r >= 0)
                (void)directory_make(AT_FDCWD, known, 0755);
        for (size_t i = 0; r >= 0 && i < lock->package_count; i++) {
                candidates[i].package = &lock->packages[i];
                r = read_source(&candidates[i], cache_folder, error);
        }
        if (r >= 0) {
                qsort(candidates, lock->package_count, sizeof(*candidates), by_source_and_size);
                r = read_changelogs(candidates, lock->package_count, cache_folder, scratch, sources, error);
        }
        free_candidates(candidates, lock->package_count);
        if (r < 0)
                return json_decref(sources), r;
        r = papers_put_json(json_pack("{s:i, s:o}", "format", FIXES_FORMAT, "sources", sources), ret);
        return r < 0 ? error_set(error, ERROR_FAILED, -r,
                                       "cannot write down what the changelogs of the packages say: %s",
                                       strerror(-r))
                     : 0;
}
