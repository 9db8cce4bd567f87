/* SPDX-License-Identifier: Apache-2.0 */
#include "window.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define DAY_MINUTES 1440
#define EVERY_DAY 0x7fu

static const char *const day_names[7] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

/* Reads a day name, short or long ("Mon", "Monday"), and moves on. -1 when there is none. */
static int take_day(const char **text)
{
        static const char *const tails[7] = { "day", "sday", "nesday", "rsday", "day", "urday", "day" };
        for (int day = 0; day < 7; day++) {
                if (strncasecmp(*text, day_names[day], 3) != 0)
                        continue;
                *text += 3;
                size_t tail = strlen(tails[day]);
                if (strncasecmp(*text, tails[day], tail) == 0)
                        *text += tail;
                return day;
        }
        return -1;
}

/* "Mon..Fri,Sun" into bits; 0 when it does not parse. */
static unsigned take_days(const char **text)
{
        unsigned days = 0;
        for (;;) {
                int first = take_day(text), last = first;
                if (first < 0)
                        return 0;
                if (strncmp(*text, "..", 2) == 0) {
                        *text += 2;
                        last = take_day(text);
                        if (last < 0)
                                return 0;
                }
                for (int day = first;; day = (day + 1) % 7) {
                        days |= 1u << day;
                        if (day == last)
                                break;
                }
                if (**text != ',')
                        return days;
                (*text)++;
        }
}

static bool take_number(const char **text, unsigned digits, unsigned max, unsigned *ret)
{
        unsigned value = 0, count = 0;
        for (; **text >= '0' && **text <= '9' && count < digits; (*text)++, count++)
                value = value * 10 + (unsigned)(**text - '0');
        *ret = value;
        return count > 0 && value <= max;
}

/* "02:30", and "24:00" when `is_end`. */
static bool take_time(const char **text, bool is_end, unsigned *ret_minute)
{
        unsigned hour, minute;
        if (!take_number(text, 2, 24, &hour) || **text != ':')
                return false;
        (*text)++;
        const char *before = *text;
        if (!take_number(text, 2, 59, &minute) || *text - before != 2)
                return false;
        *ret_minute = hour * 60 + minute;
        return *ret_minute < DAY_MINUTES || (is_end && *ret_minute == DAY_MINUTES);
}

static void skip_blanks(const char **text)
{
        *text += strspn(*text, " \t");
}

int window_parse(const char *text, Window *ret, Error *error)
{
        Window window = { .days = EVERY_DAY };
        const char *at = text;
        skip_blanks(&at);
        if (*at < '0' || *at > '9') {
                window.days = take_days(&at);
                if (window.days == 0 || (*at != ' ' && *at != '\t'))
                        return error_set(error, ERROR_CONFIG, EINVAL,
                                        "\"%s\" does not begin with days such as Mon..Fri or Sat,Sun", text);
                skip_blanks(&at);
        }
        bool is_good = take_time(&at, false, &window.start_minute);
        if (is_good) {
                skip_blanks(&at);
                is_good = *at == '-';
        }
        if (is_good) {
                at++;
                skip_blanks(&at);
                is_good = take_time(&at, true, &window.end_minute);
        }
        skip_blanks(&at);
        if (!is_good || *at)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "\"%s\" is not a window such as \"Mon..Fri 02:00-04:00\"", text);
        *ret = window;
        return 0;
}

void window_format(const Window *window, char ret[static WINDOW_TEXT_MAX])
{
        size_t used = 0;
        ret[0] = '\0';
        for (int day = 0; day < 7 && window->days != EVERY_DAY; day++) {
                if (!(window->days & 1u << day))
                        continue;
                int last = day;
                while (last < 6 && window->days & 1u << (last + 1))
                        last++;
                used += (size_t)snprintf(
                                ret + used, WINDOW_TEXT_MAX - used, "%s%s", used ? "," : "", day_names[day]);
                if (last > day)
                        used += (size_t)snprintf(ret + used, WINDOW_TEXT_MAX - used, "%s%s",
                                        last > day + 1 ? ".." : ",", day_names[last]);
                day = last;
        }
        (void)snprintf(ret + used, WINDOW_TEXT_MAX - used, "%s%02u:%02u-%02u:%02u", used ? " " : "",
                        window->start_minute / 60, window->start_minute % 60, window->end_minute / 60,
                        window->end_minute % 60);
}

/* The first moment in [low, high) whose distance from UTC is that of high. */
static time_t offset_change(time_t low, time_t high)
{
        struct tm tm;
        long after = localtime_r(&high, &tm) ? tm.tm_gmtoff : 0;
        while (high - low > 1) {
                time_t middle = low + (high - low) / 2;
                if (localtime_r(&middle, &tm) && tm.tm_gmtoff == after)
                        high = middle;
                else
                        low = middle;
        }
        return high;
}

/* The moment of a minute of a local day; for a minute that a clock change leaves out, the end of the gap. */
static int64_t local_moment(const struct tm *day, int day_offset, unsigned minute)
{
        struct tm tm = { .tm_year = day->tm_year,
                .tm_mon = day->tm_mon,
                .tm_mday = day->tm_mday + day_offset,
                .tm_hour = (int)(minute / 60),
                .tm_min = (int)(minute % 60),
                .tm_isdst = -1 };
        time_t moment = mktime(&tm);
        if ((unsigned)(tm.tm_hour * 60 + tm.tm_min) == minute % DAY_MINUTES)
                return moment;
        return offset_change(moment - 4 * 3600, moment + 4 * 3600);
}

/* When a window that opens on that day is open; false when it does not open then. */
static bool window_on_day(const Window *window, const struct tm *today, int offset, int64_t *ret_start,
                int64_t *ret_end)
{
        unsigned monday_based = (unsigned)((today->tm_wday + 6 + offset + 14) % 7);
        if (!(window->days & 1u << monday_based))
                return false;
        bool is_overnight = window->end_minute <= window->start_minute;
        unsigned minutes = window->end_minute + (is_overnight ? DAY_MINUTES : 0) - window->start_minute;
        *ret_start = local_moment(today, offset, window->start_minute);
        *ret_end = window->end_minute == DAY_MINUTES ? local_moment(today, offset + 1, 0)
                                                     : local_moment(today, offset + (is_overnight ? 1 : 0),
                                                                       window->end_minute);
        if (*ret_end <= *ret_start)
                *ret_end = *ret_start + (int64_t)minutes * 60;
        return true;
}

int window_next(const WindowList *list, int64_t now, int64_t *ret_start, int64_t *ret_end)
{
        time_t clock = (time_t)now;
        struct tm today;
        if (!localtime_r(&clock, &today))
                return -EOVERFLOW;
        bool is_found = false;
        int64_t best_start = 0, best_end = 0;
        for (size_t i = 0; i < list->count; i++) {
                for (int offset = -2; offset <= 8; offset++) {
                        int64_t start, end;
                        if (!window_on_day(&list->windows[i], &today, offset, &start, &end) || end <= now)
                                continue;
                        start = MAX_OF(start, now);
                        if (is_found && (start > best_start || (start == best_start && end <= best_end)))
                                continue;
                        is_found = true;
                        best_start = start;
                        best_end = end;
                }
        }
        if (!is_found)
                return -ENOENT;
        *ret_start = best_start;
        *ret_end = best_end;
        return 0;
}
