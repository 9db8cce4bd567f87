/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* systemd-style INI: recipes, engine configuration, host descriptions. Sections in brackets, `Key=value`,
 * lines that start with '#' or ';' are comments, a backslash at the end of a line joins the next one,
 * white space around keys and values is dropped. A key may repeat; what that means is the table's.
 * The syntax is that of systemd.syntax(7) without quoting rules.
 *
 * A file is read against a const table of the keys that are known. An unknown section or key is an error
 * that names file and line and suggests the nearest known name, unless the table says otherwise: an entry
 * whose name is "*" takes the keys of its section that no other entry names, and one whose section is "*" as
 * well takes all others (for a program that needs a few keys of another's file). Files may be hostile:
 * size, line length and line count are capped. */

#include "error.h"

#define INI_FILE_MAX (1 * MIB)
#define INI_LINE_MAX 8192 /* bytes, after joining */

/* Where a value was found, for messages. */
typedef struct IniPlace {
        const char *file;
        unsigned line; /* from 1 */
} IniPlace;

typedef struct IniKey IniKey;

/* Takes one value (never NULL, maybe empty: by convention an empty value resets a list). `data` is what
 * ini_parse() was given; key->offset tells where the member lies in it. Returns 0 or an error that was
 * set with error_set(); the place is added by the caller. */
typedef int (*IniSetter)(void *data, const IniKey *key, const char *value, IniPlace place, Error *error);

struct IniKey {
        const char *section;
        const char *name;
        IniSetter set;
        size_t offset;
};

/* `keys` ends with an entry whose section is NULL. `file` is used in messages only. */
int ini_parse(const char *file, const char *text, size_t size, const IniKey *keys, void *data, Error *error);

/* Reads and parses a file. -ENOENT with no Error set when it does not exist. */
int ini_parse_file(const char *path, const IniKey *keys, void *data, Error *error);

/* Reads `folders[i]/name` (first folder wins, as in systemd's search order) and then every *.conf of
 * `folders[i]/name.d/` in order of file name, a name in an earlier folder masking the same name in a later
 * one. `folders` ends with NULL. Files that do not exist are no error. */
int ini_parse_with_dropins(
                const char *const *folders, const char *name, const IniKey *keys, void *data, Error *error);

/* Reads every *.conf of the folders as above. */
int ini_parse_dropins(const char *const *folders, const IniKey *keys, void *data, Error *error);

/* Setters for common types: members of type char * (owned; replaced), bool, uint64_t size in bytes,
 * unsigned, uint64_t seconds ("90", "15min", "1h 30min", "2d"), char ** (NULL-terminated, appended word by
 * word, reset by an empty value). */
int ini_set_string(void *data, const IniKey *key, const char *value, IniPlace place, Error *error);
int ini_set_bool(void *data, const IniKey *key, const char *value, IniPlace place, Error *error);
int ini_set_size(void *data, const IniKey *key, const char *value, IniPlace place, Error *error);
int ini_set_unsigned(void *data, const IniKey *key, const char *value, IniPlace place, Error *error);
int ini_set_seconds(void *data, const IniKey *key, const char *value, IniPlace place, Error *error);
int ini_set_words(void *data, const IniKey *key, const char *value, IniPlace place, Error *error);
/* Takes any value and does nothing. */
int ini_ignore(void *data, const IniKey *key, const char *value, IniPlace place, Error *error);

/* A time span as ini_set_seconds() takes it. -EINVAL. The text may be hostile. */
int seconds_parse(const char *text, uint64_t *ret);

/* The known name nearest to `word` by edit distance, or NULL when none is near. */
const char *ini_suggest(const char *word, const char *const *names, size_t count);
