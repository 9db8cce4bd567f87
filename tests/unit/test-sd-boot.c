/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"
#include "file.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

static const BootBackend *const backend = &boot_backend_systemd_boot;
static char folder[] = "/tmp/bascule-sd-boot.XXXXXX";
static Esp *mounted;
static int esp = -1;

/* Every test starts from an empty ESP. */
static void start(void)
{
        if (!mounted && mkdtemp(folder) && esp_open_folder(folder, &mounted, NULL) >= 0)
                esp = esp_fd(mounted);
        (void)tree_remove(esp, "EFI");
        (void)directory_make(esp, "EFI/Linux", 0755);
}

static void put(const char *name, const char *text)
{
        _cleanup_free_ char *path = path_join("EFI/Linux", name);

        (void)file_replace(esp, path, text, strlen(text), 0644);
}

/* The entries' names in the loader's order, parted by blanks. */
static const char *names(void)
{
        static char text[4096];
        _cleanup_free_ BootEntry *entries = NULL;
        Error error = { 0 };
        size_t count = 0;

        text[0] = 0;
        if (backend->list(esp, "host", &entries, &count, &error) < 0)
                (void)snprintf(text, sizeof(text), "%s", error.message);
        for (size_t i = 0; i < count; i++)
                (void)snprintf(strchr(text, 0), 300, "%s%s", i ? " " : "", entries[i].file_name);
        return text;
}

static int stage_text(const char *text)
{
        _cleanup_fd_ int fd = -1;
        Error error = { 0 };
        int r = backend->stage(esp, strlen(text), false, &fd, &error);

        return r < 0 ? r : write_full(fd, text, strlen(text));
}

TEST(an_esp_without_folders_has_no_entries)
{
        start();
        (void)tree_remove(esp, "EFI");
        CHECK_STR(names(), "");
}

TEST(entries_come_in_the_order_of_the_loader)
{
        start();
        put("host_1.efi", "x");
        put("host_10+3.efi", "x");
        put("host_9+0-3.efi", "x");
        put("host_2+1-2.efi", "x");
        put("host_2+2-1.efi", "x");
        put("host_11.efi", "");
        put("other_7.efi", "x");
        put("readme.txt", "x");
        CHECK_OK(mkdirat(esp, "EFI/Linux/host_12.efi", 0755));
        CHECK_OK(symlinkat("host_1.efi", esp, "EFI/Linux/host_13.efi"));
        CHECK_STR(names(),
                        "host_10+3.efi host_2+2-1.efi host_2+1-2.efi host_1.efi host_9+0-3.efi host_11.efi");
}

TEST(too_many_entries_are_refused_not_truncated)
{
        start();
        for (unsigned i = 0; i <= BOOT_ENTRIES_MAX; i++) {
                char name[64];

                (void)snprintf(name, sizeof(name), "host_%u.efi", i);
                put(name, "x");
        }
        CHECK(strstr(names(), "more than 64"));
}

TEST(staging_keeps_earlier_bytes_only_to_resume)
{
        _cleanup_fd_ int first = -1, again = -1, shorter = -1, fresh = -1;
        struct stat status;

        start();
        CHECK_OK(backend->stage(esp, 10, false, &first, NULL));
        CHECK_OK(write_full(first, "0123456789", 10));
        CHECK_STR(names(), "");
        CHECK_OK(backend->stage(esp, 10, true, &again, NULL));
        CHECK(fstat(again, &status) >= 0 && status.st_size == 10);
        CHECK_OK(backend->stage(esp, 4, true, &shorter, NULL));
        CHECK(fstat(shorter, &status) >= 0 && status.st_size == 4);
        CHECK_OK(backend->stage(esp, 10, false, &fresh, NULL));
        CHECK(fstat(fresh, &status) >= 0 && status.st_size == 0);
}

TEST(staging_more_than_fits_says_how_much_is_missing)
{
        Error error = { 0 };
        int fd = -1;

        start();
        CHECK_EQ(backend->stage(esp, UINT64_MAX / 2, false, &fd, &error), -ENOSPC);
        CHECK_EQ(error.code, ERROR_NO_SPACE);
        CHECK(strstr(error.message, "lacks"));
        error_clear(&error);
        CHECK_EQ(backend->stage(esp, UINT64_MAX, false, &fd, &error), -ENOSPC);
        CHECK_EQ(fd, -1);
}

TEST(publishing_replaces_the_same_version_only)
{
        char *text;
        size_t size;

        start();
        put("host_1.efi", "x");
        put("host_2+0-3.efi", "x");
        put("host_2.efi", "x");
        CHECK_OK(stage_text("new"));
        CHECK_OK(backend->publish(mounted, "host", "2", 3, NULL));
        CHECK_STR(names(), "host_2+3.efi host_1.efi");
        CHECK_OK(file_read(esp, "EFI/Linux/host_2+3.efi", 100, &text, &size));
        CHECK_STR(text, "new");
        free(text);
}

