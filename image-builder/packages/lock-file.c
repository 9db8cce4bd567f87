/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "hex.h"
#include "json.h"
#include "lock.h"
#include "strv.h"
#include "utc.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#define TEXT_MAX 1024 /* of one string */

/* ---- reading ---- */

static int refuse(const char *what, const char *why, Error *error)
{
        return error_set(error, ERROR_CONFIG, EBADMSG,
                        "%s is not a lock that this program can use: %s; make it anew with \"bascule-image "
                        "lock "
                        "--update\"",
                        what, why);
}

static bool is_made_of(const char *text, const char *more)
{
        size_t length = strlen(text);

        if (length == 0 || length > TEXT_MAX)
                return false;
        for (size_t i = 0; i < length; i++)
                if (!isascii((unsigned char)text[i]) ||
                                (!isalnum((unsigned char)text[i]) && !strchr(more, text[i])))
                        return false;
        return true;
}

/* As Debian's policy has it: names become arguments of apt, where "-x" would be an option and "x-" would
 * mean to remove x. */
static bool is_package_name(const char *text)
{
        size_t length = strlen(text);

        return is_made_of(text, "+-.") &&
               strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == length &&
               isalnum((unsigned char)text[0]) && text[length - 1] != '-';
}

/* As in a URL, below the mirror. */
static bool is_path(const char *text)
{
        if (!is_made_of(text, "/.-+~_%:") || text[0] == '/')
                return false;
        for (const char *part = text; *part;) {
                size_t length = strcspn(part, "/");

                if (length == 0 || (length == 1 && part[0] == '.') ||
                                (length == 2 && part[0] == '.' && part[1] == '.'))
                        return false;
                part += length + (part[length] ? 1 : 0);
        }
        return true;
}

/* Such as "https://...": it becomes an argument of a program. */
static bool is_mirror(const char *text)
{
        return is_made_of(text, "/.-+~_%:@[]") && isalpha((unsigned char)text[0]) && strstr(text, ":/");
}

static bool is_plain(const char *text)
{
        size_t length = strlen(text);

        for (size_t i = 0; i < length; i++)
                if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
                        return false;
        return length > 0 && length <= TEXT_MAX;
}

static int take(const json_t *object, const char *name, char **ret, Error *error)
{
        const char *text;
        int r = json_get_string(object, name, &text, error);

        if (r < 0)
                return r;
        *ret = strdup(text);
        return *ret ? 0 : error_oom(error);
}

static int read_request(const json_t *root, Lock *lock, Error *error)
{
        json_t *array, *item;
        size_t i;
        int r = json_get_array(root, "request", &array, error);

        if (r >= 0 && json_array_size(array) > LOCK_PACKAGES_MAX)
                return -EBADMSG;
        if (r >= 0)
                json_array_foreach(array, i, item)
                {
                        if (!json_is_string(item))
                                return -EBADMSG;
                        r = strv_append(&lock->request, json_string_value(item));
                        if (r < 0)
                                return error_oom(error);
                }
        return r;
}

