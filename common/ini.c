/* SPDX-License-Identifier: Apache-2.0 */
#include "ini.h"

#include "file.h"
#include "strv.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

static char *strip(char *text)
{
        char *end;

        text += strspn(text, " \t\r");
        end = text + strlen(text);
        while (end > text && strchr(" \t\r", end[-1]))
                end--;
        *end = 0;
        return text;
}

static unsigned distance(const char *a, const char *b)
{
        unsigned row[64];
        size_t width = strlen(b);

        if (width >= ELEMENTS(row) || strlen(a) >= ELEMENTS(row))
                return UINT_MAX;
        for (unsigned j = 0; j <= width; j++)
                row[j] = j;
        for (unsigned i = 1; a[i - 1]; i++) {
                unsigned diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= width; j++) {
                        unsigned above = row[j], change = diagonal + ((a[i - 1] | 32) != (b[j - 1] | 32));

                        row[j] = MIN_OF(MIN_OF(above + 1, row[j - 1] + 1), change);
                        diagonal = above;
                }
        }
        return row[width];
}

const char *ini_suggest(const char *word, const char *const *names, size_t count)
{
        const char *best = NULL;
        unsigned best_distance = (unsigned)MAX_OF(strlen(word) / 3, (size_t)2) + 1;

        for (size_t i = 0; i < count; i++) {
                unsigned d = distance(word, names[i]);

                if (d < best_distance) {
                        best_distance = d;
                        best = names[i];
                }
        }
        return best;
}

#define NAMES_MAX 256

/* The names in the table that could have been meant: sections, or keys of one section. */
static const char *suggest_from_table(const IniKey *keys, const char *section, const char *word)
{
        const char *names[NAMES_MAX];
        size_t count = 0;

        for (const IniKey *key = keys; key->section && count < NAMES_MAX; key++)
                if (!section)
                        names[count++] = key->section;
                else if (strcmp(key->section, section) == 0)
                        names[count++] = key->name;
        return ini_suggest(word, names, count);
}

static int unknown(IniPlace place, const char *kind, const char *word, const char *suggestion, Error *error)
{
        return error_set(error, ERROR_CONFIG, EINVAL, "%s:%u: unknown %s \"%.100s\"%s%s%s", place.file,
                        place.line, kind, word, suggestion ? ", did you mean \"" : "",
                        suggestion ? suggestion : "", suggestion ? "\"?" : "");
}

static int check_section(const IniKey *keys, const char *section, IniPlace place, Error *error)
{
        for (const IniKey *key = keys; key->section; key++)
                if (strcmp(key->section, section) == 0 || strcmp(key->section, "*") == 0)
                        return 0;
        return unknown(place, "section", section, suggest_from_table(keys, NULL, section), error);
}

static bool equal(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

/* The entry for a key: its own, or else one that takes any. */
static const IniKey *find_key(const IniKey *keys, const char *section, const char *name)
{
        for (const IniKey *key = keys; key->section; key++)
                if (equal(key->section, section) && equal(key->name, name))
                        return key;
        for (const IniKey *key = keys; key->section; key++)
                if (equal(key->name, "*") && (equal(key->section, section) || equal(key->section, "*")))
                        return key;
        return NULL;
}

static int assign(const IniKey *keys, const char *section, char *line, IniPlace place, void *data,
                Error *error)
{
        char *equals = strchr(line, '=');
        const IniKey *key;
        char *name, *value;
        int r;

        if (!equals)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "%s:%u: \"%.100s\" is not of the form Key=value", place.file, place.line,
                                line);
        *equals = 0;
        name = strip(line);
        value = strip(equals + 1);
        if (!section[0])
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "%s:%u: \"%.100s\" stands before the first [Section]", place.file,
                                place.line, name);
        key = find_key(keys, section, name);
        if (!key)
                return unknown(place, "key", name, suggest_from_table(keys, section, name), error);
        r = key->set(data, key, value, place, error);
        return r < 0 ? error_prefix(error, r, "%s:%u: %s=", place.file, place.line, name) : 0;
}

typedef struct Reader {
        const char *next, *end;
        unsigned line_count;
        char line[INI_LINE_MAX];
} Reader;

