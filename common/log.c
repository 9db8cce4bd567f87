/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <string.h>

static const char *log_name = "bascule";
static int log_level = LOG_INFO;
static bool log_for_journal;

void log_open(const char *name)
{
        log_name = name;
        log_for_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(int level)
{
        log_level = level;
}

void log_message(int level, const char *format, ...)
{
        char text[2048];
        va_list arguments;
        int saved = errno;

        if (level > log_level)
                return;
        va_start(arguments, format);
        (void)vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        if (log_for_journal)
                (void)fprintf(stderr, "<%d>%s\n", level, text);
        else
                (void)fprintf(stderr, "%s: %s\n", log_name, text);
        errno = saved;
}
