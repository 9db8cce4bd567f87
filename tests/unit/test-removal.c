/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "compose.h"
#include "elf-needs.h"
#include "module-index.h"
#include "removal.h"
#include "root-modules.h"
#include "test.h"

#include <elf.h>
#include <string.h>

#define ELF_SIZE 512
#define KERNEL "6.1.0-test"
#define MODULES "usr/lib/modules/" KERNEL

/* A program that needs one library and an interpreter; either may be "". */
static void make_elf(const char *library, const char *interpreter, uint8_t elf[static ELF_SIZE])
{
        const uint32_t types[] = { PT_LOAD, PT_DYNAMIC, PT_INTERP };
        const uint64_t offsets[] = { 0, 256, 400 }, sizes[] = { ELF_SIZE, 48, 100 };

        memset(elf, 0, ELF_SIZE);
        memcpy(elf, "\177ELF\2\1\1", 7);
        write_le64(elf + 32, 64);
        write_le16(elf + 54, 56);
        write_le16(elf + 56, *interpreter ? 3 : 2);
        for (size_t i = 0; i < 3; i++) {
                write_le32(elf + 64 + i * 56, types[i]);
                write_le64(elf + 64 + i * 56 + 8, offsets[i]);
                write_le64(elf + 64 + i * 56 + 16, 0x1000 + offsets[i]);
                write_le64(elf + 64 + i * 56 + 32, sizes[i]);
        }
        write_le64(elf + 256, *library ? DT_NEEDED : DT_NULL);
        write_le64(elf + 264, 1);
        write_le64(elf + 272, DT_STRTAB);
        write_le64(elf + 280, 0x1000 + 320);
        (void)snprintf((char *)elf + 321, 64, "%s", library);
        (void)snprintf((char *)elf + 400, 100, "%s", interpreter);
}

static void put(Tree *tree, const char *path, const char *text)
{
        if (tree_make_text(tree, path, text, 0755, NULL) < 0)
                abort();
}

static void put_elf(Tree *tree, const char *path, const char *library, const char *interpreter)
{
        uint8_t elf[ELF_SIZE];

        make_elf(library, interpreter, elf);
        if (tree_make_file(tree, path, elf, sizeof(elf), 0755, NULL, NULL) < 0)
                abort();
}

static void link_to(Tree *tree, const char *path, const char *target)
{
        if (tree_make_symlink(tree, path, target, NULL, NULL) < 0)
                abort();
}

/* A merged /usr with a program, its library, scripts, units and four kernel modules. */
static Tree *scene(void)
{
        Tree *tree = tree_new();

        if (!tree)
                abort();
        link_to(tree, "bin", "usr/bin");
        link_to(tree, "lib", "usr/lib");
        put(tree, "usr/lib/libgood.so.1.2", "x");
        link_to(tree, "usr/lib/libgood.so.1", "libgood.so.1.2");
        put(tree, "usr/lib/ld.so", "x");
        put_elf(tree, "usr/bin/app", "libgood.so.1", "/lib/ld.so");
        put_elf(tree, "usr/bin/stranger", "libnever.so.9", "");
        put(tree, "usr/bin/perl", "x");
        link_to(tree, "usr/bin/perl5", "perl");
        link_to(tree, "etc/mtab", "../proc/self/mounts");
        put(tree, "usr/share/doc/app/README", "x");
        put(tree, "usr/share/doc/other/README", "x");
        put(tree, "usr/lib/systemd/system/app.service",
                        "[Service]\nExecStartPre=-/usr/bin/may-fail\nExecStart=!/bin/app --x\n");
        put(tree, "usr/lib/systemd/system/multi-user.target", "");
        link_to(tree, "etc/systemd/system/a.wants/app.service", "/usr/lib/systemd/system/app.service");
        put(tree, MODULES "/kernel/fs/a.ko", "x");
        put(tree, MODULES "/kernel/fs/b-b.ko", "x");
        put(tree, MODULES "/kernel/net/c.ko", "x");
        for (size_t i = 0; i < 5; i++) {
                static const char *const needed[] = { "dm-verity", "erofs", "overlay", "ext4", "efivarfs" };
                char path[128];

                (void)snprintf(path, sizeof(path), MODULES "/kernel/base/%s.ko", needed[i]);
                put(tree, path, "x");
        }
        put(tree, MODULES "/modules.dep",
                        "kernel/base/dm-verity.ko:\nkernel/base/erofs.ko:\nkernel/base/overlay.ko:\n"
                        "kernel/base/ext4.ko:\nkernel/base/efivarfs.ko:\n"
                        "kernel/fs/a.ko: kernel/fs/b-b.ko\nkernel/fs/b-b.ko:\nkernel/net/c.ko:\n");
        put(tree, MODULES "/modules.alias", "# Aliases.\nalias fs-a a\nalias net-pf-[1-2]-x c\n");
        put(tree, MODULES "/modules.alias.bin", "old");
        put(tree, MODULES "/modules.softdep", "# Soft.\nsoftdep c pre: a\n");
        put(tree, MODULES "/modules.order", "kernel/fs/a.ko\nkernel/fs/b-b.ko\nkernel/net/c.ko\n");
        return tree;
}

