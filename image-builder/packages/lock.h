/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which packages an image is made of, to the byte: RECIPE.lock beside a recipe, or RECIPE.PROFILES.lock for
 * the recipe with profiles. It is made once, by apt's
 * own solver (lock_resolve()), kept under version control with the recipe, and from then on a build installs
 * exactly what it names. Nothing of it is believed but the hashes: packages may come from any mirror or
 * folder.
 *
 * A lock belongs to what the recipe asked for when it was made, which is in it as `request`: a recipe that
 * asks for something else makes it stale, and a stale lock is refused, never quietly renewed.
 *
 * The file is JSON, one package a line, in an order that does not depend on anything but the packages, so
 * that two locks can be compared by any tool (docs/formats-lock.md). It may be hostile: names, versions and
 * paths hold only what Debian's policy allows, a path stays below its mirror, and there are caps on all of
 * it. */

#include "recipe.h"
#include "sha256.h"
#include "sources.h"
#include "tree.h"

#define LOCK_FORMAT 1
#define LOCK_FILE_MAX (16 * MIB)
#define LOCK_PACKAGES_MAX 20000
#define LOCK_SOURCES_MAX 64
#define LOCK_INDEXES_MAX 64
#define LOCK_PACKAGE_BYTES_MAX (4 * GIB)

typedef struct LockPackage {
        char *name, *version, *architecture;
        char *path; /* below the mirror, as in a URL */
        uint64_t size_bytes;
        uint8_t sha256[SHA256_SIZE];
        size_t source; /* which of the lock's sources has it */
} LockPackage;

/* An index of packages that a source's signed file names. */
typedef struct LockIndex {
        char *name; /* "main/binary-amd64/Packages" */
        uint8_t sha256[SHA256_SIZE];
} LockIndex;

typedef struct LockSource {
        char *suite, *mirror;
        int64_t time; /* of the suite's InRelease file, in seconds */
        uint8_t sha256[SHA256_SIZE];
        LockIndex *indexes;
        size_t index_count;
} LockSource;

typedef struct Lock {
        char **request; /* "Key=value" lines, sorted */
        LockSource *sources;
        size_t source_count;
        LockPackage *packages; /* by name, then architecture */
        size_t package_count;
} Lock;

/* What a base gives packages to stand on (base.h). Nothing is owned. */
typedef struct LockBase {
        const char *identity;
        const char *status; /* dpkg's database; only for lock_resolve() */
} LockBase;

Lock *lock_new(void); /* NULL when out of memory */
Lock *lock_free(Lock *lock);
DEFINE_CLEANUP(Lock *, lock_free)
#define _cleanup_lock_ _cleanup_(lock_freep)

/* Sorts what has an order. */
void lock_sort(Lock *lock);
/* The newest time of all sources. */
int64_t lock_time(const Lock *lock);
uint64_t lock_size_bytes(const Lock *lock);
/* "RECIPE.lock", or with profiles "RECIPE.one+other.lock"; newly allocated, NULL when out of memory. */
char *lock_path(const Recipe *recipe);

/* What the choice of packages depends on; `base` may be NULL. -ENOMEM. */
int lock_make_request(const Recipe *recipe, const LockBase *base, char ***ret);
/* -ESTALE with ERROR_REFUSED, naming the first difference, when the lock is not for what the recipe asks. */
int lock_check_request(const Lock *lock, const Recipe *recipe, const LockBase *base, Error *error);

/* ---- lock-file.c ---- */

/* `what` names the text in messages. -EBADMSG with ERROR_CONFIG. */
int lock_parse(const char *text, size_t size, const char *what, Lock **ret, Error *error);
/* Whether its packages are such as a lock may name, each once, once they are sorted: their names become
 * words of commands. -EBADMSG with ERROR_CONFIG. */
int lock_check(const Lock *lock, Error *error);
/* The same lock gives the same text; freed by the caller. -ENOMEM. */
int lock_format(const Lock *lock, char **ret, size_t *ret_size);
/* -ENOENT, with no Error set, when there is none. */
int lock_load(const char *path, Lock **ret, Error *error);
/* Replaces the file in one step. */
int lock_save(const Lock *lock, const char *path, Error *error);

/* ---- lock-resolve.c ---- */

/* Asks apt, in a root of its own below `scratch` (an empty folder), what an image of the recipe consists of.
 * Signatures are checked by apt. Each source's release_sha256 must not be set. ERROR_NETWORK when an archive
 * cannot be reached, ERROR_FAILED with apt's own words when the packages do not fit together. With a base
 * (may be NULL) these are the packages that come to those of the base; `sources` may be NULL when the recipe
 * installs none. */
int lock_resolve(const Recipe *recipe, const LockBase *base, const AptSources *sources, const char *scratch,
                int log_fd, Lock **ret, Error *error);
/* A line of `apt-get install --print-uris`: fills the package and finds its source by its mirror. -EBADMSG;
 * 1 when the line tells of no package. The line may be hostile. */
int lock_parse_uri(const char *line, const Lock *lock, LockPackage *ret);

/* ---- lock-fetch.c ---- */

typedef struct LockFetch {
        const char *cache_folder;  /* packages are kept in its folder "debs" under their hashes */
        const AptSources *sources; /* asked first; NULL: none */
        char *const *fallbacks;    /* further mirrors, asked last */
        int log_fd;
} LockFetch;

typedef struct LockFetched {
        size_t count;        /* packages that were fetched */
        uint64_t size_bytes; /* of those */
} LockFetched;

/* Sees to it that the cache has every package of the lock, whole: what is there is not asked for again, and
 * when all of it is there nothing is asked for at all. ERROR_UNTRUSTED when a mirror gives other bytes than
 * the lock names and no other has them, ERROR_NETWORK when none has the package. */
int lock_fetch(const Lock *lock, const LockFetch *fetch, LockFetched *ret, Error *error);
/* CACHE/debs/HASH.deb, newly allocated; NULL when out of memory. */
char *lock_cached_path(const char *cache_folder, const LockPackage *package);

/* ---- lock-archive.c ---- */

/* Copies a package from the cache to `to`, an empty file that can be read, and hashes it on the way, so that
 * what is used is what was looked at. One that is damaged is taken out of the cache and refused (-EBADMSG,
 * ERROR_CORRUPT), one that calls itself something else is ERROR_UNTRUSTED. Its control archive (deb.h) and
 * the text of "control" in it are the caller's; ret_control may be NULL. */
int lock_take_package(const LockPackage *package, const char *cache_folder, int to, Tree **ret_control,
                char **ret_stanza, Error *error);

/* Fills `folder` with an apt archive of the lock's packages and nothing else, each taken as above. The index
 * says that it belongs to `suite`. */
int lock_make_archive(const Lock *lock, const char *cache_folder, const char *suite, const char *folder,
                Error *error);

/* ---- lock-difference.c ---- */

typedef enum LockChangeKind { LOCK_ADDED, LOCK_REMOVED, LOCK_CHANGED } LockChangeKind;

/* The packages belong to the locks. */
typedef struct LockChange {
        LockChangeKind kind;
        const LockPackage *before, *after; /* NULL: not there */
} LockChange;

/* Changes in the order of names; *ret is freed by the caller, NULL when there are none. `before` may be
 * NULL. A package with other bytes under the same version is a change too. -ENOMEM. */
int lock_compare(const Lock *before, const Lock *after, LockChange **ret, size_t *ret_count);
