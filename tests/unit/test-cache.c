/* SPDX-License-Identifier: Apache-2.0 */
#include "cache-gc.h"
#include "cache.h"
#include "file.h"
#include "strv.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static char folder[] = "/tmp/bascule-cache-XXXXXX";

static Cache *open_cache(void)
{
        Cache *cache = NULL;

        if (folder[sizeof(folder) - 2] == 'X' && !mkdtemp(folder))
                abort();
        return cache_open(folder, &cache, NULL) < 0 ? NULL : cache;
}

static void make_key(CacheKey *key, const char *text)
{
        cache_key_begin(key, "step");
        cache_key_add_text(key, "text", text);
        if (cache_key_finish(key, NULL) < 0)
                abort();
}

TEST(parts_do_not_run_together)
{
        _cleanup_cache_key_ CacheKey a = { 0 }, b = { 0 }, c = { 0 };
        _cleanup_strv_ char **list = NULL;

        CHECK_OK(strv_append(&list, "ab"));
        CHECK_OK(strv_append(&list, "c"));
        cache_key_begin(&a, "step");
        cache_key_add_list(&a, "x", list);
        cache_key_begin(&b, "step");
        cache_key_add_text(&b, "x", "a");
        cache_key_add_text(&b, "x", "bc");
        cache_key_begin(&c, "step");
        cache_key_add_text(&c, "x", "ab");
        cache_key_add_text(&c, "x", "c");
        cache_key_add_text(&c, "x", NULL);
        CHECK_OK(cache_key_finish(&a, NULL));
        CHECK_OK(cache_key_finish(&b, NULL));
        CHECK_OK(cache_key_finish(&c, NULL));
        CHECK(strcmp(a.text, b.text) != 0);
        CHECK_STR(a.text, c.text);
}

TEST(a_folder_is_keyed_by_names_modes_and_bytes)
{
        CacheKey keys[5] = { 0 };
        _cleanup_(cache_closep) Cache *cache = open_cache();
        _cleanup_free_ char *content = path_join(folder, "content"), *file = path_join(content, "file");
        _cleanup_free_ char *link_path = path_join(content, "link");

        CHECK(cache && file);
        CHECK_OK(directory_make(AT_FDCWD, content, 0755));
        for (unsigned i = 0; i < ELEMENTS(keys); i++) {
                if (i < 4)
                        CHECK_OK(file_replace(
                                        AT_FDCWD, file, i == 1 ? "two" : "one", 3, i == 2 ? 0755 : 0644));
                if (i == 4)
                        CHECK_EQ(symlink("file", link_path), 0);
                cache_key_begin(&keys[i], "step");
                CHECK_OK(cache_key_add_folder(&keys[i], "f", content, NULL));
                CHECK_OK(cache_key_finish(&keys[i], NULL));
        }
        CHECK(strcmp(keys[0].text, keys[1].text) != 0);
        CHECK(strcmp(keys[0].text, keys[2].text) != 0);
        CHECK_STR(keys[0].text, keys[3].text);
        CHECK(strcmp(keys[0].text, keys[4].text) != 0);
        for (unsigned i = 0; i < ELEMENTS(keys); i++)
                cache_key_done(&keys[i]);
}

static void key_of_file(const char *path, mode_t mode, char ret[static SHA256_HEX_SIZE])
{
        CacheKey key = { 0 };

        cache_key_begin(&key, "step");
        if (chmod(path, mode) < 0 || cache_key_add_file(&key, "f", path, NULL) < 0 ||
                        cache_key_finish(&key, NULL) < 0)
                abort();
        memcpy(ret, key.text, SHA256_HEX_SIZE);
        cache_key_done(&key);
}

/* A tree takes 0755 for what its owner may execute, and 0644 for all else. */
static void add_record(Sha256 *hash, const char *kind, const char *content, const char *path)
{
        char hex[SHA256_HEX_SIZE];

        sha256_update(hash, kind, strlen(kind));
        sha256_update(hash, " ", 1);
        if (content) {
                sha256_hex_of(content, strlen(content), hex);
                sha256_update(hash, hex, strlen(hex));
                sha256_update(hash, " ", 1);
        }
        sha256_update(hash, path, strlen(path) + 1);
}

