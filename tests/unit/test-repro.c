/* SPDX-License-Identifier: Apache-2.0 */
#include "erofs-writer.h"
#include "file.h"
#include "repro.h"
#include "test.h"
#include "tree-archive.h"

#include <fcntl.h>
#include <string.h>

#define NOW 1767323045 /* 2026-01-02 03:04:05 */

static const ReproHints hints = {
        .first_folder = "/scratch/one", .second_folder = "/scratch/two", .begin = NOW - 60, .end = NOW
};

static ReproCause of(const char *a, const char *b)
{
        return repro_classify(a, strlen(a), b, strlen(b), &hints);
}

TEST(a_clock_is_known_by_what_it_shows)
{
        CHECK_EQ(of("built 1767322990\n", "built 1767323040\n"), REPRO_TIME);
        CHECK_EQ(of("# 2026-01-01 23:59\n", "# 2026-01-02 00:01\n"), REPRO_TIME);
        CHECK_EQ(of("at 03:04:05\n", "at 03:05:17\n"), REPRO_TIME);
        CHECK_EQ(repro_classify("x\xf0\x35\x57\x69yy", 7, "x\x25\x36\x57\x69yy", 7, &hints), REPRO_TIME);
        CHECK_EQ(of("serial 1234567890\n", "serial 1234567891\n"), REPRO_RANDOM);
}

TEST(order_path_and_randomness_are_told_apart)
{
        CHECK_EQ(of("a\nb\nc\n", "c\na\nb\n"), REPRO_ORDER);
        CHECK_EQ(of("dir=/scratch/one/x\n", "dir=/scratch/two/x\n"), REPRO_PATH);
        CHECK_EQ(of("7f3a\n", "b012\n"), REPRO_RANDOM);
        CHECK_EQ(of("same", "same and more"), REPRO_RANDOM);
        CHECK_EQ(of("", "x"), REPRO_RANDOM);
}

/* ---- folders ---- */

typedef struct Scene {
        char folder[64], *first, *second;
} Scene;

static void scene_done(Scene *scene)
{
        (void)tree_remove(AT_FDCWD, scene->folder);
        free(scene->first);
        free(scene->second);
}

static void put(const char *folder, const char *name, const char *text)
{
        _cleanup_free_ char *path = path_join(folder, name);

        if (!path || file_replace(AT_FDCWD, path, text, strlen(text), 0644) < 0)
                abort();
}

/* A root image in which a package owns usr/bin/tool, with such a text in it and in a file that none owns. */
static void put_root(const char *folder, const char *tool, const char *cache, mode_t mode)
{
        _cleanup_free_ char *path = path_join(folder, "root.erofs");
        _cleanup_fd_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_erofs_plan_ ErofsPlan *plan = NULL;
        const ErofsOptions options = { .epoch = 1 };

        if (tree_make_text(tree, "usr/bin/tool", tool, mode, NULL) < 0 ||
                        tree_make_text(tree, "usr/lib/cache", cache, 0644, NULL) < 0 ||
                        tree_make_text(tree, "usr/share/bascule/dpkg/status",
                                        "Package: tool\nStatus: install ok installed\nVersion: 1\n"
                                        "Architecture: all\n",
                                        0644, NULL) < 0 ||
                        tree_make_text(tree, "usr/share/bascule/dpkg/info/tool.list", "/.\n/bin/tool\n",
                                        0644, NULL) < 0 ||
                        erofs_plan_new(tree, &options, &plan, NULL) < 0 ||
                        erofs_write(plan, fd, NULL, NULL, NULL) < 0)
                abort();
}

static Scene new_scene(void)
{
        Scene scene = { .folder = "/tmp/bascule-repro-XXXXXX" };

        if (!mkdtemp(scene.folder))
                abort();
        scene.first = path_join(scene.folder, "one");
        scene.second = path_join(scene.folder, "two");
        if (directory_make(AT_FDCWD, scene.first, 0755) < 0 ||
                        directory_make(AT_FDCWD, scene.second, 0755) < 0)
                abort();
        put_root(scene.first, "tool", "cache", 0755);
        put_root(scene.second, "tool", "cache", 0755);
        put(scene.first, "image.json", "{}");
        put(scene.second, "image.json", "{}");
        return scene;
}

TEST(two_folders_of_the_same_are_the_same)
{
        _cleanup_(scene_done) Scene scene = new_scene();
        _cleanup_(repro_report_done) ReproReport report = { 0 };

        CHECK_OK(repro_compare(scene.first, scene.second, &hints, &report, NULL));
        CHECK(report.is_same && report.artifact_count == 2);
        CHECK_STR(report.artifacts[1].file, "root.erofs");
}

