/* SPDX-License-Identifier: Apache-2.0 */
#include "json-text.h"

#include "file.h"

#include <string.h>

#define CELL_MAX 512
#define INDENT 2
#define COLUMNS_MAX 16

static bool ends_with(const char *text, const char *end)
{
        size_t length = strlen(text), wanted = strlen(end);

        return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

static bool is_size(const char *name)
{
        return strcmp(name, "size") == 0 || ends_with(name, "-size") || ends_with(name, "bytes") ||
               ends_with(name, "memory");
}

static void append(char *cell, const char *text)
{
        size_t used = strlen(cell);

        (void)snprintf(cell + used, CELL_MAX - used, "%s", text);
}

static void format_number(const char *name, json_int_t number, bool brief, char *cell)
{
        char size[SIZE_TEXT_MAX];

        if (!is_size(name) || number < (json_int_t)KIB)
                (void)snprintf(cell, CELL_MAX, "%lld", (long long)number);
        else if (brief)
                (void)snprintf(cell, CELL_MAX, "%s", size_format((uint64_t)number, size));
        else
                (void)snprintf(cell, CELL_MAX, "%s (%lld bytes)", size_format((uint64_t)number, size),
                                (long long)number);
}

/* A value that fits a line. */
static void format_value(const char *name, const json_t *value, bool brief, char *cell)
{
        cell[0] = 0;
        if (json_is_string(value))
                append(cell, json_string_value(value));
        else if (json_is_integer(value))
                format_number(name, json_integer_value(value), brief, cell);
        else if (json_is_real(value))
                (void)snprintf(cell, CELL_MAX, "%.3g", json_real_value(value));
        else if (json_is_boolean(value))
                append(cell, json_is_true(value) ? "yes" : "no");
        else if (json_is_null(value))
                append(cell, "-");
        for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
                char item[CELL_MAX];

                format_value(name, json_array_get(value, i), brief, item);
                append(cell, i > 0 ? ", " : "");
                append(cell, item);
        }
        for (char *p = cell; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        *p = '?';
}

static bool is_table(const json_t *value)
{
        return json_is_array(value) && json_array_size(value) > 0 &&
               json_is_object(json_array_get(value, 0));
}

static void print_name(FILE *output, int indent, const char *name, size_t width)
{
        (void)fprintf(output, "%*s", indent, "");
        for (size_t i = 0; name[i]; i++)
                (void)fputc(name[i] == '-' ? ' ' : name[i], output);
        for (size_t i = strlen(name); i < width; i++)
                (void)fputc(' ', output);
}

/* The names of the first row are the columns. */
static void print_table(FILE *output, const json_t *rows, int indent)
{
        size_t widths[COLUMNS_MAX] = { 0 }, columns = 0, row;
        const char *names[COLUMNS_MAX], *name;
        char cell[CELL_MAX];
        json_t *object, *value;

        json_object_foreach(json_array_get(rows, 0), name, value) if (columns < COLUMNS_MAX)
                        names[columns++] = name;
        for (size_t i = 0; i < columns; i++) {
                widths[i] = strlen(names[i]);
                json_array_foreach(rows, row, object)
                {
                        format_value(names[i], json_object_get(object, names[i]), true, cell);
                        widths[i] = MAX_OF(widths[i], strlen(cell));
                }
        }
        for (size_t i = 0; i < columns; i++)
                print_name(output, i == 0 ? indent : 2, names[i], i + 1 < columns ? widths[i] : 0);
        (void)fputc('\n', output);
        json_array_foreach(rows, row, object)
        {
                for (size_t i = 0; i < columns; i++) {
                        value = json_object_get(object, names[i]);
                        format_value(names[i], value, true, cell);
                        (void)fprintf(output, json_is_number(value) ? "%*s%*s" : "%*s%-*s",
                                        i == 0 ? indent : 2, "",
                                        i + 1 < columns || json_is_number(value) ? (int)widths[i] : 0, cell);
                }
                (void)fputc('\n', output);
        }
}

static void print_object(FILE *output, const json_t *object, int indent)
{
        size_t width = 0;
        const char *name;
        json_t *value;

        json_object_foreach((json_t *)object, name, value) if (!json_is_object(value) && !is_table(value))
                        width = MAX_OF(width, strlen(name));
        json_object_foreach((json_t *)object, name, value)
        {
                char cell[CELL_MAX];

                if (json_is_object(value) || is_table(value)) {
                        print_name(output, indent, name, 0);
                        (void)fputs(":\n", output);
                        if (json_is_object(value))
                                print_object(output, value, indent + INDENT);
                        else
                                print_table(output, value, indent + INDENT);
                        continue;
                }
                format_value(name, value, false, cell);
                print_name(output, indent, name, width + 2);
                (void)fprintf(output, "%s\n", cell[0] ? cell : "-");
        }
}

void json_print_text(FILE *output, const json_t *object)
{
        print_object(output, object, 0);
}

int json_print(FILE *output, const json_t *json)
{
        if (json_dumpf(json, output, JSON_INDENT(2)) < 0)
                return -EIO;
        (void)fputc('\n', output);
        return 0;
}
