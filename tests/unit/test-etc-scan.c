/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "file.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static char folder[] = "/tmp/test-etc-scan.XXXXXX";

__attribute__((constructor)) static void make_folder(void)
{
        if (!mkdtemp(folder))
                abort();
}

__attribute__((destructor)) static void remove_folder(void)
{
        (void)tree_remove(AT_FDCWD, folder);
}

static void put(const char *name, const char *text)
{
        _cleanup_free_ char *path = path_join(folder, name), *parent = strdup(path);

        *strrchr(parent, '/') = 0;
        (void)directory_make(AT_FDCWD, parent, 0755);
        (void)file_replace(AT_FDCWD, path, text, strlen(text), 0644);
}

static int scan(const char *name, bool with_other, EtcReport *ret)
{
        _cleanup_free_ char *base = path_join(folder, name);
        _cleanup_free_ char *upper = path_join(base, "upper"), *lower = path_join(base, "lower");
        _cleanup_free_ char *other = path_join(base, "other");

        return etc_scan(upper, lower, with_other ? other : NULL, ret, NULL);
}

TEST(changes_are_found_and_sorted)
{
        EtcReport report;

        put("a/lower/hosts", "one");
        put("a/lower/same", "same");
        put("a/lower/sub/deep", "deep");
        put("a/upper/hosts", "two");
        put("a/upper/same", "same");
        put("a/upper/new.conf", "new");
        put("a/upper/sub/deep", "deeper");
        CHECK_OK(scan("a", false, &report));
        CHECK_EQ(report.count, 3);
        CHECK(!report.knows_release);
        CHECK_STR(report.entries[0].path, "hosts");
        CHECK_EQ(report.entries[0].change, ETC_CHANGED);
        CHECK_STR(report.entries[1].path, "new.conf");
        CHECK_EQ(report.entries[1].change, ETC_ADDED);
        CHECK_STR(report.entries[2].path, "sub/deep");
        CHECK_EQ(report.entries[2].change, ETC_CHANGED);
        etc_report_done(&report);
}

TEST(changes_of_the_release_are_marked)
{
        EtcReport report;

        put("b/lower/both", "release 2");
        put("b/lower/mine", "release");
        put("b/lower/appeared", "release 2");
        put("b/other/both", "release 1");
        put("b/other/mine", "release");
        put("b/upper/both", "admin");
        put("b/upper/mine", "admin");
        put("b/upper/appeared", "admin");
        CHECK_OK(scan("b", true, &report));
        CHECK_EQ(report.count, 3);
        CHECK(report.knows_release);
        CHECK(report.entries[0].release_changed_too); /* appeared */
        CHECK(report.entries[1].release_changed_too); /* both */
        CHECK(!report.entries[2].release_changed_too);
        etc_report_done(&report);
}

TEST(removals_are_found)
{
        _cleanup_free_ char *whiteout = path_join(folder, "c/upper/gone");
        EtcReport report;

        put("c/lower/gone", "x");
        put("c/upper/.keep", "");
        if (mknod(whiteout, S_IFCHR, makedev(0, 0)) < 0)
                return; /* old kernels want root for it */
        CHECK_OK(scan("c", false, &report));
        CHECK_EQ(report.count, 2);
        CHECK_STR(report.entries[1].path, "gone");
        CHECK_EQ(report.entries[1].change, ETC_REMOVED);
        etc_report_done(&report);
}

TEST(a_folder_that_hides_another_removes_its_files)
{
        _cleanup_free_ char *opaque = path_join(folder, "d/upper/sub");
        EtcReport report;

        put("d/lower/sub/one", "1");
        put("d/lower/sub/two", "2");
        put("d/upper/sub/two", "2");
        if (setxattr(opaque, "user.overlay.opaque", "y", 1, 0) < 0)
                return; /* no such attributes on this filesystem */
        CHECK_OK(scan("d", false, &report));
        CHECK_EQ(report.count, 1);
        CHECK_STR(report.entries[0].path, "sub/one");
        CHECK_EQ(report.entries[0].change, ETC_REMOVED);
        etc_report_done(&report);
}

TEST(a_missing_upper_folder_is_an_error)
{
        EtcReport report;

        CHECK_EQ(scan("none", false, &report), -ENOENT);
}

TEST_MAIN