/* Next line with its continuations joined: 1, or 0 at the end. */
static int read_line(Reader *reader, IniPlace *place, Error *error)
{
        size_t used = 0;

        if (reader->next >= reader->end)
                return 0;
        place->line = reader->line_count + 1;
        for (;;) {
                const char *newline = memchr(reader->next, '\n', (size_t)(reader->end - reader->next));
                const char *stop = newline ? newline : reader->end;
                size_t size = (size_t)(stop - reader->next);

                if (size >= sizeof(reader->line) - used || memchr(reader->next, 0, size))
                        return error_set(error, ERROR_CONFIG, EINVAL,
                                        "%s:%u: the line is too long or holds a NUL byte", place->file,
                                        place->line);
                memcpy(reader->line + used, reader->next, size);
                used += size;
                reader->line_count++;
                reader->next = newline ? newline + 1 : reader->end;
                if (used == 0 || reader->line[used - 1] != '\\' || reader->next >= reader->end)
                        break;
                reader->line[used - 1] = ' ';
        }
        reader->line[used] = 0;
        return 1;
}

int ini_parse(const char *file, const char *text, size_t size, const IniKey *keys, void *data, Error *error)
{
        Reader reader = { .next = text, .end = text + size };
        IniPlace place = { .file = file };
        char section[128] = "";

        for (;;) {
                char *line;
                int r = read_line(&reader, &place, error);

                if (r <= 0)
                        return r;
                line = strip(reader.line);
                if (!*line || *line == '#' || *line == ';')
                        continue;
                if (*line == '[') {
                        size_t length = strlen(line);

                        if (line[length - 1] != ']' || length - 2 >= sizeof(section))
                                return error_set(error, ERROR_CONFIG, EINVAL,
                                                "%s:%u: \"%.100s\" is not a [Section]", file, place.line,
                                                line);
                        memcpy(section, line + 1, length - 2);
                        section[length - 2] = 0;
                        r = check_section(keys, section, place, error);
                } else {
                        r = assign(keys, section, line, place, data, error);
                }
                if (r < 0)
                        return r;
        }
}

int ini_parse_file(const char *path, const IniKey *keys, void *data, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = file_read(AT_FDCWD, path, INI_FILE_MAX, &text, &size);

        if (r == -ENOENT)
                return r;
        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "cannot read %s: %s", path, strerror(-r));
        return ini_parse(path, text, size, keys, data, error);
}

/* Adds the *.conf names of one drop-in folder that no earlier folder had; paths[i] goes with names[i]. */
static int collect_dropins(const char *folder, char ***names, char ***paths)
{
        DIR *directory = opendir(folder);
        struct dirent *entry;
        int r = 0;

        if (!directory)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        while (r >= 0 && (entry = readdir(directory))) {
                size_t length = strlen(entry->d_name);
                _cleanup_free_ char *path = NULL;

                if (length < 6 || strcmp(entry->d_name + length - 5, ".conf") != 0 ||
                                strv_contains(*names, entry->d_name))
                        continue;
                path = path_join(folder, entry->d_name);
                r = path ? strv_append(names, entry->d_name) : -ENOMEM;
                if (r >= 0)
                        r = strv_append(paths, path);
        }
        (void)closedir(directory);
        return r;
}

static int compare_base_names(const void *a, const void *b)
{
        const char *left = strrchr(*(char *const *)a, '/'), *right = strrchr(*(char *const *)b, '/');

        return strcmp(left, right);
}

int ini_parse_dropins(const char *const *folders, const IniKey *keys, void *data, Error *error)
{
        _cleanup_strv_ char **names = NULL, **paths = NULL;
        int r;

        for (; *folders; folders++) {
                r = collect_dropins(*folders, &names, &paths);
                if (r < 0)
                        return error_set(error, ERROR_CONFIG, -r, "cannot read %s: %s", *folders,
                                        strerror(-r));
        }
        if (paths)
                qsort(paths, strv_length(paths), sizeof(*paths), compare_base_names);
        for (char **path = paths; path && *path; path++) {
                r = ini_parse_file(*path, keys, data, error);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        return 0;
}

int ini_parse_with_dropins(
                const char *const *folders, const char *name, const IniKey *keys, void *data, Error *error)
{
        _cleanup_strv_ char **dropins = NULL;
        bool is_read = false;

        for (; *folders; folders++) {
                _cleanup_free_ char *path = path_join(*folders, name);
                _cleanup_free_ char *dropin = path ? string_format("%s.d", path) : NULL;
                int r;

                if (!dropin || strv_append(&dropins, dropin) < 0)
                        return error_oom(error);
                r = is_read ? 0 : ini_parse_file(path, keys, data, error);
                if (r < 0 && r != -ENOENT)
                        return r;
                is_read = is_read || r >= 0;
        }
        return dropins ? ini_parse_dropins((const char *const *)dropins, keys, data, error) : 0;
}
