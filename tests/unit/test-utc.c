/* SPDX-License-Identifier: Apache-2.0 */
#include "percent.h"
#include "test.h"
#include "utc.h"

#include <time.h>

TEST(reads_what_it_writes)
{
        for (int64_t time = -62167219200; time < 253402300800; time += 86400 * INT64_C(13) + 3607) {
                char text[UTC_TEXT_MAX];
                int64_t again;

                CHECK_OK(utc_format(time, text));
                CHECK_OK(utc_parse(text, &again));
                CHECK_EQ(again, time);
        }
}

TEST(agrees_with_the_c_library)
{
        for (time_t time = 0; time < 8000000000; time += 86400 * 11 + 12345) {
                char text[UTC_TEXT_MAX], expected[UTC_TEXT_MAX];
                struct tm parts;

                CHECK_OK(utc_format(time, text));
                CHECK(gmtime_r(&time, &parts));
                CHECK_EQ(strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%SZ", &parts), 20);
                CHECK_STR(text, expected);
        }
}

TEST(refuses_other_forms_and_days_that_are_not)
{
        static const char *const bad[] = { "", "2030-01-01", "2030-01-01T00:00:00", "2030-01-01T00:00:00z",
                "2030-01-01 00:00:00Z", "2030-01-01T00:00:00.0Z", "2030-01-01T00:00:00+00:00",
                "2030-13-01T00:00:00Z", "2030-00-01T00:00:00Z", "2030-02-29T00:00:00Z",
                "2100-02-29T00:00:00Z", "2030-01-32T00:00:00Z", "2030-01-01T24:00:00Z",
                "2030-01-01T00:60:00Z", "2030-01-01T00:00:60Z", "-030-01-01T00:00:00Z",
                "20300-1-01T00:00:00Z" };
        int64_t time;

        for (size_t i = 0; i < ELEMENTS(bad); i++)
                CHECK_EQ(utc_parse(bad[i], &time), -EINVAL);
        CHECK_OK(utc_parse("2024-02-29T23:59:59Z", &time));
        CHECK_EQ(time, 1709251199);
}

TEST(refuses_times_beyond_four_digits_of_year)
{
        char text[UTC_TEXT_MAX];

        CHECK_EQ(utc_format(253402300800, text), -ERANGE);
        CHECK_EQ(utc_format(INT64_MAX, text), -ERANGE);
        CHECK_EQ(utc_format(INT64_MIN, text), -ERANGE);
}

TEST(encodes_all_but_unreserved_bytes)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(100);

        CHECK_OK(percent_encode(&text, "aZ0-._~ /?#%\xc3\xa9", NULL));
        CHECK_STR((char *)text.data, "aZ0-._~%20%2F%3F%23%25%C3%A9");
        buffer_clear(&text);
        CHECK_OK(percent_encode(&text, "a/b c", "/"));
        CHECK_STR((char *)text.data, "a/b%20c");
}

TEST_MAIN
