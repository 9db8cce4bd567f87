/* SPDX-License-Identifier: Apache-2.0 */
#include "install-answers.h"
#include "test.h"

static int parse(const char *text, InstallAnswers **ret, Error *error)
{
        return install_answers_parse("answers", text, strlen(text), ret, error);
}

TEST(answers_are_understood)
{
        _cleanup_(install_answers_freep) InstallAnswers *path = NULL, *serial = NULL, *only = NULL,
                                                        *both = NULL, *dots = NULL;

        CHECK_OK(parse("[Install]\nDisk=/dev/disk/by-id/x\nErase=yes\n", &path, NULL));
        CHECK_STR(path->disk, "/dev/disk/by-id/x");
        CHECK_STR(path->serial, "");
        CHECK(!path->is_only && !path->may_reinstall);
        CHECK_STR(install_end_name(path->end), "poweroff");
        CHECK_OK(parse("[Install]\nDisk=/dev/disk/by-id/.x..y.\nErase=yes\n", &dots, NULL));
        CHECK_STR(dots->disk, "/dev/disk/by-id/.x..y.");
        CHECK_OK(parse("[Install]\nSerial=S 1\nErase=yes\nReinstall=yes\nThen=reboot\n", &serial, NULL));
        CHECK_STR(serial->disk, "");
        CHECK_OK(parse("[Install]\nDisk=/dev/sda\nSerial=S\nErase=yes\n", &both, NULL));
        CHECK_STR(serial->serial, "S 1");
        CHECK(serial->may_reinstall);
        CHECK_STR(install_end_name(serial->end), "reboot");
        CHECK_OK(parse("[Install]\nDisk=only\nErase=yes\nThen=stay\n", &only, NULL));
        CHECK(only->is_only);
        CHECK_STR(only->disk, "");
        CHECK_STR(install_end_name(only->end), "stay");
}

TEST(what_is_not_clearly_asked_for_is_refused)
{
        static const char *const ways[][2] = {
                { "", "neither Disk= nor Serial=" },
                { "[Install]\nErase=yes\n", "neither Disk= nor Serial=" },
                { "[Install]\nDisk=\nSerial=A\nErase=yes\n", "Disk= is empty" },
                { "[Install]\nDisk=only\nSerial=\nErase=yes\n", "Serial= is empty" },
                { "[Install]\nSerial=A\nSerial=B\nErase=yes\n", "Serial= is there twice" },
                { "[Install]\nDisk=only\nDisk=only\nErase=yes\n", "Disk= is there twice" },
                { "[Install]\nDisk=/dev/sda\nErase=yes\n", "another disk at the next start" },
                { "[Install]\nDisk=/dev/block/8:0\nErase=yes\n", "another disk at the next start" },
                { "[Install]\nDisk=/dev/disk/by-diskseq/1\nErase=yes\n", "another disk at the next start" },
                { "[Install]\nDisk=/dev//sda\nErase=yes\n", "write \"/dev//sda\" without" },
                { "[Install]\nDisk=/dev/./sda\nErase=yes\n", "without" },
                { "[Install]\nDisk=/dev/disk/../sda\nErase=yes\n", "without" },
                { "[Install]\nDisk=/dev//block/8:0\nErase=yes\n", "without" },
                { "[Install]\nDisk=/dev/disk/by-id/..\nErase=yes\n", "without" },
                { "[Install]\nDisk=/dev/sda/.\nErase=yes\n", "without" },
                { "[Install]\nDisk=/dev/sda/\nErase=yes\n", "without" },
                { "[Install]\nDisk=/dev/\nErase=yes\n", "without" },
                { "[Install]\nDisk=/dev/sda\n", "Erase=yes" },
                { "[Install]\nDisk=/dev/sda\nErase=no\n", "Erase=yes" },
                { "[Install]\nDisk=/dev/sda\nErase=perhaps\n", "Erase" },
                { "[Install]\nDisk=sda\nErase=yes\n", "begins with /dev/" },
                { "[Install]\nDisk=only\nErase=yes\nThen=dance\n", "poweroff, reboot or stay" },
                { "[Install]\nDisk=only\nErase=yes\nThen=\n", "Then= is empty" },
                { "[Install]\nDisk=only\nErase=yes\nThen=stay\nThen=stay\n", "Then= is there twice" },
                { "[Install]\nDisk=only\nErase=no\nErase=yes\n", "Erase= is there twice" },
                { "[Install]\nDisk=only\nErase=yes\nReinstall=no\nReinstall=yes\n",
                                "Reinstall= is there twice" },
                { "[Install]\nDisk=only\nErase=yes\nReinstall=\n", "Reinstall" },
                { "[Install]\nDisc=only\nErase=yes\n", "Disk" },
        };

        for (size_t i = 0; i < ELEMENTS(ways); i++) {
                InstallAnswers *answers = NULL;
                Error error = { 0 };

                if (parse(ways[i][0], &answers, &error) >= 0)
                        TEST_FAIL("taken: %s", ways[i][0]);
                CHECK_EQ(error.code, ERROR_CONFIG);
                if (!strstr(error.message, ways[i][1]))
                        TEST_FAIL("%s: %s", ways[i][0], error.message);
        }
}

TEST(one_disk_is_chosen_or_none)
{
        static const char *const serials[] = { "A", "B", "A" };
        static const struct {
                const char *text;
                size_t count, wanted;
                ErrorCode code;
        } ways[] = {
                { "Serial=B", 3, 1, 0 },
                { "Serial=A", 2, 0, 0 },
                { "Serial=A", 3, 0, ERROR_REFUSED },
                { "Serial=C", 3, 0, ERROR_REFUSED },
                { "Disk=only", 1, 0, 0 },
                { "Disk=only", 0, 0, ERROR_REFUSED },
                { "Disk=only", 2, 0, ERROR_REFUSED },
                { "Disk=only\nSerial=B", 1, 0, ERROR_REFUSED },
        };

        for (size_t i = 0; i < ELEMENTS(ways); i++) {
                _cleanup_(install_answers_freep) InstallAnswers *answers = NULL;
                char text[256];
                size_t index = 77;
                Error error = { 0 };

                (void)snprintf(text, sizeof(text), "[Install]\nErase=yes\n%s\n", ways[i].text);
                CHECK_OK(parse(text, &answers, NULL));
                (void)install_answers_choose(answers, serials, ways[i].count, &index, &error);
                CHECK_EQ(error.code, ways[i].code);
                if (!ways[i].code)
                        CHECK_EQ(index, ways[i].wanted);
        }
}

TEST_MAIN