static Recipe recipe_with(char **units, char **modules, char **root_modules)
{
        return (Recipe){ .enabled_units = units,
                .modules = modules,
                .root_modules = root_modules,
                .default_target = (char *)"multi-user.target" };
}

/* What is said of removing a pattern from a tree; "" when nothing is. */
static const char *refusal(Tree *tree, const char *const *patterns, const Recipe *recipe)
{
        static Error error;
        TreeKernel kernel = { .release = (char *)KERNEL, .modules_path = (char *)MODULES };
        _cleanup_(removal_done) Removal removal = { 0 };
        int r;

        error = (Error){ 0 };
        r = removal_begin(&removal, tree, &error);
        for (; r >= 0 && *patterns; patterns++)
                r = removal_drop_glob(&removal, *patterns, &error);
        if (r >= 0)
                r = root_modules_keep(&removal, &kernel, recipe, &error);
        if (r >= 0)
                r = root_modules_refresh(&removal, &kernel, recipe, &error);
        if (r >= 0)
                r = removal_finish(&removal, recipe, &error);
        return r < 0 ? error.message : "";
}

#define PATTERNS(...)                                                                                       \
        (const char *const[])                                                                               \
        {                                                                                                   \
                __VA_ARGS__, NULL                                                                           \
        }

/* Removing a pattern from a fresh scene says a text. */
#define CHECK_REMOVING(recipe, text, ...)                                                                   \
        do {                                                                                                \
                _cleanup_tree_ Tree *_tree = scene();                                                       \
                CHECK_STR(refusal(_tree, PATTERNS(__VA_ARGS__), recipe), text);                             \
        } while (0)

TEST(what_a_pattern_matches_goes_and_nothing_else)
{
        _cleanup_tree_ Tree *tree = scene();
        Recipe recipe = recipe_with(NULL, NULL, NULL);

        CHECK_STR(refusal(tree, PATTERNS("/usr/share/doc/a*", "/lib/systemd/system/app.service"), &recipe),
                        "");
        CHECK(!tree_lookup(tree, "usr/share/doc/app"));
        CHECK(tree_lookup(tree, "usr/share/doc/other/README"));
        CHECK(!tree_lookup(tree, "usr/lib/systemd/system/app.service"));
}

TEST(links_to_what_went_go_and_links_that_led_nowhere_stay)
{
        _cleanup_tree_ Tree *tree = scene();
        Recipe recipe = recipe_with(NULL, NULL, NULL);

        CHECK_STR(refusal(tree, PATTERNS("/usr/bin/perl"), &recipe), "");
        CHECK(!tree_lookup(tree, "usr/bin/perl5"));
        CHECK(tree_lookup(tree, "etc/mtab"));
}

TEST(links_may_lead_a_pattern_back_into_what_goes)
{
        _cleanup_tree_ Tree *tree = scene(), *other = scene();
        Recipe recipe = recipe_with(NULL, NULL, NULL);

        link_to(tree, "usr/share/zz", ".");
        link_to(tree, "usr/share/zzz", "../share");
        CHECK_STR(refusal(tree, PATTERNS("/usr/share/*/doc"), &recipe), "");
        CHECK(!tree_lookup(tree, "usr/share/doc"));
        CHECK(tree_lookup(tree, "usr/share/zz"));
        link_to(other, "usr/share/back", "..");
        CHECK_STR(refusal(other, PATTERNS("/usr/*/back/share"), &recipe), "");
        CHECK(!tree_lookup(other, "usr/share"));
        CHECK(tree_lookup(other, "usr/lib"));
}