TEST(the_first_file_that_differs_is_named_with_its_package)
{
        _cleanup_(scene_done) Scene scene = new_scene();
        _cleanup_(repro_report_done) ReproReport report = { 0 };

        put(scene.second, "image.json", "[]");
        put_root(scene.second, "loot", "made 1767323040", 0755);
        CHECK_OK(repro_compare(scene.first, scene.second, &hints, &report, NULL));
        CHECK(!report.is_same && !report.artifacts[0].is_same);
        CHECK_STR(report.artifact, "root.erofs");
        CHECK_STR(report.path, "usr/bin/tool");
        CHECK_STR(report.package, "tool");
        CHECK_EQ(report.cause, REPRO_ORDER);
}

TEST(what_no_package_owns_is_a_scripts)
{
        _cleanup_(scene_done) Scene scene = new_scene();
        _cleanup_(repro_report_done) ReproReport report = { 0 };

        put_root(scene.first, "tool", "made 1767322990", 0755);
        put_root(scene.second, "tool", "made 1767323040", 0755);
        CHECK_OK(repro_compare(scene.first, scene.second, &hints, &report, NULL));
        CHECK_STR(report.path, "usr/lib/cache");
        CHECK(!report.package);
        CHECK_EQ(report.cause, REPRO_TIME);
}

/* ---- scripts of packages ---- */

typedef struct Script {
        const char *file, *text;
} Script;

/* The folder as a cache in which the packages step left such scripts. */
static void put_cache(const char *folder, const Script *scripts, size_t count)
{
        _cleanup_free_ char *entry = path_join(folder, "packages/0123abcd");
        _cleanup_free_ char *path = string_format("%s/tree.tar", entry);
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_fd_ int fd = -1;

        if (directory_make(AT_FDCWD, entry, 0755) < 0)
                abort();
        put(folder, "packages/0123abcd.lock", "");
        for (size_t i = 0; i < count; i++) {
                _cleanup_free_ char *name = path_join("var/lib/dpkg/info", scripts[i].file);

                if (tree_make_text(tree, name, scripts[i].text, 0755, NULL) < 0)
                        abort();
        }
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0 || tree_write_archive(tree, fd, NULL) < 0)
                abort();
}

/* What a person is told of a path, after a search in that cache and in one that is not there. */
static char *origin(const char *cache, const char *path)
{
        ReproReport report = { .path = (char *)path };
        char *text = NULL;

        if (repro_find_scripts((const char *const[]){ NULL, cache }, path, &report.scripts, NULL) >= 0)
                text = repro_origin_text(&report);
        repro_scripts_done(&report.scripts);
        return text;
}

#define CHECK_ORIGIN(scene, of_path, expected)                                                              \
        do {                                                                                                \
                _cleanup_free_ char *_text = origin((scene).second, of_path);                               \
                CHECK_STR(_text, expected);                                                                 \
        } while (0)

TEST(a_script_is_found_by_the_path_that_it_names)
{
        static const Script scripts[] = {
                { "certs.list", "/etc/ssl/certs/all.crt\n" },
                { "certs.postinst", "#!/bin/sh\ncat x >\"$DPKG_ROOT/etc/ssl/certs/all.crt\"\n" },
                { "near.postinst", "rm -f /etc/ssl/certs/all.crt.old /etc/ssl/certs/all.crt/x "
                                   "/opt/etc/ssl/certs/all.crt" },
                { "shells:amd64.preinst", "f=/bin/shell" },
        };
        _cleanup_(scene_done) Scene scene = new_scene();

        put_cache(scene.second, scripts, ELEMENTS(scripts));
        CHECK_ORIGIN(scene, "etc/ssl/certs/all.crt", "of no package; the postinst of certs names it");
        CHECK_ORIGIN(scene, "usr/bin/shell", "of no package; the preinst of shells names it");
        CHECK_ORIGIN(scene, "usr/bin/shel", "of no package: a script makes it");
        CHECK_ORIGIN(scene, "bin/shell", "of no package; the preinst of shells names it");
        CHECK_ORIGIN(scene, "", "of no package: a script makes it");
}

