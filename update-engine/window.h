/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Times in a week when something may happen: "Mon..Fri 02:00-04:00", "Sat,Sun 22:00-06:00", "03:00-05:00"
 * (any day), in local time. An end at or before the start belongs to the next day. */

#include "error.h"

#define WINDOWS_MAX 32

typedef struct Window {
        unsigned days;         /* bit 0: Monday ... bit 6: Sunday; the day on which it opens */
        unsigned start_minute; /* of the day, 0..1439 */
        unsigned end_minute;   /* 1..1440, or <= start_minute: of the next day */
} Window;

typedef struct WindowList {
        Window windows[WINDOWS_MAX];
        size_t count;
} WindowList;

/* One window. -EINVAL with ERROR_CONFIG says what is wrong. */
int window_parse(const char *text, Window *ret, Error *error);

/* "Mon..Fri 02:00-04:00"; ret has room. */
#define WINDOW_TEXT_MAX 64
void window_format(const Window *window, char ret[static WINDOW_TEXT_MAX]);

/* The moment, at or after `now` (seconds since 1970), when a window is open, in the time zone of the
 * process: `now` itself while one is open. A window that a clock change swallows opens at the first moment
 * after the gap. *ret_end is when that window closes. -ENOENT for an empty list. */
int window_next(const WindowList *list, int64_t now, int64_t *ret_start, int64_t *ret_end);