TEST(a_key_remembers_files_and_folders_with_their_hashes)
{
        _cleanup_cache_key_ CacheKey key = { 0 };
        _cleanup_(cache_closep) Cache *cache = open_cache();
        _cleanup_sha256_ Sha256 *hash = sha256_new();
        _cleanup_free_ char *content = path_join(folder, "remembered"), *file = path_join(content, "b");
        _cleanup_free_ char *inner = path_join(content, "a"), *program = path_join(inner, "run");
        _cleanup_free_ char *link_path = path_join(content, "a-link");
        uint8_t expected[SHA256_SIZE];

        CHECK(cache && hash && file && program && link_path);
        CHECK_OK(directory_make(AT_FDCWD, content, 0755));
        CHECK_OK(directory_make(AT_FDCWD, inner, 0755));
        CHECK_OK(file_replace(AT_FDCWD, file, "bytes", 5, 0644));
        CHECK_OK(file_replace(AT_FDCWD, program, "#!", 2, 0755));
        CHECK_EQ(symlink("b", link_path), 0);
        cache_key_begin(&key, "step");
        CHECK_OK(cache_key_add_file(&key, "one", file, NULL));
        CHECK_OK(cache_key_add_folder(&key, "all", content, NULL));
        CHECK_OK(cache_key_finish(&key, NULL));
        CHECK_EQ(key.input_count, 2);
        CHECK_STR(key.inputs[0].part, "one");
        CHECK_STR(key.inputs[0].path, file);
        sha256_of("bytes", 5, expected);
        CHECK(memcmp(key.inputs[0].sha256, expected, SHA256_SIZE) == 0);
        CHECK_STR(key.inputs[1].path, content);
        add_record(hash, "d", NULL, "a");
        add_record(hash, "x", "#!", "a/run");
        add_record(hash, "l", "b", "a-link");
        add_record(hash, "f", "bytes", "b");
        sha256_finish(hash, expected);
        CHECK(memcmp(key.inputs[1].sha256, expected, SHA256_SIZE) == 0);
        (void)tree_remove(AT_FDCWD, content);
}

TEST(modes_count_as_far_as_the_tree_differs)
{
        _cleanup_(cache_closep) Cache *cache = open_cache();
        _cleanup_free_ char *path = path_join(folder, "file-of-a-mode");
        char plain[SHA256_HEX_SIZE], others[SHA256_HEX_SIZE], program[SHA256_HEX_SIZE], own[SHA256_HEX_SIZE];

        CHECK(cache && path);
        CHECK_OK(file_replace(AT_FDCWD, path, "x", 1, 0644));
        key_of_file(path, 0644, plain);
        key_of_file(path, 0655, others);
        key_of_file(path, 0755, program);
        key_of_file(path, 0744, own);
        CHECK_STR(plain, others);
        CHECK_STR(program, own);
        CHECK(strcmp(plain, program) != 0);
}

TEST(an_entry_is_there_once_committed)
{
        _cleanup_(cache_closep) Cache *cache = open_cache();
        _cleanup_cache_key_ CacheKey key = { 0 };
        _cleanup_cache_entry_ CacheEntry entry = CACHE_ENTRY_NONE, again = CACHE_ENTRY_NONE;
        _cleanup_free_ char *file = NULL, *found = NULL;

        make_key(&key, "committed");
        CHECK_OK(cache_acquire(cache, "step", &key, &entry, NULL));
        CHECK(!entry.is_present);
        file = cache_entry_file(&entry, "data");
        CHECK_OK(file_replace(AT_FDCWD, file, "x", 1, 0644));
        CHECK_OK(cache_commit(&entry, NULL));
        CHECK_OK(cache_acquire(cache, "step", &key, &again, NULL));
        CHECK(again.is_present);
        found = cache_entry_file(&again, "data");
        CHECK_EQ(access(found, R_OK), 0);
}

TEST(an_entry_that_is_given_up_leaves_nothing)
{
        _cleanup_(cache_closep) Cache *cache = open_cache();
        _cleanup_cache_key_ CacheKey key = { 0 };
        _cleanup_cache_entry_ CacheEntry entry = CACHE_ENTRY_NONE;
        _cleanup_free_ char *partial = NULL;

        make_key(&key, "given-up");
        CHECK_OK(cache_acquire(cache, "step", &key, &entry, NULL));
        partial = strdup(entry.partial);
        CHECK_EQ(access(partial, F_OK), 0);
        cache_entry_done(&entry);
        CHECK(access(partial, F_OK) < 0);
        CHECK_OK(cache_acquire(cache, "step", &key, &entry, NULL));
        CHECK(!entry.is_present);
}

/* Makes an entry, slowly, as another process would. */
static int make_slowly(const CacheKey *key, int ready_fd)
{
        Cache *cache = open_cache();
        CacheEntry entry = CACHE_ENTRY_NONE;

        if (cache_acquire(cache, "step", key, &entry, NULL) < 0 || entry.is_present)
                return 1;
        (void)write_full(ready_fd, "x", 1);
        (void)usleep(200000);
        return cache_commit(&entry, NULL) < 0;
}

TEST(a_build_waits_for_another_that_makes_the_same)
{
        _cleanup_(cache_closep) Cache *cache = open_cache();
        _cleanup_cache_key_ CacheKey key = { 0 };
        _cleanup_cache_entry_ CacheEntry entry = CACHE_ENTRY_NONE;
        int ends[2], status = -1;
        char byte;
        pid_t child;

        make_key(&key, "waited-for");
        CHECK_EQ(pipe(ends), 0);
        child = fork();
        if (child == 0)
                _exit(make_slowly(&key, ends[1]));
        CHECK_OK(read_full(ends[0], &byte, 1));
        CHECK_OK(cache_acquire(cache, "step", &key, &entry, NULL));
        CHECK(entry.is_present);
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
}

