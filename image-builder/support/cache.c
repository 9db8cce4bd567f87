/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define NOTE_MAX 512

struct Cache {
        char *folder;
};

static int failed(const char *what, const char *path, int errnum, Error *error)
{
        return error_set(error, errnum == ENOSPC || errnum == EDQUOT ? ERROR_NO_SPACE : ERROR_FAILED, errnum, "cannot %s %s: %s",
                        what, path, strerror(errnum));
}

static char *default_folder(void)
{
        const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

        if (base && base[0] == '/')
                return path_join(base, "bascule");
        return string_format("%s/.cache/bascule", home && home[0] == '/' ? home : "/root");
}

int cache_open(const char *folder, Cache **ret, Error *error)
{
        Cache *cache = calloc(1, sizeof(*cache));
        _cleanup_free_ char *chosen = folder ? strdup(folder) : default_folder();
        int r;

        if (!cache || !chosen) {
                free(cache);
                return error_oom(error);
        }
        r = directory_make(AT_FDCWD, chosen, 0755);
        if (r >= 0)
                cache->folder = realpath(chosen, NULL);
        if (!cache->folder) {
                free(cache);
                return failed("make the cache folder", chosen, r < 0 ? -r : errno, error);
        }
        *ret = cache;
        return 0;
}

Cache *cache_close(Cache *cache)
{
        if (cache)
                free(cache->folder);
        free(cache);
        return NULL;
}

const char *cache_folder(const Cache *cache)
{
        return cache->folder;
}

/* -ESTALE, with no Error set, when the lock was removed with its entry before it could be had. */
static int lock_entry(CacheEntry *entry, int operation, Error *error)
{
        struct stat status;

        while (flock(entry->lock_fd, operation) < 0)
                if (errno != EINTR)
                        return failed("lock", entry->path, errno, error);
        if (fstat(entry->lock_fd, &status) < 0)
                return failed("look at the lock of", entry->path, errno, error);
        return status.st_nlink == 0 ? -ESTALE : 0;
}

/* With the lock shared: whether the entry is there. */
static bool is_there(CacheEntry *entry)
{
        if (access(entry->path, F_OK) < 0)
                return false;
        entry->is_present = true;
        (void)utimensat(AT_FDCWD, entry->path, NULL, 0); /* last use, for whoever cleans up */
        return true;
}

static int prepare(CacheEntry *entry, Error *error)
{
        int r = lock_entry(entry, LOCK_SH, error);

        entry->is_present = false; /* an earlier try may have seen it before it was removed */
        if (r < 0 || is_there(entry))
                return r;
        /* Not atomic: another build may come first, and be done when we get the lock. */
        r = lock_entry(entry, LOCK_EX, error);
        if (r < 0)
                return r;
        if (is_there(entry))
                return lock_entry(entry, LOCK_SH, error);
        /* A build that was killed may have left some of it. */
        r = tree_remove(AT_FDCWD, entry->partial);
        if (r >= 0 && mkdir(entry->partial, 0755) < 0)
                r = -errno;
        return r < 0 ? failed("make", entry->partial, -r, error) : 0;
}

int cache_acquire(Cache *cache, const char *step, const CacheKey *key, CacheEntry *ret, Error *error)
{
        _cleanup_cache_entry_ CacheEntry entry = CACHE_ENTRY_NONE;
        _cleanup_free_ char *folder = path_join(cache->folder, step), *lock_path = NULL;
        int r;

        entry.path = folder ? path_join(folder, key->text) : NULL;
        entry.partial = entry.path ? string_format("%s.partial", entry.path) : NULL;
        lock_path = entry.path ? string_format("%s.lock", entry.path) : NULL;
        if (!entry.partial || !lock_path)
                return error_oom(error);
        r = directory_make(AT_FDCWD, folder, 0755);
        if (r < 0)
                return failed("make", folder, -r, error);
        do {
                entry.lock_fd = fd_close(entry.lock_fd);
                entry.lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
                if (entry.lock_fd < 0)
                        return failed("open", lock_path, errno, error);
                r = prepare(&entry, error);
        } while (r == -ESTALE);
        if (r < 0)
                return r;
        *ret = entry;
        entry = CACHE_ENTRY_NONE;
        return 0;
}

