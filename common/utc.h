/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Points in time as text: "YYYY-MM-DDTHH:MM:SSZ", always UTC, proleptic Gregorian, 64-bit seconds since
 * 1970. */

#include "macro.h"

#define UTC_TEXT_MAX 21 /* with the NUL */

/* Exactly that form and a date that exists, years 0000 to 9999. -EINVAL otherwise. The text may be hostile.
 */
int utc_parse(const char *text, int64_t *ret_seconds);

/* -ERANGE outside the years 0000 to 9999. */
int utc_format(int64_t seconds, char ret[static UTC_TEXT_MAX]);