TEST(publishing_nothing_is_refused_and_changes_nothing)
{
        start();
        put("host_2.efi", "x");
        CHECK_EQ(backend->publish(mounted, "host", "2", 3, NULL), -ENOENT);
        CHECK_OK(stage_text(""));
        CHECK_EQ(backend->publish(mounted, "host", "2", 3, NULL), -ENODATA);
        CHECK_OK(stage_text("x"));
        CHECK_EQ(backend->publish(mounted, "host", "../2", 3, NULL), -EINVAL);
        CHECK_EQ(backend->publish(mounted, "host", "2", 1000000, NULL), -EINVAL);
        CHECK_STR(names(), "host_2.efi");
}

TEST(versions_that_differ_by_case_only_are_refused)
{
        Error error = { 0 };

        start();
        put("host_1.0a.efi", "x");
        CHECK_OK(stage_text("x"));
        CHECK_EQ(backend->publish(mounted, "host", "1.0A", 3, &error), -EEXIST);
        CHECK_EQ(error.code, ERROR_REFUSED);
        CHECK_STR(names(), "host_1.0a.efi");
}

TEST(removing_is_the_same_twice)
{
        start();
        put("host_1.efi", "x");
        put("host_2+3.efi", "x");
        put("host_2+2-1.efi", "");
        CHECK_OK(stage_text("x"));
        for (unsigned i = 0; i < 2; i++) {
                CHECK_OK(backend->remove(esp, "host", "2", NULL));
                CHECK_OK(backend->remove(esp, "host", NULL, NULL));
                CHECK_STR(names(), "host_1.efi");
                CHECK_EQ(faccessat(esp, "EFI/bascule/incoming.efi", F_OK, 0), -1);
        }
        (void)tree_remove(esp, "EFI");
        CHECK_OK(backend->remove(esp, "host", "2", NULL));
        CHECK_OK(backend->remove(esp, "host", NULL, NULL));
}

TEST(blessing_takes_the_counter_away)
{
        start();
        put("host_1+2-1.efi", "x");
        put("host_2.efi", "x");
        for (unsigned i = 0; i < 2; i++) {
                CHECK_OK(backend->bless(mounted, "host", "1", NULL));
                CHECK_STR(names(), "host_2.efi host_1.efi");
        }
        CHECK_EQ(backend->bless(mounted, "host", "3", NULL), -ENOENT);
}

/* After its last try the running entry has none left, and is healthy all the same. */
TEST(blessing_works_on_the_last_try)
{
        start();
        put("host_1+0-3.efi", "x");
        CHECK_OK(backend->bless(mounted, "host", "1", NULL));
        CHECK_STR(names(), "host_1.efi");
}

TEST(blessing_finds_its_way_through_torn_states)
{
        start();
        put("host_1+2-1.efi", "x");
        put("host_1.efi", "");
        CHECK_OK(backend->bless(mounted, "host", "1", NULL));
        CHECK_STR(names(), "host_1.efi");
        put("host_1+2-1.efi", "x");
        CHECK_OK(backend->bless(mounted, "host", "1", NULL));
        CHECK(strstr(names(), "host_1.efi"));
        (void)tree_remove(esp, "EFI/Linux");
        CHECK_EQ(backend->bless(mounted, "host", "1", NULL), -ENOENT);
        CHECK_OK(mkdirat(esp, "EFI/Linux", 0755));
        put("host_1.efi", "");
        CHECK_EQ(backend->bless(mounted, "host", "1", NULL), -ENOENT);
}

TEST(rejected_entries_come_last_and_can_be_retried)
{
        start();
        put("host_1.efi", "x");
        put("host_2.efi", "x");
        for (unsigned i = 0; i < 2; i++) {
                CHECK_OK(backend->reject(mounted, "host", "2", NULL));
                CHECK_STR(names(), "host_1.efi host_2+0-1.efi");
        }
        CHECK_OK(backend->retry(mounted, "host", "2", 3, NULL));
        CHECK_STR(names(), "host_2+3.efi host_1.efi");
        CHECK_EQ(backend->retry(mounted, "host", "3", 3, NULL), -ENOENT);
        CHECK_EQ(backend->reject(mounted, "host", "3", NULL), -ENOENT);
}

TEST(rejecting_leaves_no_entry_of_the_version_to_try)
{
        start();
        put("host_1.efi", "x");
        put("host_2+2-1.efi", "x");
        put("host_2+1-2.efi", "x");
        put("host_2.efi", "x");
        CHECK_OK(backend->reject(mounted, "host", "2", NULL));
        CHECK(strncmp(names(), "host_1.efi host_2+0", 19) == 0);
        (void)tree_remove(esp, "EFI");
        if (rmdir(folder) < 0)
                TEST_FAIL("%s was left behind", folder);
}

TEST_MAIN