TEST(a_pattern_that_matches_nothing_is_refused)
{
        Recipe recipe = recipe_with(NULL, NULL, NULL);

        CHECK_REMOVING(&recipe,
                        "Remove=/usr/share/dog matches nothing in the image: correct the pattern, or leave "
                        "it "
                        "out",
                        "/usr/share/dog");
        CHECK_REMOVING(&recipe, "Remove=/ would remove everything", "/");
}

TEST(a_library_that_a_program_needs_cannot_go_alone)
{
        Recipe recipe = recipe_with(NULL, NULL, NULL);

        CHECK_REMOVING(&recipe,
                        "/usr/bin/app needs the library libgood.so.1, which Remove=/usr/lib/libgood.so.1.2 "
                        "removes: leave that out of the recipe, or remove /usr/bin/app too",
                        "/usr/lib/libgood.so.1.2");
        CHECK_REMOVING(&recipe,
                        "/usr/bin/app needs the interpreter /lib/ld.so, which Remove=/usr/lib/ld* removes: "
                        "leave that out of the recipe, or remove /usr/bin/app too",
                        "/usr/lib/ld*");
        CHECK_REMOVING(&recipe, "", "/usr/lib/libgood*", "/usr/bin/app", "/usr/lib/systemd/system/app*");
}

TEST(an_interpreter_that_a_script_needs_cannot_go_alone)
{
        static const char *const beginnings[] = { "#!/usr/bin/perl -w\n", "#! /bin/perl5\n",
                "#!/usr/bin/env perl\n", "#!/usr/bin/env -S perl -w\n" };
        Recipe recipe = recipe_with(NULL, NULL, NULL);

        for (size_t i = 0; i < ELEMENTS(beginnings); i++) {
                _cleanup_tree_ Tree *tree = scene();
                const char *said;

                put(tree, "usr/bin/env", "x");
                put(tree, "usr/bin/script", beginnings[i]);
                said = refusal(tree, PATTERNS("/usr/bin/perl"), &recipe);
                if (strncmp(said, "/usr/bin/script is a script for ", 32) != 0 ||
                                !strstr(said, "Remove=/usr/bin/perl removes"))
                        TEST_FAIL("%s: \"%s\"", beginnings[i], said);
        }
        _cleanup_tree_ Tree *tree = scene();
        CHECK_OK(tree_make_text(tree, "usr/share/example.pl", "#!/usr/bin/perl\n", 0644, NULL));
        CHECK_STR(refusal(tree, PATTERNS("/usr/bin/perl"), &recipe), "");
}

TEST(a_program_that_a_unit_runs_cannot_go_alone)
{
        Recipe recipe = recipe_with(NULL, NULL, NULL);

        CHECK_REMOVING(&recipe,
                        "/usr/lib/systemd/system/app.service runs /bin/app, which Remove=/usr/bin/app "
                        "removes: leave that out of the recipe, or remove "
                        "/usr/lib/systemd/system/app.service "
                        "too",
                        "/usr/bin/app");
}

TEST(what_the_recipe_enables_cannot_go)
{
        char *units[] = { (char *)"app", NULL };
        Recipe recipe = recipe_with(units, NULL, NULL);
        RecipeUser user = { .name = (char *)"ada", .shell = (char *)"/bin/perl" };

        CHECK_REMOVING(&recipe,
                        "Enable=app needs /usr/lib/systemd/system/app.service, which "
                        "Remove=/usr/lib/systemd/system/app.* removes: leave one of them out of the recipe",
                        "/usr/lib/systemd/system/app.*");
        recipe = recipe_with(NULL, NULL, NULL);
        CHECK_REMOVING(&recipe,
                        "DefaultTarget=multi-user.target needs /usr/lib/systemd/system/multi-user.target, "
                        "which Remove=/usr/lib/systemd/system/multi* removes: leave one of them out of the "
                        "recipe",
                        "/usr/lib/systemd/system/multi*");
        recipe.users = &user;
        recipe.user_count = 1;
        CHECK_REMOVING(&recipe,
                        "User=ada has the shell /bin/perl, which Remove=/usr/bin/perl removes: leave one of "
                        "them out of the recipe",
                        "/usr/bin/perl");
}

/* ---- packages ---- */

#define INFO "var/lib/dpkg/info/"

