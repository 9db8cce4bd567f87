/* SPDX-License-Identifier: Apache-2.0 */
#include "fixes.h"
#include "debian-version.h"
#include "json.h"
#include "strv.h"

#include <ctype.h>
#include <string.h>

#define PREFIX "CVE-"
#define SIGNED_KERNEL "linux-signed-"
#define YEAR_DIGITS 4
#define NUMBER_DIGITS_MIN 4
#define NUMBER_DIGITS_MAX 19

static const char digits[] = "0123456789";

/* ---- CVE numbers ---- */

/* The length of the number that a text begins with; 0: it begins with none. */
static size_t cve_length(const char *text)
{
        size_t year, number;

        if (strncasecmp(text, PREFIX, strlen(PREFIX)) != 0)
                return 0;
        text += strlen(PREFIX);
        year = strspn(text, digits);
        if (year != YEAR_DIGITS || text[year] != '-')
                return 0;
        number = strspn(text + year + 1, digits);
        return number >= NUMBER_DIGITS_MIN && number <= NUMBER_DIGITS_MAX
                               ? strlen(PREFIX) + year + 1 + number
                               : 0;
}

/* The next number of a text, in capitals; `at` goes behind it. False: there is none. */
static bool find_cve(const char **at, const char *end, char ret[static CVE_MAX])
{
        for (const char *p = *at; p < end; p++) {
                size_t length;

                if ((*p != 'C' && *p != 'c') || (p > *at && isalnum((unsigned char)p[-1])))
                        continue;
                length = cve_length(p);
                if (length == 0)
                        continue;
                memcpy(ret, p, length);
                memcpy(ret, PREFIX, strlen(PREFIX));
                ret[length] = 0;
                *at = p + length;
                return true;
        }
        return false;
}

/* Years and numbers by their value, as far as that shows. */
static int by_number(const void *a, const void *b)
{
        return strverscmp(*(char *const *)a, *(char *const *)b);
}

/* ---- changelogs ---- */

/* The entry that is being read, and what is known of those before it. */
typedef struct Reader {
        const char *source;
        json_t *entries;
        char version[DEBIAN_VERSION_MAX + 1];
        char **cves;
        size_t count, total; /* CVEs of the entry, and of those before */
        bool is_in_entry, is_full;
} Reader;

static int sorted_cves(Reader *reader, json_t **ret)
{
        json_t *array = json_array();
        int failed = array ? 0 : -1;

        qsort(reader->cves, reader->count, sizeof(*reader->cves), by_number);
        for (size_t i = 0; failed == 0 && i < reader->count; i++)
                if (i == 0 || strcmp(reader->cves[i], reader->cves[i - 1]) != 0)
                        failed = json_array_append_new(array, json_string(reader->cves[i]));
        if (failed)
                return json_decref(array), -ENOMEM;
        *ret = array;
        return 0;
}

static int make_entry(Reader *reader, json_t **ret)
{
        json_t *cves = NULL;
        int r;

        if (reader->count == 0) {
                *ret = json_string(reader->version);
                return *ret ? 0 : -ENOMEM;
        }
        r = sorted_cves(reader, &cves);
        if (r < 0)
                return r;
        *ret = json_pack("{s:s, s:o}", "version", reader->version, "cves", cves);
        return *ret ? 0 : -ENOMEM;
}

/* An entry that would not fit is left out, and all older ones with it. */
static int end_entry(Reader *reader)
{
        json_t *entry = NULL;
        int r;

        if (!reader->is_in_entry)
                return 0;
        reader->is_in_entry = false;
        reader->is_full = reader->total + reader->count > FIXES_CVES_MAX ||
                          json_array_size(reader->entries) >= FIXES_ENTRIES_MAX;
        if (reader->is_full)
                return 0;
        r = make_entry(reader, &entry);
        if (r >= 0 && json_array_append_new(reader->entries, entry) < 0)
                r = -ENOMEM;
        reader->total += reader->count;
        reader->count = 0;
        reader->cves = strv_free(reader->cves);
        return r;
}

/* "NAME (VERSION) SUITE; urgency=...": the version; NULL for another line. */
static const char *parse_header(const char *line, size_t size, size_t *ret_name_size, size_t *ret_size)
{
        size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789+-.");
        const char *version, *end;

        if (name == 0 || name + 2 >= size || line[name] != ' ' || line[name + 1] != '(')
                return NULL;
        version = line + name + 2;
        end = memchr(version, ')', size - name - 2);
        if (!end || !debian_version_is_valid(version, (size_t)(end - version)))
                return NULL;
        *ret_name_size = name;
        *ret_size = (size_t)(end - version);
        return version;
}

