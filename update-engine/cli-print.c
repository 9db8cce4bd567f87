/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include "file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#define LABEL_WIDTH 10

struct CliTable {
        char ***rows; /* rows[0] holds the titles */
        size_t row_count;
        size_t column_count;
};

const char *cli_text(const json_t *object, const char *name)
{
        const char *text = json_string_value(json_object_get(object, name));

        return text ? text : "";
}

uint64_t cli_number(const json_t *object, const char *name)
{
        json_int_t number = json_integer_value(json_object_get(object, name));

        return number > 0 ? (uint64_t)number : 0;
}

bool cli_flag(const json_t *object, const char *name)
{
        return json_is_true(json_object_get(object, name));
}

void cli_print_json(const json_t *value)
{
        (void)json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
        (void)putchar('\n');
}

static bool wants_colour(void)
{
        static int wanted = -1;

        if (wanted < 0) {
                const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

                wanted = isatty(STDOUT_FILENO) == 1 && !(no && no[0]) && terminal &&
                         strcmp(terminal, "dumb") != 0;
        }
        return wanted == 1;
}

const char *cli_colour(CliColour colour)
{
        static const char *const sequences[] = {
                [CLI_PLAIN] = "",
                [CLI_GOOD] = "\033[32m",
                [CLI_WARN] = "\033[33m",
                [CLI_BAD] = "\033[31m",
                [CLI_STRONG] = "\033[1m",
        };

        return wants_colour() ? sequences[colour] : "";
}

const char *cli_colour_end(void)
{
        return wants_colour() ? "\033[0m" : "";
}

void cli_row(const char *label, const char *format, ...)
{
        va_list arguments;

        printf("%*s  ", LABEL_WIDTH, label);
        va_start(arguments, format);
        (void)vprintf(format, arguments);
        va_end(arguments);
        (void)putchar('\n');
}

void cli_hint(const char *format, ...)
{
        va_list arguments;

        printf("%*s  ", LABEL_WIDTH, "->");
        va_start(arguments, format);
        (void)vprintf(format, arguments);
        va_end(arguments);
        (void)putchar('\n');
}

/* Columns that the text takes on a terminal; its bytes when it is not valid in this locale. */
static size_t text_width(const char *text)
{
        wchar_t wide[512];
        size_t length = mbstowcs(wide, text, ELEMENTS(wide));
        int width;

        if (length == (size_t)-1 || length >= ELEMENTS(wide))
                return strlen(text);
        width = wcswidth(wide, length);
        return width < 0 ? strlen(text) : (size_t)width;
}

CliTable *cli_table_new(const char *const *titles)
{
        CliTable *table = calloc(1, sizeof(*table));

        if (!table)
                return NULL;
        while (table->column_count < CLI_COLUMNS_MAX && titles[table->column_count])
                table->column_count++;
        cli_table_add(table, titles);
        return table;
}

void cli_table_add(CliTable *table, const char *const *cells)
{
        char ***rows, **row;

        if (!table)
                return;
        rows = realloc(table->rows, (table->row_count + 1) * sizeof(*rows));
        if (!rows)
                return;
        table->rows = rows;
        row = calloc(table->column_count, sizeof(*row));
        for (size_t column = 0; row && column < table->column_count; column++)
                row[column] = strdup(cells[column] && cells[column][0] ? cells[column] : "-");
        if (row)
                table->rows[table->row_count++] = row;
}

static const char *cell(const CliTable *table, size_t row, size_t column)
{
        return table->rows[row][column] ? table->rows[row][column] : "?";
}

void cli_table_print(const CliTable *table)
{
        size_t widths[CLI_COLUMNS_MAX] = { 0 };

        if (!table)
                return;
        for (size_t row = 0; row < table->row_count; row++)
                for (size_t column = 0; column < table->column_count; column++)
                        widths[column] = MAX_OF(widths[column], text_width(cell(table, row, column)));
        for (size_t row = 0; row < table->row_count; row++) {
                printf("%s", row == 0 ? cli_colour(CLI_STRONG) : "");
                for (size_t column = 0; column < table->column_count; column++) {
                        const char *text = cell(table, row, column);
                        bool is_last = column + 1 == table->column_count;

                        printf("%s%*s", text, is_last ? 0 : (int)(widths[column] - text_width(text) + 2),
                                        "");
                }
                printf("%s\n", row == 0 ? cli_colour_end() : "");
        }
}

CliTable *cli_table_free(CliTable *table)
{
        if (!table)
                return NULL;
        for (size_t row = 0; row < table->row_count; row++) {
                for (size_t column = 0; column < table->column_count; column++)
                        free(table->rows[row][column]);
                free(table->rows[row]);
        }
        free(table->rows);
        free(table);
        return NULL;
}

const char *cli_time(uint64_t seconds, char ret[static CLI_TIME_MAX])
{
        time_t time = (time_t)seconds;
        struct tm local;

        if (seconds == 0 || !localtime_r(&time, &local) ||
                        strftime(ret, CLI_TIME_MAX, "%Y-%m-%d %H:%M", &local) == 0)
                (void)snprintf(ret, CLI_TIME_MAX, "never");
        return ret;
}

const char *cli_duration(uint64_t seconds, char ret[static CLI_TIME_MAX])
{
        uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

        if (seconds < 60)
                (void)snprintf(ret, CLI_TIME_MAX, "%" PRIu64 " s", seconds);
        else if (minutes < 60)
                (void)snprintf(ret, CLI_TIME_MAX, "%" PRIu64 " min", minutes);
        else if (hours < 24)
                (void)snprintf(ret, CLI_TIME_MAX, "%" PRIu64 " h %" PRIu64 " min", hours, minutes % 60);
        else
                (void)snprintf(ret, CLI_TIME_MAX, "%" PRIu64 " d %" PRIu64 " h", days, hours % 24);
        return ret;
}

const char *cli_saved(uint64_t fetched_bytes, uint64_t full_bytes, char ret[static CLI_SAVED_MAX])
{
        char fetched[SIZE_TEXT_MAX], full[SIZE_TEXT_MAX];
        /* Rounded down: nothing is said to be saved whole. */
        uint64_t percent = fetched_bytes < full_bytes ? (full_bytes - fetched_bytes) / (full_bytes / 100 + 1)
                                                      : 0;

        if (percent == 0)
                (void)snprintf(ret, CLI_SAVED_MAX, "%s", size_format(fetched_bytes, fetched));
        else
                (void)snprintf(ret, CLI_SAVED_MAX, "%s of %s (%" PRIu64 " %% saved)",
                                size_format(fetched_bytes, fetched), size_format(full_bytes, full), percent);
        return ret;
}

const char *cli_ago(uint64_t seconds, uint64_t now, char ret[static CLI_TIME_MAX])
{
        char duration[CLI_TIME_MAX];

        if (seconds == 0)
                (void)snprintf(ret, CLI_TIME_MAX, "never");
        else if (now - seconds < 10)
                (void)snprintf(ret, CLI_TIME_MAX, "just now");
        else if (seconds > now)
                (void)snprintf(ret, CLI_TIME_MAX, "in %.*s", 40, cli_duration(seconds - now, duration));
        else
                (void)snprintf(ret, CLI_TIME_MAX, "%.*s ago", 40, cli_duration(now - seconds, duration));
        return ret;
}
