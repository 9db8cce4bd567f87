/* SPDX-License-Identifier: Apache-2.0 */
#include "own-folder.h"
#include "recipe.h"
#include "strv.h"
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LEAST "[Image]\nId=small\n[Packages]\nSuites=bookworm\n"

static void make_folder(const char *name)
{
        if (directory_make(AT_FDCWD, in_folder(name), 0755) < 0)
                abort();
}

/* The recipe of the folder host, with the settings. */
static Recipe *load(char *const *settings)
{
        char big[] = "big", *profiles[] = { big, NULL };
        Recipe *recipe = NULL;
        Error error = { 0 };

        if (recipe_load(in_folder("host/r.conf"),
                            &(RecipeOptions){ .profiles = profiles, .settings = settings }, &recipe,
                            &error) < 0)
                printf("# %s\n", error.message);
        return recipe;
}

static void make_recipe(void)
{
        char text[512];

        make_folder("host");
        make_folder("host/r.conf.d");
        make_folder("host/r.conf.profiles");
        make_folder("host/content");
        make_folder("shared");
        make_folder("elsewhere");
        put_text("shared/base.conf", LEAST "[Content]\nFile=motd:/etc/motd\n");
        put_text("shared/motd", "hello");
        put_text("elsewhere/part.conf", "[Content]\nFile=./own:/etc/own\n");
        put_text("elsewhere/own", "own");
        put_text("host/content/file", "x");
        put_text("host/r.conf.profiles/big.conf", "[Disk]\nSlotSize=2G\n");
        put_text("host/keys.pub", "ssh-ed25519 AAAA a@b\n");
        put_text("host/r.conf.d/10-a.conf", "[Content]\nTree=../content:/opt\n");
        (void)snprintf(text, sizeof(text),
                        "[Recipe]\nInclude=.//../shared/base.conf\nInclude=%s\n[Users]\nSshKeyFile=root "
                        "keys.pub\n",
                        in_folder("elsewhere/part.conf"));
        put_text("host/r.conf", text);
}

TEST(texts_are_known_with_their_hashes_in_the_order_of_reading)
{
        static const char *const names[] = { "r.conf", "../shared/base.conf", "part.conf", "keys.pub",
                "r.conf.d/10-a.conf", "r.conf.profiles/big.conf" };
        _cleanup_recipe_ Recipe *recipe = NULL;
        uint8_t hash[SHA256_SIZE];
        size_t count = 0;

        make_recipe();
        recipe = load(NULL);
        CHECK(recipe);
        for (size_t i = 0; i < recipe->input_count; i++)
                if (recipe->inputs[i].is_text) {
                        CHECK(count < ELEMENTS(names));
                        CHECK_STR(recipe->inputs[i].name, names[count++]);
                }
        CHECK_EQ(count, ELEMENTS(names));
        sha256_of("ssh-ed25519 AAAA a@b\n", 21, hash);
        for (size_t i = 0; i < recipe->input_count; i++)
                if (strcmp(recipe->inputs[i].name, "keys.pub") == 0)
                        CHECK(memcmp(recipe->inputs[i].sha256, hash, SHA256_SIZE) == 0);
}

TEST(names_tell_nothing_of_the_machine)
{
        _cleanup_recipe_ Recipe *recipe = NULL;

        make_recipe();
        recipe = load(NULL);
        CHECK(recipe);
        CHECK_STR(recipe_input_name(recipe, in_folder("shared/motd")), "../shared/motd");
        CHECK_STR(recipe_input_name(recipe, in_folder("elsewhere/own")), "own");
        CHECK_STR(recipe_input_name(recipe, in_folder("host/content")), "content");
        CHECK_STR(recipe_input_name(recipe, "/somewhere/else"), "else");
        for (size_t i = 0; i < recipe->input_count; i++)
                CHECK(!strstr(recipe->inputs[i].name, in_folder("")));
}

TEST(settings_are_told_without_paths_and_secrets)
{
        static const char *const told[] = { "Kernel.CommandLine=quiet", "Content.File=own:/etc/own2",
                "Content.File=content/file:/etc/file", "SecureBoot.Key", "Users. PasswordHash ",
                "Packages.FallbackMirrors=http://m.example/a@b https://n.example/" };
        _cleanup_strv_ char **settings = NULL;
        _cleanup_recipe_ Recipe *recipe = NULL;
        char text[256];

        make_recipe();
        CHECK_OK(strv_append(&settings, told[0]));
        (void)snprintf(text, sizeof(text), "Content.File=%s:/etc/own2", in_folder("elsewhere/own"));
        CHECK_OK(strv_append(&settings, text));
        (void)snprintf(text, sizeof(text), "Content.File=%s:/etc/file", in_folder("host/content/file"));
        CHECK_OK(strv_append(&settings, text));
        CHECK_OK(strv_append(&settings, "SecureBoot.Key=pkcs11:object=db?pin-value=1234"));
        CHECK_OK(strv_append(&settings, "Users. PasswordHash = root $6$x$y"));
        CHECK_OK(strv_append(&settings, "Packages.FallbackMirrors=http://me:secret@m.example/a@b "
                                        "https://n.example/"));
        recipe = load(settings);
        CHECK(recipe);
        CHECK_EQ(strv_length(recipe->settings), ELEMENTS(told));
        for (size_t i = 0; i < ELEMENTS(told); i++)
                CHECK_STR(recipe->settings[i], told[i]);
}

TEST_MAIN