static Tree *packages_scene(void)
{
        Tree *tree = scene();

        put(tree, "var/lib/dpkg/status",
                        "Package: perl\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n"
                        "Package: perl-doc\nStatus: install ok installed\nVersion: 1\nArchitecture: "
                        "amd64\n\n"
                        "Package: app\nStatus: install ok installed\nVersion: 2\nArchitecture: amd64\n\n");
        put(tree, INFO "perl:amd64.list",
                        "/.\n/bin\n/usr\n/usr/bin\n/bin/perl\n/usr/share\n/usr/share/perl\n"
                        "/usr/share/perl/x\n/usr/share/doc\n/usr/share/doc/other\n");
        put(tree, INFO "perl:amd64.postinst", "#!/bin/sh\n");
        put(tree, INFO "perl-doc.list", "/.\n/usr\n/usr/share\n/usr/share/doc\n");
        put(tree, INFO "app.list", "/.\n/bin\n/usr\n/usr/bin\n/usr/bin/app\n");
        put(tree, "usr/share/perl/x", "x");
        return tree;
}

static const char *refusal_of_package(Tree *tree, const char *name)
{
        static Error error;
        _cleanup_(removal_done) Removal removal = { 0 };
        char *names[] = { (char *)name, NULL };
        Recipe recipe = recipe_with(NULL, NULL, NULL);
        int r;

        error = (Error){ 0 };
        r = removal_begin(&removal, tree, &error);
        if (r >= 0)
                r = removal_drop_packages(&removal, names, &error);
        if (r >= 0)
                r = removal_finish(&removal, &recipe, &error);
        return r < 0 ? error.message : "";
}

TEST(a_package_goes_with_its_entries_and_what_others_have_stays)
{
        _cleanup_tree_ Tree *tree = packages_scene();
        ComposePackage *packages = NULL;
        _cleanup_free_ char *status = NULL;
        size_t count;

        CHECK_STR(refusal_of_package(tree, "perl"), "");
        CHECK(!tree_lookup(tree, "usr/bin/perl") && !tree_lookup(tree, "usr/bin/perl5"));
        CHECK(!tree_lookup(tree, "usr/share/perl"));
        CHECK(tree_lookup(tree, "usr/share/doc/other/README"));
        CHECK(tree_lookup(tree, "bin"));
        CHECK(!tree_lookup(tree, INFO "perl:amd64.list") && !tree_lookup(tree, INFO "perl:amd64.postinst"));
        CHECK(tree_lookup(tree, INFO "perl-doc.list"));
        CHECK_OK(tree_read_file(tree, "var/lib/dpkg/status", 4096, &status, NULL));
        CHECK_OK(compose_parse_packages(status, &packages, &count, NULL));
        CHECK_EQ(count, 2);
        CHECK_STR(packages[0].name, "app");
        CHECK_STR(packages[1].name, "perl-doc");
        compose_free_packages(packages, count);
}

TEST(a_list_may_name_the_database_that_it_lies_in)
{
        _cleanup_tree_ Tree *tree = packages_scene();
        _cleanup_free_ char *status = NULL;

        put(tree, INFO "perl:amd64.list",
                        "/var/lib/dpkg/info\n/" INFO "app.list\n/" INFO "perl-doc.list\n/" INFO
                        "perl:amd64.list\n/" INFO "perl:amd64.postinst\n");
        CHECK_STR(refusal_of_package(tree, "perl"), "");
        CHECK(!tree_lookup(tree, "var/lib/dpkg/info"));
        CHECK_OK(tree_read_file(tree, "var/lib/dpkg/status", 4096, &status, NULL));
        CHECK(!strstr(status, "Package: perl\n"));
}

TEST(a_package_that_is_needed_or_not_there_is_told)
{
        _cleanup_tree_ Tree *tree = packages_scene(), *other = packages_scene();

        CHECK_STR(refusal_of_package(tree, "pearl"),
                        "RemovePackages=pearl: no such package is installed; correct the name, or leave it "
                        "out");
        CHECK(strstr(refusal_of_package(other, "app"), "app.service runs /bin/app, which RemovePackages=app "
                                                       "removes"));
}

/* ---- modules ---- */

static char *text_of(Tree *tree, const char *path, size_t *ret_size)
{
        char *text = NULL;

        return tree_read_file(tree, path, 65536, &text, ret_size) < 0 ? NULL : text;
}

