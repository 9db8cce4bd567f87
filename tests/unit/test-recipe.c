/* SPDX-License-Identifier: Apache-2.0 */
#include "budget.h"
#include "own-folder.h"
#include "recipe.h"
#include "strv.h"
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LEAST "[Image]\nId=small\n[Packages]\nSuites=bookworm\n"

/* What is said of a recipe that is refused; "" when it is not. */
static const char *refusal(const char *text)
{
        static Error error;
        _cleanup_recipe_ Recipe *recipe = NULL;

        error = (Error){ 0 };
        put_text("r.conf", text);
        return recipe_load(in_folder("r.conf"), NULL, &recipe, &error) < 0 ? error.message : "";
}

#define CHECK_REFUSED(text, part)                                                                           \
        do {                                                                                                \
                const char *_said = refusal(text);                                                          \
                if (!strstr(_said, part))                                                                   \
                        TEST_FAIL("\"%s\" does not say \"%s\"", _said, part);                               \
        } while (0)

TEST(the_least_recipe_gets_defaults)
{
        _cleanup_recipe_ Recipe *recipe = NULL;
        Error error = { 0 };

        put_text("r.conf", LEAST);
        CHECK_OK(recipe_load(in_folder("r.conf"), NULL, &recipe, &error));
        CHECK_STR(recipe->image_id, "small");
        CHECK_STR(recipe->version, "1");
        CHECK_STR(recipe->architecture, "x86-64");
        CHECK_STR(recipe->areas[0], "main");
        CHECK_EQ(recipe->slot_size_bytes, GIB);
        CHECK(recipe_wants_format(recipe, "raw"));
        CHECK(!recipe_wants_format(recipe, "qcow2"));
}

TEST(a_mistake_names_file_line_and_suggestion)
{
        CHECK_REFUSED(LEAST "[Kernel]\nPakage=x\n",
                        "r.conf:6: unknown key \"Pakage\", did you mean \"Package\"?");
        CHECK_REFUSED(LEAST "[Kernal]\nPackage=x\n",
                        "r.conf:5: unknown section \"Kernal\", did you mean \"Kernel\"?");
        CHECK_REFUSED(LEAST "[Disk]\nFormats=qcow\n", "did you mean \"qcow2\"?");
        CHECK_REFUSED(LEAST "[Disk]\nFormats=instaler\n", "did you mean \"installer\"?");
        CHECK_REFUSED(LEAST "[Users]\nUser=a:grups=x\n",
                        "r.conf:6: User=: unknown option \"grups\" of a user, did you mean \"groups\"?");
}

TEST(what_must_be_there_is_asked_for)
{
        CHECK_REFUSED("[Packages]\nSuites=bookworm\n", "[Image] Id= is missing");
        CHECK_REFUSED("[Image]\nId=small\n", "[Packages] Suites= is missing");
        CHECK_REFUSED(LEAST "[Update]\nRepository=https://example.com\n", "needs TrustedRoot=");
}