static bool is_name(const char *line, size_t size, const char *name)
{
        return size == strlen(name) && strncmp(line, name, size) == 0;
}

/* Kernels that Debian signs come from a source of their own, whose changelog goes on with that of "linux":
 * what is 6.1.9-2 there is 6.1.9+2 here. */
static bool is_signed_kernel(const Reader *reader, const char *line, size_t size)
{
        return strncmp(reader->source, SIGNED_KERNEL, strlen(SIGNED_KERNEL)) == 0 &&
               is_name(line, size, "linux");
}

/* 1: what follows is of another package. */
static int begin_entry(Reader *reader, const char *line, size_t size)
{
        size_t name_size, version_size;
        const char *version = parse_header(line, size, &name_size, &version_size);
        char *revision;
        bool is_kernel;

        if (!version)
                return 0;
        is_kernel = is_signed_kernel(reader, line, name_size);
        if (!is_kernel && !is_name(line, name_size, reader->source))
                return 1;
        memcpy(reader->version, version, version_size);
        reader->version[version_size] = 0;
        revision = is_kernel ? strrchr(reader->version, '-') : NULL;
        if (revision)
                *revision = '+';
        reader->is_in_entry = true;
        return 0;
}

static int take_cves(Reader *reader, const char *line, size_t size)
{
        const char *at = line;
        char cve[CVE_MAX];
        int r = 0;

        /* One more than may be is enough to know that they are too many. */
        while (r >= 0 && reader->is_in_entry && reader->count <= FIXES_CVES_MAX &&
                        find_cve(&at, line + size, cve)) {
                r = strv_append(&reader->cves, cve);
                reader->count++;
        }
        return r;
}

static int read_line(Reader *reader, const char *line, size_t size)
{
        bool begins = size > 0 && !isspace((unsigned char)line[0]);
        int r = begins ? end_entry(reader) : 0;

        if (r < 0 || reader->is_full)
                return r;
        return begins ? begin_entry(reader, line, size) : take_cves(reader, line, size);
}

int fixes_read_changelog(const char *text, const char *source, json_t **ret)
{
        Reader reader = { .source = source, .entries = json_array() };
        int r = reader.entries ? 0 : -ENOMEM;

        while (r == 0 && !reader.is_full && *text) {
                size_t size = strcspn(text, "\n");

                r = read_line(&reader, text, size);
                text += size + (text[size] == '\n');
        }
        if (r >= 0 && !reader.is_full)
                r = end_entry(&reader);
        strv_free(reader.cves);
        if (r < 0 || json_array_size(reader.entries) == 0) {
                json_decref(reader.entries);
                if (r >= 0)
                        *ret = NULL;
                return r < 0 ? r : 0;
        }
        *ret = json_pack("{s:o}", "entries", reader.entries);
        return *ret ? 0 : -ENOMEM;
}

/* ---- the paper ---- */

static const char *version_of(const json_t *entry)
{
        return json_string_value(json_is_object(entry) ? json_object_get(entry, "version") : entry);
}

static bool is_cve(const json_t *value)
{
        const char *text = json_string_value(value);

        return text && strncmp(text, PREFIX, strlen(PREFIX)) == 0 &&
               cve_length(text) == json_string_length(value);
}

static int check_entry(const json_t *entry, size_t *total, Error *error)
{
        const char *version = version_of(entry);
        json_t *cves = NULL, *cve;
        size_t i;
        int r = json_is_object(entry) ? json_get_array(entry, "cves", &cves, error) : 0;

        if (r < 0)
                return r;
        *total += json_array_size(cves);
        if (!version || !debian_version_is_valid(version, strlen(version)) || *total > FIXES_CVES_MAX)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "an entry is not well-formed or too long");
        json_array_foreach(cves, i, cve) if (!is_cve(cve)) return error_set(
                        error, ERROR_UNTRUSTED, EBADMSG, "what should be a CVE number is none");
        return 0;
}