/* Entries hold a handful of files, no folders. */
static int sync_files(const char *folder)
{
        DIR *directory = opendir(folder);
        struct dirent *file;
        int r = 0;

        if (!directory)
                return -errno;
        while (r >= 0 && (file = readdir(directory))) {
                _cleanup_fd_ int fd = -1;

                if (file->d_name[0] == '.')
                        continue;
                fd = openat(dirfd(directory), file->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
                if (fd < 0 || fsync(fd) < 0)
                        r = -errno;
        }
        if (r >= 0 && fsync(dirfd(directory)) < 0)
                r = -errno;
        (void)closedir(directory);
        return r;
}

int cache_commit(CacheEntry *entry, Error *error)
{
        int r = sync_files(entry->partial);

        if (r >= 0 && rename(entry->partial, entry->path) < 0)
                r = -errno;
        if (r < 0)
                return failed("finish", entry->path, -r, error);
        entry->is_present = true;
        (void)flock(entry->lock_fd, LOCK_SH);
        return 0;
}

void cache_entry_done(CacheEntry *entry)
{
        if (entry->lock_fd >= 0 && entry->partial && !entry->is_present)
                (void)tree_remove(AT_FDCWD, entry->partial);
        entry->lock_fd = fd_close(entry->lock_fd);
        free(entry->path);
        free(entry->partial);
        *entry = CACHE_ENTRY_NONE;
}

char *cache_entry_file(const CacheEntry *entry, const char *name)
{
        return path_join(entry->is_present ? entry->path : entry->partial, name);
}

int cache_open_log(Cache *cache, const char *name, int *ret_fd, char **ret_path, Error *error)
{
        _cleanup_free_ char *folder = path_join(cache->folder, "log");
        _cleanup_free_ char *path = folder ? string_format("%s/%s.log", folder, name) : NULL;
        int r, fd;

        if (!path)
                return error_oom(error);
        r = directory_make(AT_FDCWD, folder, 0755);
        if (r < 0)
                return failed("make", folder, -r, error);
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return failed("open", path, errno, error);
        *ret_fd = fd;
        *ret_path = TAKE_PTR(path);
        return 0;
}

/* CACHE/placed/HASH of the path. */
static char *note_path(const Cache *cache, const char *path)
{
        char hash[SHA256_HEX_SIZE];

        sha256_hex_of(path, strlen(path), hash);
        return string_format("%s/placed/%s", cache->folder, hash);
}

/* What must stay the same for a file to count as untouched. */
static int describe(const char *path, const CacheKey *key, char ret[static NOTE_MAX])
{
        struct stat status;

        if (lstat(path, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode))
                return -EINVAL;
        (void)snprintf(ret, NOTE_MAX, "%s %lld %llu %llu %lld.%09ld %lld.%09ld\n", key->text,
                        (long long)status.st_size, (unsigned long long)status.st_dev,
                        (unsigned long long)status.st_ino, (long long)status.st_mtim.tv_sec,
                        status.st_mtim.tv_nsec, (long long)status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
        return 0;
}

bool cache_is_placed(Cache *cache, const char *path, const CacheKey *key)
{
        _cleanup_free_ char *note = note_path(cache, path), *text = NULL;
        char now[NOTE_MAX];
        size_t size;

        if (!note || describe(path, key, now) < 0 || file_read(AT_FDCWD, note, NOTE_MAX, &text, &size) < 0 ||
                        strcmp(text, now) != 0)
                return false;
        (void)utimensat(AT_FDCWD, note, NULL, 0); /* last use */
        return true;
}

void cache_note_placed(Cache *cache, const char *path, const CacheKey *key)
{
        _cleanup_free_ char *note = note_path(cache, path), *folder = path_join(cache->folder, "placed");
        char now[NOTE_MAX];

        if (note && folder && describe(path, key, now) >= 0 && directory_make(AT_FDCWD, folder, 0755) >= 0)
                (void)file_replace(AT_FDCWD, note, now, strlen(now), 0644);
}
