/* SPDX-License-Identifier: Apache-2.0 */
/* What others do to a cache while a build, or cache_gc(), waits for a lock. This program's flock() lets them
 * do it at the moment in question. */
#include "cache-gc.h"
#include "cache.h"
#include "file.h"
#include "test.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* A cache of its own, and where its one entry lies. */
typedef struct Scene {
        char folder[32];
        Cache *cache;
        CacheKey key;
        char *path, *lock;
} Scene;

static Scene scene;
static unsigned lock_calls;
static void (*before_lock)(unsigned call, int operation);

int flock(int fd, int operation)
{
        lock_calls++;
        if (before_lock)
                before_lock(lock_calls, operation);
        return (int)syscall(SYS_flock, fd, operation);
}

static void must(int r)
{
        if (r < 0)
                abort();
}

static void scene_begin(void (*hook)(unsigned call, int operation))
{
        scene = (Scene){ .folder = "/tmp/bascule-lock-XXXXXX" };
        cache_key_begin(&scene.key, "step");
        must(mkdtemp(scene.folder) ? 0 : -1);
        must(cache_key_finish(&scene.key, NULL));
        must(cache_open(scene.folder, &scene.cache, NULL));
        scene.path = string_format("%s/step/%s", scene.folder, scene.key.text);
        scene.lock = string_format("%s/step/%s.lock", scene.folder, scene.key.text);
        must(scene.path && scene.lock ? 0 : -1);
        lock_calls = 0;
        before_lock = hook;
}

static void scene_end(void)
{
        before_lock = NULL;
        cache_close(scene.cache);
        cache_key_done(&scene.key);
        free(scene.path);
        free(scene.lock);
        must(tree_remove(AT_FDCWD, scene.folder));
}

/* What is held is what whoever comes next will find. */
static bool holds_lock(const CacheEntry *entry)
{
        struct stat held, found;

        return fstat(entry->lock_fd, &held) >= 0 && stat(scene.lock, &found) >= 0 &&
               held.st_ino == found.st_ino;
}

static void sweep_at_first(unsigned call, int operation)
{
        if (call == 1)
                must(unlink(scene.lock));
}

TEST(a_lock_that_is_removed_under_a_waiting_build_is_made_anew)
{
        CacheEntry entry = CACHE_ENTRY_NONE;

        scene_begin(sweep_at_first);
        CHECK_OK(cache_acquire(scene.cache, "step", &scene.key, &entry, NULL));
        CHECK(!entry.is_present && access(entry.partial, F_OK) == 0);
        CHECK(holds_lock(&entry));
        cache_entry_done(&entry);
        scene_end();
}

/* Call 1 finds nothing. Before call 2, which waits for who makes it, the entry comes; before call 3, which
 * shares the lock of what is there, it is removed. */
static void make_and_sweep(unsigned call, int operation)
{
        if (call == 2)
                must(mkdir(scene.path, 0755));
        if (call == 3) {
                must(rmdir(scene.path));
                must(unlink(scene.lock));
        }
}

TEST(an_entry_that_is_seen_and_lost_again_is_not_taken_for_finished)
{
        CacheEntry entry = CACHE_ENTRY_NONE;
        char *file;

        scene_begin(make_and_sweep);
        CHECK_OK(cache_acquire(scene.cache, "step", &scene.key, &entry, NULL));
        CHECK(lock_calls > 3);
        CHECK(!entry.is_present && holds_lock(&entry));
        file = cache_entry_file(&entry, "data");
        CHECK(file && strncmp(file, entry.partial, strlen(entry.partial)) == 0);
        CHECK_OK(file_replace(AT_FDCWD, file, "x", 1, 0644));
        CHECK_OK(cache_commit(&entry, NULL));
        CHECK_EQ(access(scene.path, F_OK), 0);
        free(file);
        cache_entry_done(&entry);
        scene_end();
}

/* Another one removes the old entry, and a build makes a new one under a new lock. */
static void sweep_and_make(unsigned call, int operation)
{
        if (operation != (LOCK_EX | LOCK_NB))
                return;
        must(tree_remove(AT_FDCWD, scene.path));
        must(unlink(scene.lock));
        must(mkdir(scene.path, 0755));
        must(file_replace(AT_FDCWD, scene.lock, "", 0, 0644));
}

TEST(an_entry_under_a_new_lock_is_not_removed_by_who_holds_the_old_one)
{
        static const CacheGcOptions all = { .max_bytes = 0, .max_age_seconds = 0 };
        static const struct timespec long_ago[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
        CacheEntry entry = CACHE_ENTRY_NONE;
        CacheGcReport report;

        scene_begin(NULL);
        CHECK_OK(cache_acquire(scene.cache, "step", &scene.key, &entry, NULL));
        CHECK_OK(cache_commit(&entry, NULL));
        cache_entry_done(&entry);
        CHECK_EQ(utimensat(AT_FDCWD, scene.path, long_ago, 0), 0);
        before_lock = sweep_and_make;
        CHECK_OK(cache_gc(scene.cache, &all, &report, NULL));
        CHECK_EQ(report.removed_count, 0);
        CHECK_EQ(access(scene.path, F_OK), 0);
        CHECK_EQ(access(scene.lock, F_OK), 0);

        /* Left alone, it goes. */
        before_lock = NULL;
        CHECK_EQ(utimensat(AT_FDCWD, scene.path, long_ago, 0), 0);
        CHECK_OK(cache_gc(scene.cache, &all, &report, NULL));
        CHECK_EQ(report.removed_count, 1);
        CHECK(access(scene.path, F_OK) < 0 && access(scene.lock, F_OK) < 0);
        scene_end();
}

TEST_MAIN
