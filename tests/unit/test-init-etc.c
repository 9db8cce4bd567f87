/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "init-clone.h"
#include "init-etc.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static char folder[] = "/tmp/bascule-init-etc.XXXXXX";
static int top = -1;

static void start(void)
{
        if (top < 0 && mkdtemp(folder))
                top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)tree_remove(top, "etc");
        (void)directory_make(top, "etc", 0755);
}

static int open_state(void)
{
        return openat(top, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int put(const char *path, const char *text)
{
        return file_replace(top, path, text, strlen(text), 0600);
}

/* Content of a file, or "-". */
static const char *get(const char *path)
{
        static char text[256];
        _cleanup_free_ char *data = NULL;
        size_t size;

        (void)snprintf(text, sizeof(text), "%s", file_read(top, path, 200, &data, &size) < 0 ? "-" : data);
        return text;
}

static int prepare(const char *version)
{
        _cleanup_fd_ int state = open_state();

        return etc_prepare(state, version, NULL);
}

TEST(the_first_release_starts_with_an_empty_layer)
{
        struct stat status;

        start();
        CHECK_OK(prepare("1"));
        CHECK_OK(fstatat(top, "etc/1/upper", &status, 0));
        CHECK_OK(fstatat(top, "etc/1/work", &status, 0));
        CHECK_STR(get("etc/.last"), "1\n");
}

TEST(a_new_release_clones_the_one_booted_last)
{
        start();
        CHECK_OK(prepare("1"));
        CHECK_OK(put("etc/1/upper/file", "one"));
        CHECK_OK(prepare("2"));
        CHECK_OK(put("etc/2/upper/file", "two"));
        CHECK_OK(prepare("1"));
        CHECK_STR(get("etc/1/upper/file"), "one");
        CHECK_OK(prepare("3"));
        CHECK_STR(get("etc/3/upper/file"), "one");
        CHECK_OK(prepare("2"));
        CHECK_STR(get("etc/2/upper/file"), "two");
        CHECK_STR(get("etc/.last"), "2\n");
}

TEST(leftovers_of_a_cut_are_thrown_away)
{
        start();
        CHECK_OK(prepare("1"));
        CHECK_OK(put("etc/1/upper/file", "one"));
        CHECK_OK(directory_make(top, "etc/.2.new/upper", 0755));
        CHECK_OK(put("etc/.2.new/upper/half", "x"));
        CHECK_OK(prepare("2"));
        CHECK_STR(get("etc/2/upper/half"), "-");
        CHECK_STR(get("etc/2/upper/file"), "one");
        /* a layer without its work folder cannot be mounted */
        CHECK_OK(directory_make(top, "etc/3/upper", 0755));
        CHECK_OK(prepare("3"));
        CHECK_STR(get("etc/3/upper/file"), "one");
}

TEST(a_useless_note_of_the_last_release_is_no_obstacle)
{
        static const char *const notes[] = { "", "../../x\n", "9\n", "1/upper\n" };

        for (size_t i = 0; i < ELEMENTS(notes); i++) {
                start();
                CHECK_OK(put("etc/.last", notes[i]));
                CHECK_OK(prepare("2"));
                CHECK_STR(get("etc/.last"), "2\n");
        }
        CHECK_EQ(prepare("../2"), -EINVAL);
        CHECK_EQ(prepare(".last"), -EINVAL);
}

static int clone_ab(void)
{
        _cleanup_fd_ int from = openat(top, "etc/a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_fd_ int to = openat(top, "etc/b", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return clone_tree(from, to, NULL);
}

static void make_ab(void)
{
        start();
        (void)directory_make(top, "etc/a/sub", 0755);
        (void)directory_make(top, "etc/b", 0755);
}

TEST(a_clone_is_like_its_original)
{
        static const struct timespec times[] = { { 100, 5 }, { 200, 6 } };
        struct stat a, b;
        char target[16] = "";

        make_ab();
        CHECK_OK(put("etc/a/sub/file", "text"));
        CHECK_OK(linkat(top, "etc/a/sub/file", top, "etc/a/other", 0));
        CHECK_OK(symlinkat("nowhere", top, "etc/a/link"));
        CHECK_OK(mkfifoat(top, "etc/a/fifo", 0604));
        CHECK_OK(fchmodat(top, "etc/a/sub/file", 04711, 0));
        CHECK_OK(fchmodat(top, "etc/a/sub", 0550, 0));
        CHECK_OK(utimensat(top, "etc/a/sub/file", times, 0));
        CHECK_OK(utimensat(top, "etc/a/sub", times, 0));
        for (unsigned i = 0; i < 2; i++) {
                CHECK_OK(clone_ab());
                CHECK_STR(get("etc/b/sub/file"), "text");
                CHECK_OK(fstatat(top, "etc/b/sub/file", &a, 0));
                CHECK_OK(fstatat(top, "etc/b/other", &b, 0));
                CHECK(a.st_ino == b.st_ino && a.st_nlink == 2 && a.st_mode == (S_IFREG | 04711));
                CHECK(a.st_mtim.tv_sec == 200 && a.st_mtim.tv_nsec == 6);
                CHECK_OK(fstatat(top, "etc/b/sub", &a, 0));
                CHECK(a.st_mode == (S_IFDIR | 0550) && a.st_mtim.tv_sec == 200);
                CHECK_EQ(readlinkat(top, "etc/b/link", target, sizeof(target)), 7);
                CHECK_OK(fstatat(top, "etc/b/fifo", &a, 0));
                CHECK_EQ(a.st_mode, S_IFIFO | 0604);
                CHECK_OK(fchmodat(top, "etc/b/sub", 0750, 0));
        }
        CHECK_OK(fchmodat(top, "etc/a/sub", 0750, 0));
}

/* What an overlay's upper layer holds beside files; needs the rights of init. */
TEST(whiteouts_owners_and_overlay_attributes_go_along)
{
        char path[300], copy[300], value[8];
        struct stat status;

        if (geteuid() != 0)
                return;
        make_ab();
        (void)snprintf(path, sizeof(path), "%s/etc/a/sub", folder);
        (void)snprintf(copy, sizeof(copy), "%s/etc/b/sub", folder);
        CHECK_OK(fchownat(top, "etc/a/sub", 12, 34, 0));
        if (mknodat(top, "etc/a/gone", S_IFCHR, 0) < 0 ||
                        setxattr(path, "trusted.overlay.opaque", "y", 1, 0) < 0 ||
                        setxattr(path, "trusted.overlay.origin", "x", 1, 0) < 0)
                return; /* a sandbox that forbids it */
        CHECK_OK(clone_ab());
        CHECK_OK(fstatat(top, "etc/b/gone", &status, 0));
        CHECK(S_ISCHR(status.st_mode) && status.st_rdev == 0);
        CHECK_OK(fstatat(top, "etc/b/sub", &status, 0));
        CHECK(status.st_uid == 12 && status.st_gid == 34);
        CHECK_EQ(getxattr(copy, "trusted.overlay.opaque", value, sizeof(value)), 1);
        CHECK_EQ(getxattr(copy, "trusted.overlay.origin", value, sizeof(value)), -1);
}

TEST(a_clone_replaces_what_a_cut_left)
{
        make_ab();
        CHECK_OK(put("etc/a/file", "whole"));
        CHECK_OK(put("etc/b/file", "wh"));
        CHECK_OK(put("etc/b/own", "mine"));
        CHECK_OK(clone_ab());
        CHECK_STR(get("etc/b/file"), "whole");
        CHECK_STR(get("etc/b/own"), "mine");
}

TEST(a_tree_that_is_too_deep_is_refused)
{
        char path[1024] = "etc/a";

        make_ab();
        for (unsigned i = 0; i < 70; i++)
                (void)strcat(path, "/d");
        CHECK_OK(directory_make(top, path, 0755));
        CHECK_EQ(clone_ab(), -ENAMETOOLONG);
        (void)tree_remove(top, "etc");
        (void)rmdir(folder);
}

TEST_MAIN
