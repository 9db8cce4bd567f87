/* SPDX-License-Identifier: Apache-2.0 */
#include "cache-gc.h"
#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define ITEMS_MAX 1000000
#define FOLDERS_AT_ONCE 16

/* Something that is removed whole. */
typedef struct Item {
        char *path;
        bool has_lock;     /* PATH.lock */
        bool is_lone_lock; /* and nothing else: goes in any case, and counts for nothing */
        time_t used;
        uint64_t size_bytes;
} Item;

typedef struct Items {
        Item *list;
        size_t count;
} Items;

static void items_done(Items *items)
{
        for (size_t i = 0; i < items->count; i++)
                free(items->list[i].path);
        free(items->list);
        *items = (Items){ 0 };
}

static bool ends_with(const char *text, const char *end)
{
        size_t length = strlen(text), end_length = strlen(end);

        return length > end_length && strcmp(text + length - end_length, end) == 0;
}

static bool is_key(const char *name)
{
        return strlen(name) == SHA256_HEX_SIZE - 1 &&
               strspn(name, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
}

/* nftw() takes no data of its own. */
static _Thread_local uint64_t counted_bytes;

static int count_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
        counted_bytes += (uint64_t)status->st_blocks * 512;
        return 0;
}

static int add(Items *items, char *path, bool has_lock, time_t used)
{
        Item *grown;

        if (items->count >= ITEMS_MAX)
                return -E2BIG;
        grown = reallocarray(items->list, items->count + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        items->list = grown;
        counted_bytes = 0;
        (void)nftw(path, count_one, FOLDERS_AT_ONCE, FTW_PHYS | FTW_MOUNT);
        grown[items->count++] = (Item){
                .path = path, .has_lock = has_lock, .used = used, .size_bytes = counted_bytes
        };
        return 0;
}

/* A lock's file; nothing is done unless it is all that is left, of what was never kept. */
static int add_lone_lock(Items *items, const char *path, time_t used)
{
        _cleanup_free_ char *entry = strndup(path, strlen(path) - strlen(".lock"));
        _cleanup_free_ char *partial = entry ? string_format("%s.partial", entry) : NULL;
        int r;

        if (!partial)
                return -ENOMEM;
        if (access(entry, F_OK) == 0 || access(partial, F_OK) == 0)
                return 0;
        r = add(items, entry, true, used);
        if (r < 0)
                return r;
        items->list[items->count - 1].is_lone_lock = true;
        entry = NULL;
        return 0;
}

/* In a folder of steps: KEY and KEY.partial, each a folder, under KEY.lock; in the others, files. */
static int add_child(Items *items, const char *folder, const char *name)
{
        _cleanup_free_ char *path = path_join(folder, name);
        struct stat status;
        bool is_step;
        int r;

        if (!path)
                return -ENOMEM;
        if (lstat(path, &status) < 0)
                return 0;
        if (ends_with(name, ".lock"))
                return add_lone_lock(items, path, status.st_mtime);
        is_step = S_ISDIR(status.st_mode);
        if (is_step && ends_with(name, ".partial"))
                path[strlen(path) - strlen(".partial")] = 0;
        if (is_step && access(path, F_OK) < 0) {
                /* Only what was begun. */
                r = add(items, path, true, status.st_mtime);
                if (r >= 0)
                        path = NULL;
                return r;
        }
        if (is_step && ends_with(name, ".partial"))
                return 0;
        r = add(items, path, is_step && is_key(name), status.st_mtime);
        if (r >= 0)
                path = NULL;
        return r;
}

static int add_folder(Items *items, const char *folder)
{
        DIR *directory = opendir(folder);
        struct dirent *entry;
        int r = 0;

        if (!directory)
                return errno == ENOTDIR || errno == ENOENT ? 0 : -errno;
        while (r >= 0 && (entry = readdir(directory)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = add_child(items, folder, entry->d_name);
        (void)closedir(directory);
        return r;
}

/* What a killed program left as its scratch folder goes as a whole. */
static int find_items(const char *cache_path, Items *items)
{
        DIR *directory = opendir(cache_path);
        struct dirent *entry;
        int r = 0;

        if (!directory)
                return -errno;
        while (r >= 0 && (entry = readdir(directory))) {
                _cleanup_free_ char *path = NULL;
                struct stat status;

                if (entry->d_name[0] == '.')
                        continue;
                path = path_join(cache_path, entry->d_name);
                if (!path)
                        r = -ENOMEM;
                else if (strncmp(entry->d_name, "scratch-", 8) != 0)
                        r = add_folder(items, path);
                else if (lstat(path, &status) >= 0) {
                        r = add(items, path, false, status.st_mtime);
                        if (r >= 0)
                                path = NULL;
                }
        }
        (void)closedir(directory);
        return r;
}

/* The oldest first. */
static int by_use(const void *a, const void *b)
{
        const Item *left = a, *right = b;

        if (left->used != right->used)
                return left->used < right->used ? -1 : 1;
        return strcmp(left->path, right->path);
}

/* 1 when it was removed, 0 when somebody uses it. The lock's file goes last, and only while it is held. */
static int remove_locked(const Item *item)
{
        _cleanup_free_ char *lock_path = string_format("%s.lock", item->path),
                            *partial = string_format("%s.partial", item->path);
        _cleanup_fd_ int fd = -1;
        struct stat status;
        int r;

        if (!lock_path || !partial)
                return -ENOMEM;
        fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? 0 : -errno;
        /* Who removed it meanwhile may have let another make the entry, under a new lock. */
        if (fstat(fd, &status) < 0 || status.st_nlink == 0 ||
                        (item->is_lone_lock && access(item->path, F_OK) == 0))
                return 0;
        r = tree_remove(AT_FDCWD, item->path);
        if (r >= 0)
                r = tree_remove(AT_FDCWD, partial);
        if (r >= 0 && unlink(lock_path) < 0)
                r = -errno;
        return r < 0 ? r : 1;
}

static int remove_item(const Item *item)
{
        int r;

        if (item->has_lock)
                return remove_locked(item);
        r = tree_remove(AT_FDCWD, item->path);
        return r < 0 ? r : 1;
}

static int sweep(const Items *items, const CacheGcOptions *options, CacheGcReport *report, Error *error)
{
        time_t now = time(NULL);

        for (size_t i = 0; i < items->count; i++) {
                report->kept_bytes += items->list[i].size_bytes;
                report->kept_count += items->list[i].is_lone_lock ? 0 : 1;
        }
        for (size_t i = 0; i < items->count; i++) {
                const Item *item = &items->list[i];
                uint64_t age = item->used < now ? (uint64_t)(now - item->used) : 0;
                int r = 1;

                if (age < CACHE_GC_SPARED_SECONDS ||
                                (!item->is_lone_lock && report->kept_bytes <= options->max_bytes &&
                                                age <= options->max_age_seconds))
                        continue;
                if (!options->dry_run)
                        r = remove_item(item);
                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot remove %s: %s", item->path,
                                        strerror(-r));
                if (r == 0 || item->is_lone_lock)
                        continue;
                report->removed_count++;
                report->removed_bytes += item->size_bytes;
                report->kept_count--;
                report->kept_bytes -= item->size_bytes;
        }
        return 0;
}

int cache_gc(Cache *cache, const CacheGcOptions *options, CacheGcReport *ret, Error *error)
{
        _cleanup_(items_done) Items items = { 0 };
        CacheGcReport report = { 0 };
        int r = find_items(cache_folder(cache), &items);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot look through %s: %s", cache_folder(cache),
                                strerror(-r));
        if (items.count > 0)
                qsort(items.list, items.count, sizeof(*items.list), by_use);
        r = sweep(&items, options, &report, error);
        if (r >= 0)
                *ret = report;
        return r;
}