TEST(the_nearest_folder_is_the_next_best)
{
        static const Script scripts[] = {
                { "far.postinst", "mkdir -p /var/lib/thing\n" },
                { "fonts.triggers", "interest-noawait /usr/share/fonts\n" },
                { "near.postinst", "mkdir -p /var/lib/thing/cache/\n" },
                { "other.postinst", "chmod 0755 /etc /usr/lib /var/lib; touch /var/lib/thing/cached" },
        };
        _cleanup_(scene_done) Scene scene = new_scene();

        put_cache(scene.second, scripts, ELEMENTS(scripts));
        CHECK_ORIGIN(scene, "usr/share/factory/var/lib/thing/cache/a/b",
                        "of no package; the postinst of near names /var/lib/thing/cache");
        CHECK_ORIGIN(scene, "usr/share/factory/var/lib/thing/b",
                        "of no package; the postinst of far, the postinst of near and the postinst of other "
                        "name /var/lib/thing");
        CHECK_ORIGIN(scene, "usr/share/fonts/truetype/index",
                        "of no package; the triggers of fonts name /usr/share/fonts");
        CHECK_ORIGIN(scene, "usr/lib/b", "of no package: a script makes it");
        CHECK_ORIGIN(scene, "etc/b", "of no package: a script makes it");
}

TEST(three_scripts_are_told_the_likeliest_first_and_one_of_a_package)
{
        static const Script scripts[] = {
                { "a.config", "/etc/thing" },
                { "b.config", "/etc/thing" },
                { "b.postinst", "/etc/thing" },
                { "b.preinst", "/etc/thing" },
                { "c.triggers", "/etc/thing" },
                { "d.preinst", "/etc/thing" },
                { "e.postinst", "/etc/thing" },
        };
        _cleanup_(scene_done) Scene scene = new_scene();
        ReproScripts both = { 0 };

        put_cache(scene.first, scripts, 3);
        put_cache(scene.second, scripts, ELEMENTS(scripts));
        CHECK_OK(repro_find_scripts(
                        (const char *const[]){ scene.first, scene.second }, "etc/thing", &both, NULL));
        CHECK_STR(both.named, "/etc/thing");
        CHECK_EQ(both.count, 3);
        CHECK_STR(both.list[0].package, "b");
        CHECK_STR(both.list[0].kind, "postinst");
        CHECK_STR(both.list[1].package, "e");
        CHECK_STR(both.list[2].package, "c");
        repro_scripts_done(&both);
        CHECK_ORIGIN(scene, "etc/thing",
                        "of no package; the postinst of b, the postinst of e and the triggers of c name it");
}

TEST(what_no_package_owns_is_told_with_the_script_that_names_it)
{
        static const Script scripts[] = { { "tool.postinst", "echo made >/usr/lib/cache" } };
        _cleanup_(scene_done) Scene scene = new_scene();
        _cleanup_(repro_report_done) ReproReport report = { 0 };
        ReproHints with_cache = hints;

        put_cache(scene.first, scripts, ELEMENTS(scripts));
        with_cache.first_cache = scene.first;
        put_root(scene.second, "tool", "another", 0755);
        CHECK_OK(repro_compare(scene.first, scene.second, &with_cache, &report, NULL));
        CHECK_EQ(report.scripts.count, 1);
        _cleanup_free_ char *text = repro_origin_text(&report);
        CHECK_STR(text, "of no package; the postinst of tool names it");
        repro_report_done(&report);
        put_root(scene.second, "loot", "cache", 0755);
        CHECK_OK(repro_compare(scene.first, scene.second, &with_cache, &report, NULL));
        CHECK_EQ(report.scripts.count, 0);
        _cleanup_free_ char *owned = repro_origin_text(&report);
        CHECK_STR(owned, "of tool");
}

TEST(a_broken_archive_of_packages_is_an_error)
{
        static const Script scripts[] = { { "tool.postinst", "/usr/lib/cache" } };
        _cleanup_(scene_done) Scene scene = new_scene();
        ReproScripts found = { 0 };

        put_cache(scene.first, scripts, ELEMENTS(scripts));
        put(scene.first, "packages/0123abcd/tree.tar", "no archive");
        CHECK(repro_find_scripts((const char *const[]){ scene.first, NULL }, "usr/lib/cache", &found, NULL) <
                        0);
        CHECK_EQ(found.count, 0);
}

TEST(another_mode_and_a_missing_file_are_told)
{
        _cleanup_(scene_done) Scene scene = new_scene();
        _cleanup_(repro_report_done) ReproReport mode = { 0 }, missing = { 0 };

        put_root(scene.second, "tool", "cache", 0700);
        CHECK_OK(repro_compare(scene.first, scene.second, &hints, &mode, NULL));
        CHECK_EQ(mode.cause, REPRO_ATTRIBUTES);
        put_root(scene.second, "tool", "cache", 0755);
        put(scene.first, "disk.raw", "x");
        CHECK_OK(repro_compare(scene.first, scene.second, &hints, &missing, NULL));
        CHECK_STR(missing.artifact, "disk.raw");
        CHECK_EQ(missing.cause, REPRO_MISSING);
}

TEST_MAIN