TEST(a_placed_file_counts_until_it_is_touched)
{
        _cleanup_(cache_closep) Cache *cache = open_cache();
        _cleanup_cache_key_ CacheKey key = { 0 }, other = { 0 };
        _cleanup_free_ char *path = path_join(folder, "placed-file");

        make_key(&key, "placed");
        make_key(&other, "other");
        CHECK_OK(file_replace(AT_FDCWD, path, "abc", 3, 0644));
        CHECK(!cache_is_placed(cache, path, &key));
        cache_note_placed(cache, path, &key);
        CHECK(cache_is_placed(cache, path, &key));
        CHECK(!cache_is_placed(cache, path, &other));
        CHECK_OK(file_replace(AT_FDCWD, path, "abc", 3, 0644));
        CHECK(!cache_is_placed(cache, path, &key));
        (void)tree_remove(AT_FDCWD, folder);
}

/* Makes an entry of 8 KiB that was last used so long ago, and gives its path. */
static char *make_aged(Cache *cache, const char *name, time_t age, CacheEntry *ret)
{
        static const uint8_t data[8192] = { 1 };
        const struct timespec times[2] = { { .tv_sec = time(NULL) - age }, { .tv_sec = time(NULL) - age } };
        _cleanup_cache_key_ CacheKey key = { 0 };
        _cleanup_free_ char *file = NULL;

        make_key(&key, name);
        if (cache_acquire(cache, "aged", &key, ret, NULL) < 0)
                abort();
        file = cache_entry_file(ret, "data");
        if (!file || file_replace(AT_FDCWD, file, data, sizeof(data), 0644) < 0 ||
                        cache_commit(ret, NULL) < 0 || utimensat(AT_FDCWD, ret->path, times, 0) < 0)
                abort();
        return strdup(ret->path);
}

static void set_age(const char *path, time_t age)
{
        const struct timespec times[2] = { { .tv_sec = time(NULL) - age }, { .tv_sec = time(NULL) - age } };

        if (utimensat(AT_FDCWD, path, times, 0) < 0)
                abort();
}

TEST(what_was_used_longest_ago_goes_first)
{
        char place[] = "/tmp/bascule-gc-XXXXXX";
        _cleanup_(cache_closep) Cache *cache = NULL;
        CacheEntry entries[4] = { CACHE_ENTRY_NONE, CACHE_ENTRY_NONE, CACHE_ENTRY_NONE, CACHE_ENTRY_NONE };
        char *paths[4];
        _cleanup_free_ char *lock = NULL, *debs = NULL, *deb = NULL;
        CacheGcOptions options = { .max_bytes = UINT64_MAX, .max_age_seconds = 20 * 86400 };
        CacheGcReport report;

        CHECK(mkdtemp(place) && cache_open(place, &cache, NULL) >= 0);
        paths[0] = make_aged(cache, "oldest", 40 * 86400, &entries[0]);
        paths[1] = make_aged(cache, "old but used now", 30 * 86400, &entries[1]);
        paths[2] = make_aged(cache, "older", 10 * 86400, &entries[2]);
        paths[3] = make_aged(cache, "fresh", 60, &entries[3]);
        cache_entry_done(&entries[0]);
        cache_entry_done(&entries[2]);
        cache_entry_done(&entries[3]);
        debs = path_join(place, "debs");
        deb = path_join(place, "debs/x.deb");
        CHECK(debs && deb && paths[0] && paths[1] && paths[2] && paths[3]);
        CHECK_OK(directory_make(AT_FDCWD, debs, 0755));
        CHECK_OK(file_replace(AT_FDCWD, deb, "deb", 3, 0644));
        set_age(deb, 15 * 86400);

        options.dry_run = true;
        CHECK_OK(cache_gc(cache, &options, &report, NULL));
        CHECK_EQ(report.removed_count, 2); /* as far as one can tell without trying */
        CHECK_EQ(access(paths[0], F_OK), 0);
        options.dry_run = false;
        CHECK_OK(cache_gc(cache, &options, &report, NULL));
        CHECK_EQ(report.removed_count, 1);
        CHECK(access(paths[0], F_OK) < 0 && access(paths[1], F_OK) == 0);
        lock = string_format("%s.lock", paths[0]);
        CHECK(lock && access(lock, F_OK) < 0);

        options = (CacheGcOptions){ .max_bytes = report.kept_bytes - 1, .max_age_seconds = UINT64_MAX };
        CHECK_OK(cache_gc(cache, &options, &report, NULL));
        CHECK(access(deb, F_OK) < 0 && access(paths[2], F_OK) == 0);

        options.max_bytes = 0;
        CHECK_OK(cache_gc(cache, &options, &report, NULL));
        CHECK(access(paths[2], F_OK) < 0 && access(paths[3], F_OK) == 0 && access(paths[1], F_OK) == 0);
        cache_entry_done(&entries[1]);
        for (size_t i = 0; i < ELEMENTS(paths); i++)
                free(paths[i]);
        CHECK_OK(tree_remove(AT_FDCWD, place));
}

TEST_MAIN
