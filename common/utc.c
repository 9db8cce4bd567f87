/* SPDX-License-Identifier: Apache-2.0 */
#include "utc.h"

#include <string.h>

#define SECONDS_PER_DAY INT64_C(86400)
#define DAYS_PER_ERA INT64_C(146097) /* 400 years */
#define EPOCH_DAYS INT64_C(719468)   /* from 0000-03-01 to 1970-01-01 */

/* Years are counted from March, so that the leap day is the last one and needs no case of its own. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
        int64_t y = month <= 2 ? year - 1 : year;
        int64_t era = (y >= 0 ? y : y - 399) / 400;
        int64_t year_of_era = y - era * 400;
        int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

        return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
               EPOCH_DAYS;
}

static int days_in_month(int year, int month)
{
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        return month == 2 && is_leap ? 29 : days[month - 1];
}

static int digits(const char *text, int count)
{
        int value = 0;

        for (int i = 0; i < count; i++)
                value = value * 10 + (text[i] - '0');
        return value;
}

int utc_parse(const char *text, int64_t *ret_seconds)
{
        static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
        int year, month, day, hour, minute, second;

        if (strlen(text) != sizeof(form) - 1)
                return -EINVAL;
        for (size_t i = 0; i < sizeof(form) - 1; i++)
                if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
                        return -EINVAL;
        year = digits(text, 4);
        month = digits(text + 5, 2);
        day = digits(text + 8, 2);
        hour = digits(text + 11, 2);
        minute = digits(text + 14, 2);
        second = digits(text + 17, 2);
        if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
                        minute > 59 || second > 59)
                return -EINVAL;
        *ret_seconds = days_from_date(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 +
                       second;
        return 0;
}

int utc_format(int64_t seconds, char ret[static UTC_TEXT_MAX])
{
        int64_t days, rest, era, day_of_era, year_of_era, day_of_year, month, year;

        if (seconds < days_from_date(0, 1, 1) * SECONDS_PER_DAY ||
                        seconds >= days_from_date(10000, 1, 1) * SECONDS_PER_DAY)
                return -ERANGE;
        rest = (seconds % SECONDS_PER_DAY + SECONDS_PER_DAY) % SECONDS_PER_DAY;
        days = (seconds - rest) / SECONDS_PER_DAY + EPOCH_DAYS;
        era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
        day_of_era = days - era * DAYS_PER_ERA;
        year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
        day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        month = (5 * day_of_year + 2) / 153;
        year = year_of_era + era * 400 + (month >= 10 ? 1 : 0);
        (void)snprintf(ret, UTC_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)year % 10000,
                        (unsigned)(month < 10 ? month + 3 : month - 9) % 100,
                        (unsigned)(day_of_year - (153 * month + 2) / 5 + 1) % 100,
                        (unsigned)(rest / 3600) % 100, (unsigned)(rest / 60 % 60), (unsigned)(rest % 60));
        return 0;
}