TEST(modules_that_are_not_kept_leave_the_indexes_too)
{
        _cleanup_tree_ Tree *tree = scene();
        char *keep[] = { (char *)"kernel/net", NULL };
        Recipe recipe = recipe_with(NULL, NULL, keep);
        CHECK_STR(refusal(tree, PATTERNS("/usr/share/doc"), &recipe), "");
        /* c asks for a softly, and a needs b_b. */
        CHECK(tree_lookup(tree, MODULES "/kernel/fs/b-b.ko"));
        _cleanup_free_ char *whole = text_of(tree, MODULES "/modules.alias.bin", NULL);
        CHECK_STR(whole, "old");
        keep[0] = (char *)"b-*";
        CHECK_STR(refusal(tree, PATTERNS("/usr/bin/perl"), &recipe), "");
        CHECK(tree_lookup(tree, MODULES "/kernel/fs/b-b.ko"));
        CHECK(!tree_lookup(tree, MODULES "/kernel/fs/a.ko"));
        CHECK(!tree_lookup(tree, MODULES "/kernel/net/c.ko"));
        CHECK(tree_lookup(tree, MODULES "/kernel/base/erofs.ko"));
        _cleanup_free_ char *dep = text_of(tree, MODULES "/modules.dep", NULL);
        _cleanup_free_ char *alias = text_of(tree, MODULES "/modules.alias", NULL);
        _cleanup_free_ char *soft = text_of(tree, MODULES "/modules.softdep", NULL);
        _cleanup_free_ char *order = text_of(tree, MODULES "/modules.order", NULL);
        CHECK_STR(strstr(dep, "kernel/fs"), "kernel/fs/b-b.ko:\n");
        CHECK_STR(alias, "# Aliases.\n");
        CHECK_STR(soft, "# Soft.\n");
        CHECK_STR(order, "kernel/fs/b-b.ko\n");
}

TEST(a_module_that_is_needed_cannot_go)
{
        char *modules[] = { (char *)"c", NULL }, *unknown[] = { (char *)"kernel/sound", NULL };
        Recipe recipe = recipe_with(NULL, NULL, NULL);

        CHECK_REMOVING(&recipe,
                        "/" MODULES "/kernel/fs/a.ko needs /" MODULES "/kernel/fs/b-b.ko, which "
                        "Remove=/usr/lib/modules/*/kernel/fs/b* removes: leave that out of the recipe",
                        "/usr/lib/modules/*/kernel/fs/b*");
        recipe = recipe_with(NULL, modules, NULL);
        CHECK_REMOVING(&recipe,
                        "the initrd needs /" MODULES "/kernel/net/c.ko, which "
                        "Remove=/usr/lib/modules/*/kernel/net removes: leave that out of the recipe",
                        "/usr/lib/modules/*/kernel/net");
        recipe = recipe_with(NULL, NULL, unknown);
        CHECK_REMOVING(&recipe,
                        "RootModules=kernel/sound matches no module of the kernel " KERNEL
                        ": correct the pattern, or leave it out",
                        "/usr/bin/perl");
}

/* A file that libkmod reads: nodes follow their children, references carry what a node has. */
TEST(an_index_has_the_bytes_of_depmod)
{
        static const uint8_t expected[] = "\xb0\x07\xf4\x57\0\2\0\1\x20\0\0\x33" /* root: at 51, children */
                                          "\0\0\0\2\0\0\0\1w\0\0\0\0\2x\0"       /* 12: "ab" */
                                          "de\0\0\0\0\1\0\0\0\3y\0"              /* 28: "ac", prefix "de" */
                                          "bc\x40\0\0\x0c\xc0\0\0\x1c"           /* 41: "a" */
                                          "aa\x20\0\0\x29";                      /* 51 */
        _cleanup_module_index_ ModuleIndex *index = module_index_new();
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(4096);

        CHECK_OK(module_index_add(index, "acde", "y", 3));
        CHECK_OK(module_index_add(index, "ab", "x", 2));
        CHECK_OK(module_index_add(index, "ab", "w", 1));
        CHECK_EQ(module_index_add(index, "\xc3\xa4", "x", 1), -EINVAL);
        CHECK_OK(module_index_write(index, &out));
        CHECK_EQ(out.size, sizeof(expected) - 1);
        CHECK_MEM(out.data, expected, sizeof(expected) - 1);
}

TEST_MAIN
