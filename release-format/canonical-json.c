/* SPDX-License-Identifier: Apache-2.0 */
#include "canonical-json.h"

#include <string.h>

static int append_string(Buffer *buffer, const char *text, size_t size)
{
        int r = buffer_append_byte(buffer, '"');

        for (size_t i = 0; i < size && r >= 0; i++) {
                if (text[i] == '"' || text[i] == '\\')
                        r = buffer_append_byte(buffer, '\\');
                if (r >= 0)
                        r = buffer_append_byte(buffer, (uint8_t)text[i]);
        }
        return r < 0 ? r : buffer_append_byte(buffer, '"');
}

/* UTF-8 keeps the order of code points when it is compared byte by byte. */
static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int append_value(Buffer *buffer, const json_t *value);

static int append_members(Buffer *buffer, const json_t *object, const char **keys, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                int r = i > 0 ? buffer_append_byte(buffer, ',') : 0;

                if (r >= 0)
                        r = append_string(buffer, keys[i], strlen(keys[i]));
                if (r >= 0)
                        r = buffer_append_byte(buffer, ':');
                if (r >= 0)
                        r = append_value(buffer, json_object_get(object, keys[i]));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int append_object(Buffer *buffer, const json_t *object)
{
        _cleanup_free_ const char **keys = calloc(json_object_size(object) + 1, sizeof(*keys));
        json_t *unconst = (json_t *)object;
        size_t count = 0;
        int r;

        if (!keys)
                return -ENOMEM;
        for (void *i = json_object_iter(unconst); i; i = json_object_iter_next(unconst, i))
                keys[count++] = json_object_iter_key(i);
        qsort(keys, count, sizeof(*keys), compare_keys);
        r = buffer_append_byte(buffer, '{');
        if (r >= 0)
                r = append_members(buffer, object, keys, count);
        return r < 0 ? r : buffer_append_byte(buffer, '}');
}

static int append_array(Buffer *buffer, const json_t *array)
{
        int r = buffer_append_byte(buffer, '[');

        for (size_t i = 0; i < json_array_size(array) && r >= 0; i++) {
                if (i > 0)
                        r = buffer_append_byte(buffer, ',');
                if (r >= 0)
                        r = append_value(buffer, json_array_get(array, i));
        }
        return r < 0 ? r : buffer_append_byte(buffer, ']');
}

/* Recursion is as deep as the value, and jansson's parser bounds that (2048). */
static int append_value(Buffer *buffer, const json_t *value)
{
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return append_object(buffer, value);
        case JSON_ARRAY:
                return append_array(buffer, value);
        case JSON_STRING:
                return append_string(buffer, json_string_value(value), json_string_length(value));
        case JSON_INTEGER:
                return buffer_printf(buffer, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        case JSON_TRUE:
                return buffer_append_string(buffer, "true");
        case JSON_FALSE:
                return buffer_append_string(buffer, "false");
        case JSON_NULL:
                return buffer_append_string(buffer, "null");
        case JSON_REAL:
                break;
        }
        return -EBADMSG;
}

int canonical_json_append(Buffer *buffer, const json_t *value, Error *error)
{
        int r = append_value(buffer, value);

        if (r == -EBADMSG)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "a number that is not an integer cannot be signed");
        if (r == -E2BIG)
                return error_set(error, ERROR_UNTRUSTED, E2BIG, "the JSON is longer than allowed");
        return r < 0 ? error_oom(error) : 0;
}