static int read_indexes(const json_t *object, LockSource *source, Error *error)
{
        json_t *array, *item;
        size_t i;
        int r = json_get_array(object, "indexes", &array, error);

        if (r >= 0 && json_array_size(array) > LOCK_INDEXES_MAX)
                return -EBADMSG;
        if (r < 0)
                return r;
        source->indexes = calloc(json_array_size(array) + 1, sizeof(*source->indexes));
        if (!source->indexes)
                return error_oom(error);
        json_array_foreach(array, i, item)
        {
                LockIndex *index = &source->indexes[source->index_count++];

                r = take(item, "name", &index->name, error);
                if (r >= 0)
                        r = json_get_hex(item, "sha256", index->sha256, SHA256_SIZE, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_source(const json_t *object, LockSource *source, Error *error)
{
        const char *date;
        int r = take(object, "suite", &source->suite, error);

        if (r >= 0)
                r = take(object, "mirror", &source->mirror, error);
        if (r >= 0)
                r = json_get_string(object, "date", &date, error);
        if (r >= 0)
                r = utc_parse(date, &source->time);
        if (r >= 0)
                r = json_get_hex(object, "sha256", source->sha256, SHA256_SIZE, error);
        if (r >= 0 && (!is_plain(source->suite) || !is_mirror(source->mirror)))
                r = -EBADMSG;
        return r < 0 ? r : read_indexes(object, source, error);
}

static int read_sources(const json_t *root, Lock *lock, Error *error)
{
        json_t *array, *item;
        size_t i;
        int r = json_get_array(root, "sources", &array, error);

        if (r >= 0 && json_array_size(array) > LOCK_SOURCES_MAX)
                return -EBADMSG;
        if (r < 0)
                return r;
        lock->sources = calloc(json_array_size(array) + 1, sizeof(*lock->sources));
        if (!lock->sources)
                return error_oom(error);
        json_array_foreach(array, i, item)
        {
                r = read_source(item, &lock->sources[lock->source_count++], error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_package(const json_t *object, const Lock *lock, LockPackage *package, Error *error)
{
        uint64_t source;
        int r = take(object, "name", &package->name, error);

        if (r >= 0)
                r = take(object, "version", &package->version, error);
        if (r >= 0)
                r = take(object, "architecture", &package->architecture, error);
        if (r >= 0)
                r = take(object, "path", &package->path, error);
        if (r >= 0)
                r = json_get_u64(object, "size", &package->size_bytes, error);
        if (r >= 0)
                r = json_get_u64(object, "source", &source, error);
        if (r >= 0)
                r = json_get_hex(object, "sha256", package->sha256, SHA256_SIZE, error);
        if (r < 0)
                return r;
        package->source = (size_t)MIN_OF(source, (uint64_t)lock->source_count); /* which there is none of */
        return 0;
}

static bool is_possible(const Lock *lock, const LockPackage *package)
{
        return is_package_name(package->name) && is_made_of(package->version, "+-.~:") &&
               isalnum((unsigned char)package->version[0]) && is_made_of(package->architecture, "-") &&
               isalnum((unsigned char)package->architecture[0]) && is_path(package->path) &&
               package->size_bytes > 0 && package->size_bytes <= LOCK_PACKAGE_BYTES_MAX &&
               package->source < lock->source_count;
}

/* Every package once: two versions of one cannot both be installed. */
static int check_doubles(const Lock *lock, Error *error)
{
        for (size_t i = 1; i < lock->package_count; i++) {
                const LockPackage *a = &lock->packages[i - 1], *b = &lock->packages[i];

                if (strcmp(a->name, b->name) == 0 && strcmp(a->architecture, b->architecture) == 0)
                        return error_set(error, ERROR_CONFIG, EBADMSG, "it names the package %s twice",
                                        a->name);
        }
        return 0;
}

int lock_check(const Lock *lock, Error *error)
{
        if (lock->package_count > LOCK_PACKAGES_MAX)
                return error_set(error, ERROR_CONFIG, EBADMSG, "it names too many packages");
        for (size_t i = 0; i < lock->package_count; i++)
                if (!is_possible(lock, &lock->packages[i]))
                        return error_set(error, ERROR_CONFIG, EBADMSG,
                                        "it has an impossible entry for the package %s",
                                        lock->packages[i].name);
        return check_doubles(lock, error);
}

static int read_packages(const json_t *root, Lock *lock, Error *error)
{
        json_t *array, *item;
        size_t i;
        int r = json_get_array(root, "packages", &array, error);

        if (r >= 0 && json_array_size(array) > LOCK_PACKAGES_MAX)
                return -EBADMSG;
        if (r < 0)
                return r;
        lock->packages = calloc(json_array_size(array) + 1, sizeof(*lock->packages));
        if (!lock->packages)
                return error_oom(error);
        json_array_foreach(array, i, item)
        {
                r = read_package(item, lock, &lock->packages[lock->package_count++], error);
                if (r < 0)
                        return r;
        }
        lock_sort(lock);
        return lock_check(lock, error);
}

static int read_all(const json_t *root, Lock *lock, Error *error)
{
        uint64_t format;
        int r = json_get_u64(root, "format", &format, error);

        if (r >= 0 && format != LOCK_FORMAT)
                return error_set(error, ERROR_CONFIG, EBADMSG, "its format is %llu",
                                (unsigned long long)format);
        if (r >= 0)
                r = read_request(root, lock, error);
        if (r >= 0)
                r = read_sources(root, lock, error);
        return r < 0 ? r : read_packages(root, lock, error);
}

int lock_parse(const char *text, size_t size, const char *what, Lock **ret, Error *error)
{
        _cleanup_json_ json_t *root = NULL;
        _cleanup_lock_ Lock *lock = lock_new();
        Error why = { 0 };
        int r;

        if (!lock)
                return error_oom(error);
        r = json_parse(text, size, LOCK_FILE_MAX, what, &root, &why);
        if (r >= 0)
                r = read_all(root, lock, &why);
        if (r == -ENOMEM)
                return error_oom(error);
        if (r < 0)
                return refuse(what, error_is_set(&why) ? why.message : "a member is out of bounds", error);
        *ret = TAKE_PTR(lock);
        return 0;
}

int lock_load(const char *path, Lock **ret, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = file_read(AT_FDCWD, path, LOCK_FILE_MAX, &text, &size);

        if (r == -ENOENT)
                return r;
        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "cannot read %s: %s", path, strerror(-r));
        return lock_parse(text, size, path, ret, error);
}

/* ---- writing ---- */

static json_t *hash_json(const uint8_t sha256[static SHA256_SIZE])
{
        char hex[SHA256_HEX_SIZE];

        hex_encode(sha256, SHA256_SIZE, hex);
        return json_string(hex);
}

static json_t *source_json(const LockSource *source)
{
        json_t *indexes = json_array();
        char date[UTC_TEXT_MAX] = "";

        (void)utc_format(source->time, date);
        for (size_t i = 0; i < source->index_count; i++)
                (void)json_array_append_new(
                                indexes, json_pack("{s:s, s:o}", "name", source->indexes[i].name, "sha256",
                                                         hash_json(source->indexes[i].sha256)));
        return json_pack("{s:s, s:s, s:s, s:o, s:o}", "suite", source->suite, "mirror", source->mirror,
                        "date", date, "sha256", hash_json(source->sha256), "indexes", indexes);
}

static json_t *package_json(const LockPackage *package)
{
        return json_pack("{s:s, s:s, s:s, s:I, s:o, s:I, s:s}", "name", package->name, "version",
                        package->version, "architecture", package->architecture, "size",
                        (json_int_t)package->size_bytes, "sha256", hash_json(package->sha256), "source",
                        (json_int_t)package->source, "path", package->path);
}

/* Takes the value over. One a line. */
static int put_item(Buffer *out, json_t *value, bool is_first)
{
        _cleanup_free_ char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

        json_decref(value);
        return text ? buffer_printf(out, "%s\n    %s", is_first ? "" : ",", text) : -ENOMEM;
}

int lock_format(const Lock *lock, char **ret, size_t *ret_size)
{
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(LOCK_FILE_MAX);
        int r = buffer_printf(&out, "{\n  \"format\": %d,\n  \"request\": [", LOCK_FORMAT);

        for (char **line = lock->request; r >= 0 && line && *line; line++)
                r = put_item(&out, json_string(*line), line == lock->request);
        if (r >= 0)
                r = buffer_append_string(&out, "\n  ],\n  \"sources\": [");
        for (size_t i = 0; r >= 0 && i < lock->source_count; i++)
                r = put_item(&out, source_json(&lock->sources[i]), i == 0);
        if (r >= 0)
                r = buffer_append_string(&out, "\n  ],\n  \"packages\": [");
        for (size_t i = 0; r >= 0 && i < lock->package_count; i++)
                r = put_item(&out, package_json(&lock->packages[i]), i == 0);
        if (r >= 0)
                r = buffer_append_string(&out, "\n  ]\n}\n");
        if (r < 0)
                return r;
        *ret = buffer_take(&out, ret_size);
        return *ret ? 0 : -ENOMEM;
}

int lock_save(const Lock *lock, const char *path, Error *error)
{
        _cleanup_lock_ Lock *again = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = lock_format(lock, &text, &size);

        /* What cannot be read again is not written. */
        if (r >= 0) {
                r = lock_parse(text, size, path, &again, error);
                if (r < 0)
                        return r;
        }
        if (r >= 0)
                r = file_replace(AT_FDCWD, path, text, size, 0644);
        return r < 0 ? error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot write %s: %s",
                                       path, strerror(-r))
                     : 0;
}
