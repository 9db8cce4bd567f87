/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "file.h"
#include "strv.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

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

TEST_MAIN