TEST(values_are_checked)
{
        CHECK_REFUSED(LEAST "[Image]\nId=Big\n", "Id=: \"Big\"");
        CHECK_REFUSED(LEAST "[Image]\nVersion=1+2\n", "version \"1+2\"");
        CHECK_REFUSED(LEAST "[Image]\nArchitecture=x86_64\n", "did you mean \"x86-64\"?");
        CHECK_REFUSED(LEAST "[Image]\nEpoch=tomorrow\n", "Epoch=: \"tomorrow\"");
        CHECK_REFUSED(LEAST "Install=good; rm\n", "\"good;\" is not a package name");
        CHECK_REFUSED(LEAST "Install=$(id)\n", "is not a package name");
        CHECK_REFUSED(LEAST "Mirror=http://x/'y\n", "is not a URL");
        CHECK_REFUSED(LEAST "FallbackMirrors=-x http://y/\n", "mirror \"-x\" is not a URL");
        CHECK_REFUSED(LEAST "[Budget]\nLayout=old:512M\n", "is not of the form NAME:SLOTSIZE:ESPSIZE");
        CHECK_REFUSED(LEAST "[Budget]\nLayout=old:big:160M\n", "is not of the form NAME:SLOTSIZE:ESPSIZE");
        CHECK_REFUSED(LEAST "[Disk]\nSlotSize=1\n", "SlotSize= must be a multiple of 1M");
        CHECK_REFUSED(LEAST "[Kernel]\nCommandLine=root=/dev/sda\n", "is decided by the builder");
        CHECK_REFUSED(LEAST "[Content]\nFile=r.conf\n", "is not of the form SOURCE:PATH");
        CHECK_REFUSED(LEAST "[Content]\nFile=r.conf:etc/x\n", "is not a path in the image");
        CHECK_REFUSED(LEAST "[Content]\nFile=r.conf:/etc/../x\n", "is not a path in the image");
        CHECK_REFUSED(LEAST "[Content]\nFile=r.conf:/etc/x:999\n", "is not an octal mode");
        CHECK_REFUSED(LEAST "[Content]\nFile=nothing:/etc/x\n", "cannot find");
        CHECK_REFUSED(LEAST "[Users]\nSshKey=nobody2 ssh-ed25519 AAAA\n", "no User=nobody2 before");
        CHECK_REFUSED(LEAST "[Users]\nSshKey=root -----BEGIN OPENSSH PRIVATE KEY-----\n", "private key");
        CHECK_REFUSED(LEAST "[Users]\nPasswordHash=root secret\n", "not the password");
        CHECK_REFUSED(LEAST "[Users]\nGroup=web:abc\n", "\"web:abc\" is not a group");
        CHECK_REFUSED(LEAST "[Users]\nGroup=ok:5 web:0\n", "\"web:0\" is not a group");
        CHECK_REFUSED(LEAST "[Users]\nGroup=web:\n", "is not a group");
        CHECK_REFUSED(LEAST "[Users]\nGroup=:5\n", "is not a group");
        CHECK_REFUSED(LEAST "[Users]\nGroup=web:5:6\n", "is not a group");
        CHECK_REFUSED(LEAST "[Users]\nGroup=web:60001\n", "with a GID from 1 to 60000");
        CHECK_REFUSED(LEAST "[Users]\nGroup=web:70000000000\n", "is not a group");
        CHECK_REFUSED(LEAST "[Users]\nGroup=web:99999999999999999999\n", "is not a group");
        CHECK_STR(refusal(LEAST "[Users]\nGroup=web web-2:60000\n"), "");
        CHECK_REFUSED(LEAST "[Services]\nEnable=a.service\nMask=a.service\n", "is in both");
        CHECK_REFUSED(LEAST "[Recipe]\nInclude=nothing.conf\n", "cannot find");
}

/* What a release of such sizes is told, with a budget; "" when it fits. */
static const char *over_budget(const char *text, uint64_t root, uint64_t uki)
{
        static Error error;
        _cleanup_recipe_ Recipe *recipe = NULL;

        error = (Error){ 0 };
        put_text("r.conf", text);
        if (recipe_load(in_folder("r.conf"), NULL, &recipe, &error) < 0)
                return error.message;
        return budget_check(recipe, root, uki, "the biggest packages are x 1 B", &error) < 0 ? error.message
                                                                                             : "";
}

TEST(a_release_must_fit_what_is_in_the_field)
{
        static const char text[] = LEAST
                        "[Disk]\nSlotSize=512M\n[Budget]\nLayout=old:256M:100M new:512M:160M\nReserve=16M\n";

        CHECK_STR(over_budget(text, 240 * MIB, 40 * MIB), "");
        CHECK_STR(over_budget(text, 241 * MIB, 40 * MIB),
                        "the release does not fit the layout old: root image and reserve need a slot of "
                        "257.0 MiB, "
                        "which has 256.0 MiB, 1.0 MiB too little; the biggest packages are x 1 B");
        CHECK(strstr(over_budget(text, 500 * MIB, 1 * MIB), "does not fit SlotSize="));
        CHECK(strstr(over_budget(text, 1 * MIB, 60 * MIB),
                        "does not fit the layout old: two kernel images"));
        CHECK(strstr(over_budget(text, 1 * MIB, 60 * MIB), "; the biggest packages are x 1 B"));
        CHECK_STR(over_budget(LEAST, 1 * MIB, 60 * MIB), "");
}

TEST(a_budget_tells_slot_and_esp_apart)
{
        _cleanup_recipe_ Recipe *recipe = NULL;

        put_text("r.conf", LEAST "[Budget]\nLayout=old:256M:100M\n");
        CHECK_OK(recipe_load(in_folder("r.conf"), NULL, &recipe, NULL));
        CHECK_EQ(budget_check(recipe, 300 * MIB, 60 * MIB, NULL, NULL), -ENOSPC);
        CHECK_EQ(budget_check(recipe, 200 * MIB, 60 * MIB, NULL, NULL), -EFBIG);
        CHECK_OK(budget_check(recipe, 200 * MIB, 40 * MIB, NULL, NULL));
}

