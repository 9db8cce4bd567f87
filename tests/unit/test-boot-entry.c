/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"
#include "efivar.h"
#include "test.h"

TEST(names_of_entries_come_apart_and_together)
{
        static const struct {
                const char *name, *version;
                bool is_counted;
                unsigned left, done;
        } cases[] = {
                { "host_1.0.efi", "1.0", false, 0, 0 },
                { "host_1.0+3.efi", "1.0", true, 3, 0 },
                { "host_1.0-2~rc1+2-1.efi", "1.0-2~rc1", true, 2, 1 },
                { "host_20240101+0-3.efi", "20240101", true, 0, 3 },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                BootEntry entry;
                char name[256];

                CHECK_OK(boot_entry_parse_name(cases[i].name, &entry));
                CHECK_STR(entry.image_id, "host");
                CHECK_STR(entry.version, cases[i].version);
                CHECK_STR(entry.file_name, cases[i].name);
                CHECK_EQ(entry.is_counted, cases[i].is_counted);
                CHECK_EQ(entry.tries_left, cases[i].left);
                CHECK_EQ(entry.tries_done, cases[i].done);
                CHECK_OK(boot_entry_format_name(&entry, name));
                CHECK_STR(name, cases[i].name);
        }
}

TEST(hostile_names_are_not_entries)
{
        static const char *const names[] = { "", ".efi", "_.efi", "host.efi", "host_.efi", "_1.efi",
                "host_1", "host_1.conf", "host_1+.efi", "host_1+a.efi", "host_1+3-.efi", "host_1+3-1-1.efi",
                "host_1+-1.efi", "host_1+3+2.efi", "host_1+1234567.efi", "host_1+3-1234567.efi",
                "host_1_2.efi", "Host_1.efi", "host_../x.efi", "host_1/2.efi", "host_1\n.efi",
                "host_\xff.efi", "host_1+3 .efi", "host_1 +3.efi" };
        char long_name[400];
        BootEntry entry;

        for (size_t i = 0; i < ELEMENTS(names); i++)
                if (boot_entry_parse_name(names[i], &entry) != -EINVAL)
                        TEST_FAIL("\"%s\" was taken", names[i]);
        memset(long_name, '1', sizeof(long_name));
        memcpy(long_name, "host_", 5);
        memcpy(long_name + 5 + VERSION_MAX, ".efi", 5);
        CHECK_OK(boot_entry_parse_name(long_name, &entry));
        memcpy(long_name + 5 + VERSION_MAX, "1.efi", 6);
        CHECK_EQ(boot_entry_parse_name(long_name, &entry), -EINVAL);
        memset(long_name, '1', sizeof(long_name));
        memcpy(long_name + sizeof(long_name) - 5, ".efi", 5);
        CHECK_EQ(boot_entry_parse_name(long_name, &entry), -EINVAL);
}

TEST(loader_variables_decode_only_when_plain)
{
        static const uint8_t good[] = { 6, 0, 0, 0, 'a', 0, 'b', 0, 0, 0 };
        static const uint8_t wide[] = { 6, 0, 0, 0, 'a', 1 };
        static const uint8_t inner_nul[] = { 6, 0, 0, 0, 'a', 0, 0, 0, 'b', 0 };
        _cleanup_free_ char *text = NULL, *empty = NULL, *other = NULL;

        CHECK_OK(efivar_decode(good, sizeof(good), &text));
        CHECK_STR(text, "ab");
        CHECK_OK(efivar_decode(good, 4, &empty));
        CHECK_STR(empty, "");
        CHECK_EQ(efivar_decode(good, 3, &other), -EBADMSG);
        CHECK_EQ(efivar_decode(good, 5, &other), -EBADMSG);
        CHECK_EQ(efivar_decode(wide, sizeof(wide), &other), -EBADMSG);
        CHECK_EQ(efivar_decode(inner_nul, sizeof(inner_nul), &other), -EBADMSG);
        CHECK_EQ(efivar_read("/nonexistent", "LoaderInfo", &other), -ENOENT);
        CHECK_EQ(efivar_booted_on_trial("/nonexistent"), 0);
}

TEST_MAIN
