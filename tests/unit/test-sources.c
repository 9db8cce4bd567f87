/* SPDX-License-Identifier: Apache-2.0 */
#include "sources.h"
#include "test.h"

static const char targets[] = "Debian|bookworm|http://deb.example/debian/\n"
                              "Debian|bookworm-updates|http://deb.example/debian/\n"
                              "Debian|bookworm-security|http://sec.example/debian-security/\n"
                              "Other|stable|https://other.example/apt\n";

static const char *choose(const char *suite)
{
        static char *mirror;

        free(mirror);
        mirror = NULL;
        return sources_choose_mirror(targets, suite, &mirror) < 0 ? "" : mirror;
}

TEST(a_suite_that_apt_knows_has_its_mirror)
{
        CHECK_STR(choose("bookworm"), "http://deb.example/debian");
        CHECK_STR(choose("bookworm-security"), "http://sec.example/debian-security");
        CHECK_STR(choose("stable"), "https://other.example/apt");
}

TEST(another_suite_has_the_mirror_of_its_kind)
{
        CHECK_STR(choose("trixie"), "http://deb.example/debian");
        CHECK_STR(choose("trixie-security"), "http://sec.example/debian-security");
}

TEST(no_mirror_is_said)
{
        char *mirror = NULL;

        CHECK_EQ(sources_choose_mirror("", "bookworm", &mirror), -ENOENT);
        CHECK_EQ(sources_choose_mirror("garbage\n|\n||\n", "bookworm", &mirror), -ENOENT);
}

TEST(the_date_of_a_release_is_read)
{
        int64_t time = 0;

        CHECK_OK(sources_parse_date("Origin: Debian\nDate: Fri, 20 Nov 2026 02:11:10 UTC\nX: y\n", &time));
        CHECK_EQ(time, 1795140670);
        CHECK_EQ(sources_parse_date("Origin: Debian\n", &time), -EBADMSG);
        CHECK_EQ(sources_parse_date("Date: soon\n", &time), -EBADMSG);
}

TEST_MAIN