TEST(the_parts_of_a_kernel_image_are_named_with_their_growth)
{
        static const BudgetKernel now = { 14 * MIB, 45 * MIB }, before = { 12 * MIB, 46 * MIB };
        char text[BUDGET_KERNEL_TEXT_MAX];

        budget_describe_kernel(&now, NULL, text);
        CHECK_STR(text, "in each of them the kernel takes 14.0 MiB and the initrd 45.0 MiB");
        budget_describe_kernel(&now, &before, text);
        CHECK_STR(text, "in each of them the kernel takes 14.0 MiB and the initrd 45.0 MiB; since the "
                        "previous release the kernel grew by 2.0 MiB and the initrd shrank by 1.0 MiB");
        budget_describe_kernel(&now, &now, text);
        CHECK(strstr(text, "the kernel stayed as it was and the initrd stayed as it was"));
}

TEST(a_recipe_that_includes_itself_is_refused)
{
        CHECK_REFUSED(LEAST "[Recipe]\nInclude=r.conf\n",
                        "files include each other without end: r.conf -> r.conf; take one");
}

TEST(a_loop_of_recipes_is_named_file_by_file)
{
        char name[16], text[64];

        (void)mkdir(in_folder("parts"), 0755);
        put_text("a.conf", "[Recipe]\nInclude=parts/b.conf\n");
        put_text("parts/b.conf", "[Recipe]\nInclude=../a.conf\n");
        CHECK_REFUSED(LEAST "[Recipe]\nInclude=a.conf\n",
                        "files include each other without end: a.conf -> parts/b.conf -> a.conf; take one "
                        "of these Include= lines out");
        (void)tree_remove(AT_FDCWD, in_folder("parts"));
        /* No loop, but nobody could follow it. */
        for (int i = 1; i <= 9; i++) {
                (void)snprintf(name, sizeof(name), "%d.conf", i);
                (void)snprintf(text, sizeof(text), "[Recipe]\n%sInclude=%d.conf\n", i < 9 ? "" : "#", i + 1);
                put_text(name, text);
        }
        CHECK_REFUSED(LEAST "[Recipe]\nInclude=1.conf\n",
                        "files include each other more than 8 deep: r.conf -> 1.conf -> 2.conf -> 3.conf");
        CHECK_STR(refusal(LEAST "[Recipe]\nInclude=3.conf\nInclude=9.conf\nInclude=9.conf\n"), "");
}

/* What is said of a second setting. */
static const char *said_of(const char *setting)
{
        static Error error;
        char good[] = "Image.Hostname=set", *bad = strdup(setting), *settings[] = { good, bad, NULL };
        _cleanup_recipe_ Recipe *recipe = NULL;
        int r;

        error = (Error){ 0 };
        put_text("r.conf", LEAST);
        r = recipe_load(in_folder("r.conf"), &(RecipeOptions){ .settings = settings }, &recipe, &error);
        free(bad);
        return r < 0 ? error.message : "";
}