static int check_source(const json_t *source, Error *error)
{
        json_t *entries, *entry;
        size_t i, total = 0;
        int r = json_get_array(source, "entries", &entries, error);

        if (r < 0)
                return r;
        if (json_array_size(entries) == 0 || json_array_size(entries) > FIXES_ENTRIES_MAX)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "a source is not well-formed or too long");
        json_array_foreach(entries, i, entry)
        {
                r = check_entry(entry, &total, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_paper(const json_t *paper, Error *error)
{
        const char *name;
        json_t *sources, *source;
        int r = json_get_object(paper, "sources", &sources, error);

        if (r < 0)
                return r;
        json_object_foreach(sources, name, source)
        {
                r = check_source(source, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

int fixes_parse(const char *text, size_t size, const char *what, json_t **ret, Error *error)
{
        _cleanup_json_ json_t *paper = NULL;
        uint64_t format;
        int r = json_parse(text, size, FIXES_MAX, what, &paper, error);

        if (r < 0)
                return r;
        r = json_get_u64(paper, "format", &format, error);
        if (r >= 0 && format == FIXES_FORMAT)
                r = check_paper(paper, error);
        if (r < 0)
                return error_prefix(error, r, "%s", what);
        *ret = format == FIXES_FORMAT ? TAKE_PTR(paper) : json_pack("{s:I}", "format", (json_int_t)format);
        return *ret ? 0 : error_oom(error);
}

/* ---- what an update mends ---- */

/* The number of entries if none is of that version. */
static size_t find_entry(const json_t *entries, const char *version)
{
        size_t i = 0, count = json_array_size(entries);

        while (i < count && debian_version_compare(version_of(json_array_get(entries, i)), version) != 0)
                i++;
        return i;
}

/* The first entry that the older image has. */
static size_t find_end(const json_t *entries, const char *old)
{
        size_t count = json_array_size(entries), end = find_entry(entries, old);

        if (end < count)
                return end;
        for (end = 0; end < count; end++)
                if (debian_version_compare(version_of(json_array_get(entries, end)), old) < 0)
                        break;
        return end;
}

/* Into an object of CVE and the version of the lowest entry that names it. */
static int gather(const json_t *entries, size_t begin, size_t end, json_t *found)
{
        for (size_t i = begin; i < end; i++) {
                json_t *entry = json_array_get(entries, i), *cve;
                size_t j;

                json_array_foreach(json_object_get(entry, "cves"), j, cve)
                {
                        if (json_object_set(found, json_string_value(cve),
                                            json_object_get(entry, "version")) < 0)
                                return -ENOMEM;
                }
        }
        return 0;
}

static int put_rows(const json_t *found, const char *source, json_t *array)
{
        size_t count = 0;
        _cleanup_free_ const char **names = calloc(json_object_size(found) + 1, sizeof(*names));
        const char *name;
        json_t *version;
        int failed = names ? 0 : -1;

        if (failed)
                return -ENOMEM;
        json_object_foreach((json_t *)found, name, version) names[count++] = name;
        qsort(names, count, sizeof(*names), by_number);
        for (size_t i = 0; failed == 0 && i < count; i++)
                failed = json_array_append_new(
                                array, json_pack("{s:s, s:O, s:s}", "source", source, "version",
                                                       json_object_get(found, names[i]), "cve", names[i]));
        return failed ? -ENOMEM : 0;
}

static FixesHistory history_of(const json_t *fixes, const json_t *entries, const char *new, size_t end)
{
        if (!json_object_get(fixes, "sources"))
                return FIXES_FOREIGN;
        if (!entries)
                return FIXES_UNKNOWN;
        if (debian_version_compare(version_of(json_array_get(entries, 0)), new) < 0)
                return FIXES_BEHIND;
        return end == json_array_size(entries) ? FIXES_CUT : FIXES_WHOLE;
}

int fixes_list(const json_t *fixes, const char *source, const char *old, const char *new, json_t *array,
                FixesHistory *ret_history)
{
        const json_t *of_source = json_object_get(json_object_get(fixes, "sources"), source);
        const json_t *entries = json_object_get(of_source, "entries");
        size_t begin = find_entry(entries, new), end = find_end(entries, old);
        _cleanup_json_ json_t *found = json_object();
        int r;

        if (begin == json_array_size(entries))
                begin = 0;
        r = found ? gather(entries, begin, end, found) : -ENOMEM;
        if (r >= 0)
                r = put_rows(found, source, array);
        if (r >= 0)
                *ret_history = history_of(fixes, entries, new, end);
        return r;
}
