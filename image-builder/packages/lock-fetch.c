/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "hex.h"
#include "lock.h"
#include "process.h"
#include "strv.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define APT_HELPER "/usr/lib/apt/apt-helper"
#define BATCH_MAX 64   /* packages that one process fetches */
#define MIRRORS_MAX 64 /* that one package is looked for at */

typedef struct Fetcher {
        const Lock *lock;
        const LockFetch *options;
        char *folder; /* "CACHE/debs" */
        bool *is_missing;
        LockFetched fetched;
        size_t liar; /* package of which other bytes came; package_count: none did */
        char *liar_mirror;
        char full_line[PROCESS_LINE_MAX + 1]; /* that told of a full disk; "": none did */
} Fetcher;

static char *path_in(const char *folder, const LockPackage *package, const char *ending)
{
        char hex[SHA256_HEX_SIZE];

        hex_encode(package->sha256, SHA256_SIZE, hex);
        return string_format("%s/%s%s", folder, hex, ending);
}

char *lock_cached_path(const char *cache_folder, const LockPackage *package)
{
        _cleanup_free_ char *folder = path_join(cache_folder, "debs");

        return folder ? path_in(folder, package, ".deb") : NULL;
}

/* Several builds may fetch the same package. */
static char *partial_path(const Fetcher *fetcher, const LockPackage *package)
{
        char ending[32];

        (void)snprintf(ending, sizeof(ending), ".%d.partial", (int)getpid());
        return path_in(fetcher->folder, package, ending);
}

/* 1 when the file is what the lock names, 0 when it is something else, -ENOENT when it is not there. */
static int is_whole(const char *path, const LockPackage *package)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        uint8_t hash[SHA256_SIZE];
        struct stat status;
        int r;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != package->size_bytes)
                return 0;
        r = sha256_of_fd(fd, 0, package->size_bytes, hash);
        return r < 0 ? r : memcmp(hash, package->sha256, SHA256_SIZE) == 0;
}

/* Marks what the cache does not have. What is damaged there is thrown away. */
static int look(Fetcher *fetcher, Error *error)
{
        for (size_t i = 0; i < fetcher->lock->package_count; i++) {
                const LockPackage *package = &fetcher->lock->packages[i];
                _cleanup_free_ char *path = path_in(fetcher->folder, package, ".deb");
                int r;

                if (!path)
                        return error_oom(error);
                r = is_whole(path, package);
                if (r < 0 && r != -ENOENT)
                        return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r));
                fetcher->is_missing[i] = r <= 0;
                if (r == 0 && unlink(path) < 0)
                        return error_set(error, ERROR_IO, errno, "cannot remove the damaged file %s: %s",
                                        path, strerror(errno));
                if (r > 0)
                        (void)utimensat(AT_FDCWD, path, NULL, 0); /* last use, for whoever cleans up */
        }
        return 0;
}

/* The mirror to try in a round; NULL when there are no more. First those that the build is told, then that
 * of the lock, then the fallbacks. */
static const char *mirror_of(const Fetcher *fetcher, const LockPackage *package, size_t round)
{
        const LockSource *source = &fetcher->lock->sources[package->source];
        const AptSources *sources = fetcher->options->sources;
        const char *first = NULL;

        for (size_t i = 0; sources && i < sources->count; i++)
                if (strcmp(sources->items[i].suite, source->suite) == 0)
                        first = sources->items[i].mirror;
        if (first && strcmp(first, source->mirror) == 0)
                first = NULL;
        if (first && round == 0)
                return first;
        round -= first ? 1 : 0;
        if (round == 0)
                return source->mirror;
        return round - 1 < strv_length(fetcher->options->fallbacks) ? fetcher->options->fallbacks[round - 1]
                                                                    : NULL;
}

/* Moves what came to its place if it is what was asked for. */
static int take(Fetcher *fetcher, size_t number, size_t round, Error *error)
{
        const LockPackage *package = &fetcher->lock->packages[number];
        _cleanup_free_ char *partial = partial_path(fetcher, package);
        _cleanup_free_ char *path = path_in(fetcher->folder, package, ".deb");
        int r;

        if (!partial || !path)
                return error_oom(error);
        r = is_whole(partial, package);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", partial, strerror(-r));
        if (r == 0) {
                (void)unlink(partial);
                if (fetcher->liar_mirror)
                        return 0;
                fetcher->liar = number;
                fetcher->liar_mirror = strdup(mirror_of(fetcher, package, round));
                return fetcher->liar_mirror ? 0 : error_oom(error);
        }
        if (chmod(partial, 0644) < 0 || rename(partial, path) < 0)
                return error_set(error, ERROR_IO, errno, "cannot rename %s: %s", partial, strerror(errno));
        fetcher->is_missing[number] = false;
        fetcher->fetched.count++;
        fetcher->fetched.size_bytes += package->size_bytes;
        return 0;
}

/* The files may be no larger than the largest that is expected, whatever a server sends. */
static int begin_command(uint64_t largest_bytes, char ***argv)
{
        _cleanup_free_ char *limit =
                        string_format("--fsize=%llu", (unsigned long long)(largest_bytes + 4 * MIB));
        int r = strv_append(argv, "prlimit");

        if (r >= 0)
                r = limit ? strv_append(argv, limit) : -ENOMEM;
        if (r >= 0)
                r = strv_append(argv, APT_HELPER);
        return r < 0 ? r : strv_append(argv, "download-file");
}