TEST(a_setting_with_a_mistake_is_named)
{
        static const char *const cases[][2] = {
                { "Kernel.ComandLine=quiet",
                                "--set Kernel.ComandLine=quiet: unknown key \"ComandLine\", did you "
                                "mean \"CommandLine\"?" },
                { "Kernl.CommandLine=quiet",
                                "--set Kernl.CommandLine=quiet: unknown section \"Kernl\", did you "
                                "mean \"Kernel\"?" },
                { "Nothing.Like=it", "--set Nothing.Like=it: unknown section \"Nothing\"; bascule-recipe(5) "
                                     "lists "
                                     "what there is" },
                { "Image.Xyzzyplugh=1",
                                "--set Image.Xyzzyplugh=1: unknown key \"Xyzzyplugh\"; bascule-recipe(5) "
                                "lists what there is" },
                { "Content.File=no/such/file:/x",
                                "--set Content.File=no/such/file:/x: File=: cannot find ./no/such/"
                                "file: No such file or directory" },
                { "Kernel", "--set takes Section.Key=VALUE, such as Kernel.CommandLine=quiet, not "
                            "\"Kernel\"" },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                CHECK_STR(said_of(cases[i][0]), cases[i][1]);
        CHECK(strncmp(said_of("Disk.SlotSize=much"), "--set Disk.SlotSize=much: SlotSize=: ", 37) == 0);
}

TEST(includes_dropins_and_settings_come_in_this_order)
{
        _cleanup_recipe_ Recipe *recipe = NULL;
        _cleanup_strv_ char **settings = NULL;
        Error error = { 0 };

        put_text("base.conf", LEAST "Install=one\n[Image]\nHostname=base\n");
        put_text("r.conf", "[Recipe]\nInclude=base.conf\n[Packages]\nInstall=two\n[Image]\nHostname=own\n");
        (void)mkdir(in_folder("r.conf.d"), 0755);
        put_text("r.conf.d/20-b.conf", "[Packages]\nInstall=four\nSuites=trixie sid\n");
        put_text("r.conf.d/10-a.conf", "[Packages]\nInstall=three\n");
        put_text("r.conf.d/readme", "not read");
        CHECK_OK(strv_append(&settings, "Packages.Install=five"));
        CHECK_OK(strv_append(&settings, "Image.Hostname=set"));
        CHECK_OK(recipe_load(in_folder("r.conf"), &(RecipeOptions){ .settings = settings, .version = "7.1" },
                        &recipe, &error));
        CHECK_EQ(strv_length(recipe->packages), 5);
        CHECK_STR(recipe->packages[0], "one");
        CHECK_STR(recipe->packages[2], "three");
        CHECK_STR(recipe->packages[4], "five");
        CHECK_STR(recipe->hostname, "set");
        CHECK_STR(recipe->version, "7.1");
        CHECK_EQ(strv_length(recipe->suites), 2);
        (void)tree_remove(AT_FDCWD, in_folder("r.conf.d"));
}

TEST(users_and_files_are_read)
{
        _cleanup_recipe_ Recipe *recipe = NULL;
        Error error = { 0 };

        put_text("keys.pub", "# ours\nssh-ed25519 AAAA a@b\necdsa-sha2-nistp256 BBBB c@d\n");
        put_text("r.conf", LEAST
                        "[Users]\nUser=ada:uid=1200:groups=sudo,adm:shell=/bin/sh:subids\nSshKeyFile=ada "
                        "keys.pub\n"
                        "PasswordHash=root $6$x$y\n[Content]\nFile=keys.pub:/etc/keys:0600:ada\nLink=/a:b\n"
                        "Directory=/srv/x:0750:root:adm\n[Image]\nEpoch=2026-01-31\n");
        CHECK_OK(recipe_load(in_folder("r.conf"), NULL, &recipe, &error));
        CHECK_EQ(recipe->user_count, 2);
        CHECK_EQ(recipe->users[0].uid, 1200);
        CHECK(recipe->users[0].subordinate_ids);
        CHECK_EQ(strv_length(recipe->users[0].groups), 2);
        CHECK_EQ(strv_length(recipe->users[0].ssh_keys), 2);
        CHECK_STR(recipe->users[1].password_hash, "$6$x$y");
        CHECK_EQ(recipe->files[0].mode, 0600);
        CHECK_STR(recipe->files[0].group, "ada");
        CHECK_STR(recipe->files[0].source, in_folder("keys.pub"));
        CHECK_STR(recipe->nodes[0].target, "b");
        CHECK_EQ(recipe->nodes[1].mode, 0750);
        CHECK_EQ(recipe->epoch, 1769817600);
}

/* What is said of the recipe with a profile; "" when it is there. */
static const char *with_profile(char *name)
{
        static Error error;
        _cleanup_recipe_ Recipe *recipe = NULL;
        char *names[] = { name, NULL };

        error = (Error){ 0 };
        return recipe_load(in_folder("r.conf"), &(RecipeOptions){ .profiles = names }, &recipe, &error) < 0
                               ? error.message
                               : "";
}

TEST(profiles_come_after_dropins_in_the_order_asked_for)
{
        _cleanup_recipe_ Recipe *recipe = NULL, *other = NULL;
        char debug[] = "debug", big[] = "big", *profiles[] = { debug, big, debug, NULL };
        char setting[] = "Image.Hostname=set", *settings[] = { setting, NULL };
        Error error = { 0 };

        put_text("r.conf", LEAST "Install=one\n[Image]\nHostname=own\n");
        (void)mkdir(in_folder("r.conf.d"), 0755);
        (void)mkdir(in_folder("r.conf.profiles"), 0755);
        put_text("r.conf.d/10-a.conf", "[Packages]\nInstall=two\n[Kernel]\nCommandLine=quiet\n");
        put_text("r.conf.profiles/debug.conf", "[Packages]\nInstall=three\n[Kernel]\nCommandLine=\n"
                                               "[Image]\nHostname=debug\n[Disk]\nSlotSize=2G\n");
        put_text("r.conf.profiles/big.conf", "[Packages]\nInstall=four\n[Disk]\nSlotSize=4G\n");
        CHECK_OK(recipe_load(in_folder("r.conf"),
                        &(RecipeOptions){ .profiles = profiles, .settings = settings }, &recipe, &error));
        CHECK_EQ(strv_length(recipe->packages), 4); /* a profile that is named twice is read once */
        CHECK_STR(recipe->packages[2], "three");
        CHECK_STR(recipe->packages[3], "four");
        CHECK_EQ(strv_length(recipe->command_line), 0);
        CHECK_EQ(recipe->slot_size_bytes, 4 * GIB);
        CHECK_STR(recipe->hostname, "set");
        CHECK_EQ(strv_length(recipe->profiles), 2);
        CHECK_OK(recipe_load(in_folder("r.conf"), NULL, &other, &error));
        CHECK_EQ(strv_length(other->packages), 2); /* nobody asked for one */
        CHECK_EQ(strv_length(other->profiles), 0);
        (void)tree_remove(AT_FDCWD, in_folder("r.conf.d"));
        (void)tree_remove(AT_FDCWD, in_folder("r.conf.profiles"));
}

TEST(a_profile_that_is_not_there_is_told_with_a_suggestion)
{
        char wrong[] = "debgu", far[] = "zzzzzzzz", above[] = "../r", empty[] = "", dotted[] = "debug.conf",
             good[] = "debug";

        put_text("r.conf", LEAST);
        CHECK(strstr(with_profile(good), "the recipe has none; they would be files NAME.conf in "));
        (void)mkdir(in_folder("r.conf.profiles"), 0755);
        put_text("r.conf.profiles/debug.conf", "[Packages]\nInstall=three\n");
        put_text("r.conf.profiles/big.conf", "[Disk]\nSlotSiz=4G\n");
        CHECK_STR(with_profile(good), "");
        CHECK_STR(with_profile(wrong), "there is no profile \"debgu\", did you mean \"debug\"?");
        CHECK_STR(with_profile(far), "there is no profile \"zzzzzzzz\"; there are big, debug");
        CHECK(strstr(with_profile(above), "there is no profile \"../r\""));
        CHECK(strstr(with_profile(empty), "there is no profile \"\""));
        CHECK(strstr(with_profile(dotted), "there is no profile \"debug.conf\""));
        CHECK(strstr(with_profile(strcpy(good, "big")), "r.conf.profiles/big.conf:2: unknown key"));
        (void)tree_remove(AT_FDCWD, in_folder("r.conf.profiles"));
}

TEST(a_shown_recipe_means_the_same)
{
        _cleanup_recipe_ Recipe *first = NULL, *second = NULL;
        _cleanup_free_ char *shown = NULL, *again = NULL;
        Error error = { 0 };

        put_text("keys.pub", "ssh-ed25519 AAAA a@b\n");
        put_text("r.conf", LEAST "Install=a b\n[Users]\nUser=ada:groups=sudo:system\nSshKeyFile=ada "
                                 "keys.pub\n[Kernel]\n"
                                 "CommandLine=quiet "
                                 "panic=5\nRootModules=veth kernel/net/*\n[Disk]\nFormats=raw vhd\n"
                                 "[Budget]\nReserve=1500K\n[Content]\nFile=keys.pub:/etc/keys\n"
                                 "Script=keys.pub\nBase=oci:keys.pub:v1\nRemove=usr/share/"
                                 "x*\nRemovePackages=perl-base\n");
        CHECK_OK(recipe_load(in_folder("r.conf"), NULL, &first, &error));
        CHECK_OK(recipe_format(first, &shown));
        CHECK(strstr(shown, "RemovePackages=perl-base\n") && strstr(shown, "RootModules=kernel/net/*\n"));
        CHECK(strstr(shown, "\nFormats=raw vhd\n") && strstr(shown, "\nReserve=1536000\n"));
        put_text("shown.conf", shown);
        CHECK_OK(recipe_load(in_folder("shown.conf"), NULL, &second, &error));
        CHECK_OK(recipe_format(second, &again));
        CHECK_STR(shown, again);
}

TEST_MAIN
