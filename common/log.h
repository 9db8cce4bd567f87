/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Messages of programs (library code does not log). To standard error: plain on a terminal or in a file,
 * with the "<N>" prefix that the journal understands when JOURNAL_STREAM names it. */

#include "error.h"

#include <syslog.h>

/* `name` is put before each message; it is not copied. */
void log_open(const char *name);

/* Messages with a level above (less urgent than) this one are dropped; LOG_INFO at the start. */
void log_set_level(int level);

void log_message(int level, const char *format, ...) _printf_(2, 3);

#define log_error(...) log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_message(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_message(LOG_DEBUG, __VA_ARGS__)
