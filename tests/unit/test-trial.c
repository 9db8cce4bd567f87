/* SPDX-License-Identifier: Apache-2.0 */
#include "booted.h"
#include "file.h"
#include "test.h"
#include "trial.h"

#include <fcntl.h>

#define HASH "ff112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef"
#define GOOD                                                                                                \
        "IMAGE_ID=host\nVERSION=1.0\nROOT_HASH=" HASH                                                       \
        "\nDISK=/dev/vda\nSLOT=b\nVAR=volatile\nETC=persistent\nLATER=x\n"

static char folder[] = "/tmp/bascule-trial.XXXXXX";
static int top = -1;

static void start(void)
{
        static const char *const names[] = { "booted", "trial", "trial-failure.json", "EFI" };

        if (top < 0 && mkdtemp(folder))
                top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < ELEMENTS(names); i++)
                (void)tree_remove(top, names[i]);
}

static int put(const char *path, const char *text)
{
        return file_replace(top, path, text, strlen(text), 0644);
}

TEST(the_note_of_the_boot_is_read)
{
        Booted booted;

        start();
        CHECK_OK(put("booted", GOOD));
        CHECK_OK(booted_read(folder, &booted, NULL));
        CHECK_STR(booted.image_id, "host");
        CHECK_STR(booted.version, "1.0");
        CHECK_STR(booted.disk, "/dev/vda");
        CHECK(booted.slot == 'b' && booted.root_hash[0] == 0xff && booted.is_var_volatile &&
                        !booted.is_etc_volatile);
}

TEST(a_machine_that_is_not_ours_is_told_apart)
{
        Error error = { 0 };
        Booted booted;

        start();
        CHECK_EQ(booted_read(folder, &booted, &error), -ENOENT);
        CHECK_EQ(error.code, ERROR_INCOMPATIBLE);
}

TEST(damaged_notes_are_refused)
{
        static const char *const texts[] = { "", "IMAGE_ID=host\n", "x", GOOD "nonsense\n",
                GOOD "VERSION=../1\n", GOOD "IMAGE_ID=\n", GOOD "SLOT=ab\n", GOOD "SLOT=\n",
                GOOD "DISK=/etc/passwd\n", GOOD "DISK=/dev/../x\n", GOOD "ROOT_HASH=12\n",
                GOOD "VAR=maybe\n" };

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                Error error = { 0 };
                Booted booted;

                if (booted_parse(texts[i], &booted, &error) != -EBADMSG || error.code != ERROR_CORRUPT)
                        TEST_FAIL("taken: %s", texts[i]);
        }
}

TEST(blessing_ends_the_trial)
{
        _cleanup_(esp_closep) Esp *esp = NULL;
        Error error = { 0 };

        start();
        CHECK_OK(directory_make(top, "EFI/Linux", 0755));
        CHECK_OK(esp_open_folder(folder, &esp, &error));
        CHECK_OK(put("EFI/Linux/host_1.0+2-1.efi", "x"));
        CHECK(!trial_is_running(folder));
        CHECK_OK(put("trial", "1.0"));
        CHECK(trial_is_running(folder));
        for (unsigned i = 0; i < 2; i++) {
                CHECK_OK(trial_bless(&boot_backend_systemd_boot, esp, "host", "1.0", folder, &error));
                CHECK(!trial_is_running(folder));
                CHECK(faccessat(top, "EFI/Linux/host_1.0.efi", F_OK, 0) >= 0);
        }
}

TEST(a_trial_goes_on_when_the_entry_cannot_be_blessed)
{
        _cleanup_(esp_closep) Esp *esp = NULL;
        Error error = { 0 };

        start();
        CHECK_OK(esp_open_folder(folder, &esp, &error));
        CHECK_OK(put("trial", "1.0"));
        CHECK_EQ(trial_bless(&boot_backend_systemd_boot, esp, "host", "1.0", folder, &error), -ENOENT);
        CHECK(trial_is_running(folder));
}

TEST(a_host_without_another_release_stays_up)
{
        static const struct {
                const char *own, *other;
                bool has_way_out;
        } cases[] = {
                { "host_1.0+0-3.efi", NULL, false },
                { "host_1.0+1-2.efi", NULL, true },
                { "host_1.0+0-3.efi", "host_0.9.efi", true },
                { "host_1.0+0-3.efi", "host_0.9+2-1.efi", true },
                { "host_1.0+0-3.efi", "host_0.9+0-3.efi", false },
                { "host_1.0+0-3.efi", "other_0.9.efi", false },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                const char *names[] = { cases[i].own, cases[i].other };

                start();
                CHECK_OK(directory_make(top, "EFI/Linux", 0755));
                for (size_t j = 0; j < ELEMENTS(names) && names[j]; j++) {
                        _cleanup_free_ char *path = path_join("EFI/Linux", names[j]);

                        CHECK_OK(put(path, "x"));
                }
                CHECK_EQ(trial_has_way_out(&boot_backend_systemd_boot, top, "host"), cases[i].has_way_out);
        }
}

TEST(a_failure_is_kept_until_it_is_cleared)
{
        TrialFailure failure = { "1.0", "It \"broke\"\n\xff and \\burnt", 1234567890123 }, read = { 0 };
        Error error = { 0 };

        start();
        CHECK_EQ(trial_failure_read(folder, &read, &error), -ENOENT);
        CHECK(!error_is_set(&error));
        CHECK_OK(trial_failure_write(folder, &failure, &error));
        CHECK_OK(trial_failure_read(folder, &read, &error));
        CHECK_STR(read.version, "1.0");
        CHECK_STR(read.reason, "It \"broke\"?? and \\burnt");
        CHECK_EQ(read.time_seconds, failure.time_seconds);
        for (unsigned i = 0; i < 2; i++) {
                CHECK_OK(trial_failure_clear(folder));
                CHECK_EQ(trial_failure_read(folder, &read, &error), -ENOENT);
        }
}

TEST(nonsense_in_place_of_a_failure_is_refused)
{
        static const char *const texts[] = { "", "{}", "[]", "{\"version\":\"1\",\"reason\":\"x\"}",
                "{\"version\":\"../1\",\"reason\":\"x\",\"time\":1}",
                "{\"version\":1,\"reason\":\"x\",\"time\":1}" };

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                TrialFailure read;
                Error error = { 0 };

                start();
                CHECK_OK(put("trial-failure.json", texts[i]));
                if (trial_failure_read(folder, &read, &error) >= 0 || !error_is_set(&error))
                        TEST_FAIL("taken: %s", texts[i]);
        }
        start();
        (void)rmdir(folder);
}

TEST_MAIN
