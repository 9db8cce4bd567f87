/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "window.h"

#include <time.h>

static void use_zone(const char *zone)
{
        (void)setenv("TZ", zone, 1);
        tzset();
}

static int64_t local(int year, int month, int day, int hour, int minute)
{
        struct tm tm = { .tm_year = year - 1900,
                .tm_mon = month - 1,
                .tm_mday = day,
                .tm_hour = hour,
                .tm_min = minute,
                .tm_isdst = -1 };
        return mktime(&tm);
}

static WindowList list_of(const char *text)
{
        WindowList list = { 0 };
        if (window_parse(text, &list.windows[0], NULL) >= 0)
                list.count = 1;
        return list;
}

TEST(parses_and_formats)
{
        static const char *const same[] = { "Mon..Fri 02:00-04:00", "Sat,Sun 22:00-06:00", "03:00-05:00",
                "Mon,Wed 00:00-24:00", "Tue 23:59-00:01" };
        for (size_t i = 0; i < ELEMENTS(same); i++) {
                Window window;
                char text[WINDOW_TEXT_MAX];
                CHECK_OK(window_parse(same[i], &window, NULL));
                window_format(&window, text);
                CHECK_STR(text, same[i]);
        }
}

TEST(parses_other_spellings)
{
        Window window;
        CHECK_OK(window_parse("  monday..FRIDAY   2:00 - 4:30 ", &window, NULL));
        CHECK_EQ(window.days, 0x1f);
        CHECK_EQ(window.start_minute, 120);
        CHECK_EQ(window.end_minute, 270);
        CHECK_OK(window_parse("Fri..Mon 02:00-03:00", &window, NULL));
        CHECK_EQ(window.days, 0x71);
        CHECK_OK(window_parse("Mon..Sun 02:00-03:00", &window, NULL));
        CHECK_EQ(window.days, 0x7f);
}

TEST(rejects_what_is_no_window)
{
        static const char *const bad[] = { "", "Mon", "Mon..", "Mon.. 02:00-03:00", "02:00", "02:00-",
                "25:00-26:00", "02:60-03:00", "24:00-01:00", "02:00-24:01", "Mon02:00-03:00",
                "Mon, 02:00-03:00", "02:00-03:00 x", "Fooday 02:00-03:00", "2-3", "02:0-03:00",
                "-02:00-03:00", "Mon..Tue..Wed 01:00-02:00" };
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                Window window;
                Error error = { 0 };
                if (window_parse(bad[i], &window, &error) != -EINVAL)
                        TEST_FAIL("accepted: \"%s\"", bad[i]);
                CHECK_EQ(error.code, ERROR_CONFIG);
        }
}

TEST(finds_the_next_window)
{
        use_zone("UTC");
        WindowList list = list_of("Mon..Fri 02:00-04:00");
        int64_t start, end;
        /* 2026-11-20 is a Friday. */
        CHECK_OK(window_next(&list, local(2026, 11, 20, 1, 0), &start, &end));
        CHECK_EQ(start, local(2026, 11, 20, 2, 0));
        CHECK_EQ(end, local(2026, 11, 20, 4, 0));
        CHECK_OK(window_next(&list, local(2026, 11, 20, 3, 0), &start, &end));
        CHECK_EQ(start, local(2026, 11, 20, 3, 0));
        CHECK_OK(window_next(&list, local(2026, 11, 20, 4, 0), &start, &end));
        CHECK_EQ(start, local(2026, 11, 23, 2, 0));
}

TEST(windows_cross_midnight)
{
        use_zone("UTC");
        WindowList list = list_of("Sat 22:00-06:00");
        int64_t start, end, sunday = local(2026, 11, 22, 5, 0);
        CHECK_OK(window_next(&list, sunday, &start, &end));
        CHECK_EQ(start, sunday);
        CHECK_EQ(end, local(2026, 11, 22, 6, 0));
        CHECK_OK(window_next(&list, local(2026, 11, 22, 6, 0), &start, &end));
        CHECK_EQ(start, local(2026, 11, 28, 22, 0));
        list = list_of("00:00-24:00");
        CHECK_OK(window_next(&list, sunday, &start, &end));
        CHECK_EQ(start, sunday);
        CHECK_EQ(end, local(2026, 11, 23, 0, 0));
}

TEST(the_earliest_of_many_counts)
{
        use_zone("UTC");
        WindowList list = { .count = 2 };
        int64_t start, end;
        CHECK_OK(window_parse("Sun 10:00-11:00", &list.windows[0], NULL));
        CHECK_OK(window_parse("Sat 10:00-11:00", &list.windows[1], NULL));
        CHECK_OK(window_next(&list, local(2026, 11, 20, 12, 0), &start, &end));
        CHECK_EQ(start, local(2026, 11, 21, 10, 0));
        list.count = 0;
        CHECK_EQ(window_next(&list, 0, &start, &end), -ENOENT);
}

/* Berlin: on 2026-03-29 02:00 becomes 03:00, on 2026-10-25 03:00 becomes 02:00. */
TEST(clocks_that_go_forward)
{
        use_zone("CET-1CEST,M3.5.0/2,M10.5.0/3");
        int64_t start, end, evening = local(2026, 3, 28, 20, 0), gap_end = local(2026, 3, 29, 3, 0);
        WindowList list = list_of("02:15-02:45");
        CHECK_OK(window_next(&list, evening, &start, &end));
        CHECK_EQ(start, gap_end);
        CHECK_EQ(end, gap_end + 30 * 60);
        list = list_of("01:00-04:00");
        CHECK_OK(window_next(&list, evening, &start, &end));
        CHECK_EQ(end - start, 2 * 3600);
        list = list_of("02:30-05:00");
        CHECK_OK(window_next(&list, evening, &start, &end));
        CHECK_EQ(start, gap_end);
        CHECK_EQ(end, local(2026, 3, 29, 5, 0));
}

TEST(clocks_that_go_back)
{
        use_zone("CET-1CEST,M3.5.0/2,M10.5.0/3");
        int64_t start, end;
        WindowList list = list_of("01:00-04:00");
        CHECK_OK(window_next(&list, local(2026, 10, 24, 20, 0), &start, &end));
        CHECK_EQ(end - start, 4 * 3600);
        list = list_of("02:15-02:45");
        CHECK_OK(window_next(&list, local(2026, 10, 24, 20, 0), &start, &end));
        CHECK_EQ(end - start, 30 * 60);
}

TEST_MAIN
