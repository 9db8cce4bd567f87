/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The folder of finished build steps. An entry is a folder CACHE/STEP/KEY, and KEY is a hash of all that the
 * step reads, so an entry never changes and never goes stale. Entries are made under another name and
 * renamed when they are complete and on disk. Any number of builds can share one cache: a lock on each entry
 * lets one make it while the others that need it wait. */

#include "error.h"
#include "sha256.h"

/* A file or folder of this machine that is part of a key. */
typedef struct CacheInput {
        char *part; /* what the part was called */
        char *path;
        uint8_t sha256[SHA256_SIZE]; /* of a file's bytes; of a folder as cache_key_add_folder() says */
} CacheInput;

/* What a step's result depends on. Parts are added with a name and their length, so that no two lists of
 * parts give the same bytes. After an allocation failure nothing is hashed and cache_key_finish() says so.
 */
typedef struct CacheKey {
        Sha256 *hash;
        char text[SHA256_HEX_SIZE]; /* after cache_key_finish() */
        /* No part of the key: another one later means that a file or folder was touched meanwhile, also when
         * it is again what it was. */
        uint64_t touched;
        /* Files and folders in the order in which they were added, until cache_key_done(). */
        CacheInput *inputs;
        size_t input_count;
} CacheKey;

void cache_key_begin(CacheKey *key, const char *step);
void cache_key_add(CacheKey *key, const char *name, const void *data, size_t size);
void cache_key_add_text(CacheKey *key, const char *name, const char *text); /* NULL is not "" */
void cache_key_add_number(CacheKey *key, const char *name, uint64_t number);
void cache_key_add_list(CacheKey *key, const char *name, char *const *list);
/* A file of this machine: whether its owner may execute it, which is what tree_import_host() looks at, and
 * the hash of its bytes. */
int cache_key_add_file(CacheKey *key, const char *name, const char *path, Error *error);
/* A folder: the SHA-256 of a text with a record for each name below it, each folder's names in byte order
 * and a folder's record before those of what is in it. A record is a kind, a space, of all but folders a
 * SHA-256 in hexadecimal and a space, the path below the folder, and a NUL byte. Kinds are `f` and, for what
 * its owner may execute, `x`, both with the hash of the file's bytes; `l`, with the hash of a link's target;
 * and `d`. */
int cache_key_add_folder(CacheKey *key, const char *name, const char *path, Error *error);
int cache_key_finish(CacheKey *key, Error *error);
/* Hash of this program: another one may make other bytes of the same. For a part of a key. */
int cache_tool_hash(char ret[static SHA256_HEX_SIZE], Error *error);
void cache_key_done(CacheKey *key);
#define _cleanup_cache_key_ _cleanup_(cache_key_done)

typedef struct Cache Cache;

/* Opens, or makes, a cache. NULL: $XDG_CACHE_HOME/bascule or ~/.cache/bascule. */
int cache_open(const char *folder, Cache **ret, Error *error);
Cache *cache_close(Cache *cache);
DEFINE_CLEANUP(Cache *, cache_close)
#define _cleanup_cache_ _cleanup_(cache_closep)
const char *cache_folder(const Cache *cache);

typedef struct CacheEntry {
        char *path;    /* of the finished entry */
        char *partial; /* empty folder to fill, when it is not there yet */
        int lock_fd;
        bool is_present;
} CacheEntry;
#define CACHE_ENTRY_NONE ((CacheEntry){ .lock_fd = -1 })

/* Locks an entry: shared when it is present, else exclusively, with an empty folder to fill. Waits for other
 * builds that make the same entry. */
int cache_acquire(Cache *cache, const char *step, const CacheKey *key, CacheEntry *ret, Error *error);
/* Flushes what was filled in and gives it its name. */
int cache_commit(CacheEntry *entry, Error *error);
/* Unlocks; what was filled in and not committed is removed. */
void cache_entry_done(CacheEntry *entry);
#define _cleanup_cache_entry_ _cleanup_(cache_entry_done)
/* "ENTRY/name", in the folder to fill while it is not committed; newly allocated, NULL when out of memory.
 */
char *cache_entry_file(const CacheEntry *entry, const char *name);

/* Where the log of a step's programs goes: CACHE/log/NAME.log, emptied. The path is freed by the caller. */
int cache_open_log(Cache *cache, const char *name, int *ret_fd, char **ret_path, Error *error);

/* Whether the file at `path` (outside of the cache) is one that cache_note_placed() was told about under the
 * same key and that nobody has touched since, by size, inode, and times of change. */
bool cache_is_placed(Cache *cache, const char *path, const CacheKey *key);
/* Failure only means that the file will be made again. */
void cache_note_placed(Cache *cache, const char *path, const CacheKey *key);