/* apt is not told the hashes, so that it keeps what came for us to look at. */
static int add_to_command(const Fetcher *fetcher, const LockPackage *package, size_t round, char ***argv)
{
        const char *mirror = mirror_of(fetcher, package, round);
        size_t length = strlen(mirror);
        _cleanup_free_ char *partial = partial_path(fetcher, package), *url = NULL;
        int r;

        while (length > 0 && mirror[length - 1] == '/')
                length--;
        url = string_format("%.*s/%s", (int)length, mirror, package->path);
        r = partial && url ? strv_append(argv, url) : -ENOMEM;
        if (r >= 0)
                (void)unlink(partial);
        if (r >= 0)
                r = strv_append(argv, partial);
        return r < 0 ? r : strv_append(argv, "");
}

/* Chooses up to BATCH_MAX packages from *next on that are missing and have a mirror in this round. */
static size_t choose(const Fetcher *fetcher, size_t round, size_t *next, size_t chosen[static BATCH_MAX])
{
        size_t count = 0;

        for (; *next < fetcher->lock->package_count && count < BATCH_MAX; (*next)++)
                if (fetcher->is_missing[*next] && mirror_of(fetcher, &fetcher->lock->packages[*next], round))
                        chosen[count++] = *next;
        return count;
}

/* What came whole is kept. What else failed shows by what is not there in the end: the words of a full disk
 * may be those of a server, so that the next mirror is asked all the same. */
static int take_batch(
                Fetcher *fetcher, const size_t *chosen, size_t count, size_t round, int status, Error *error)
{
        char line[PROCESS_LINE_MAX + 1];
        int r = 0;

        if (status > 0 && process_found_full_disk(fetcher->options->log_fd, line))
                memcpy(fetcher->full_line, line, sizeof(line));
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = take(fetcher, chosen[i], round, error);
        return r;
}

/* Returns how many packages were asked for. */
static int fetch_batch(Fetcher *fetcher, size_t round, size_t *next, Error *error)
{
        _cleanup_strv_ char **argv = NULL;
        size_t chosen[BATCH_MAX], count = choose(fetcher, round, next, chosen);
        uint64_t largest = 0;
        int r;

        if (count == 0)
                return 0;
        for (size_t i = 0; i < count; i++)
                largest = MAX_OF(largest, fetcher->lock->packages[chosen[i]].size_bytes);
        r = begin_command(largest, &argv);
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = add_to_command(fetcher, &fetcher->lock->packages[chosen[i]], round, &argv);
        if (r < 0)
                return error_oom(error);
        r = process_run((const char *const *)argv, &(ProcessOptions){ .log_fd = fetcher->options->log_fd },
                        error);
        if (r >= 0)
                r = take_batch(fetcher, chosen, count, round, r, error);
        return r < 0 ? r : (int)count;
}

static int fetch_round(Fetcher *fetcher, size_t round, bool *ret_any, Error *error)
{
        size_t next = 0;
        int r;

        *ret_any = false;
        do {
                r = fetch_batch(fetcher, round, &next, error);
                *ret_any = *ret_any || r > 0;
        } while (r > 0 && next < fetcher->lock->package_count);
        return r < 0 ? r : 0;
}

static int explain(const Fetcher *fetcher, Error *error)
{
        const Lock *lock = fetcher->lock;
        size_t count = 0, first = 0;
        char size[SIZE_TEXT_MAX];

        for (size_t i = lock->package_count; i > 0; i--)
                if (fetcher->is_missing[i - 1]) {
                        first = i - 1;
                        count++;
                }
        if (count == 0)
                return 0;
        /* Before who lies: of a package for which there is no room, a part came. */
        if (fetcher->full_line[0])
                return error_set(error, ERROR_NO_SPACE, ENOSPC,
                                "%s has no room for the packages of the lock (%s together), make room and "
                                "run this again: %s",
                                fetcher->folder, size_format(lock_size_bytes(lock), size),
                                fetcher->full_line);
        if (fetcher->liar_mirror && fetcher->is_missing[fetcher->liar])
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "%s gives other bytes for the package %s %s than the lock names; use "
                                "another "
                                "mirror, or look at who changed what",
                                fetcher->liar_mirror, lock->packages[fetcher->liar].name,
                                lock->packages[fetcher->liar].version);
        return error_set(error, ERROR_NETWORK, ENOENT,
                        "no mirror has %s %s of the lock (%zu of %zu packages are missing): renew the lock "
                        "with "
                        "\"lock --update\", or name a mirror that keeps old packages",
                        lock->packages[first].name, lock->packages[first].version, count,
                        lock->package_count);
}

static int fetch_all(Fetcher *fetcher, Error *error)
{
        bool any = true;
        int r = look(fetcher, error);

        for (size_t round = 0; r >= 0 && any && round < MIRRORS_MAX; round++)
                r = fetch_round(fetcher, round, &any, error);
        return r < 0 ? r : explain(fetcher, error);
}

int lock_fetch(const Lock *lock, const LockFetch *fetch, LockFetched *ret, Error *error)
{
        Fetcher fetcher = { .lock = lock, .options = fetch, .liar = lock->package_count };
        int r;

        fetcher.folder = path_join(fetch->cache_folder, "debs");
        fetcher.is_missing = calloc(lock->package_count + 1, sizeof(*fetcher.is_missing));
        if (!fetcher.folder || !fetcher.is_missing)
                r = error_oom(error);
        else {
                r = directory_make(AT_FDCWD, fetcher.folder, 0755);
                if (r < 0)
                        (void)error_set(error, ERROR_IO, -r, "cannot make %s: %s", fetcher.folder,
                                        strerror(-r));
        }
        if (r >= 0)
                r = fetch_all(&fetcher, error);
        if (r >= 0)
                *ret = fetcher.fetched;
        free(fetcher.folder);
        free(fetcher.is_missing);
        free(fetcher.liar_mirror);
        return r;
}
