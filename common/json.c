/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include "hex.h"

int json_parse(const char *text, size_t size, size_t cap_bytes, const char *what, json_t **ret, Error *error)
{
        json_error_t problem;
        json_t *json;

        if (size > cap_bytes)
                return error_set(error, ERROR_UNTRUSTED, E2BIG, "%s is %zu bytes long, more than the %zu allowed",
                                what, size, cap_bytes);
        json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
        if (!json && json_error_code(&problem) == json_error_out_of_memory)
                return error_oom(error);
        if (!json)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "%s is not valid JSON: line %d: %s", what,
                                problem.line, problem.text);
        *ret = json;
        return 0;
}

static int wrong_member(const char *name, const char *type, const json_t *value, Error *error)
{
        if (!value)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "member \"%s\" is missing", name);
        return error_set(error, ERROR_UNTRUSTED, EBADMSG, "member \"%s\" is not %s", name, type);
}

int json_get_string(const json_t *object, const char *name, const char **ret, Error *error)
{
        const json_t *value = json_object_get(object, name);

        /* A NUL inside would make what we compare differ from what was signed. */
        if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
                return wrong_member(name, "a string", value, error);
        *ret = json_string_value(value);
        return 0;
}

int json_get_string_optional(const json_t *object, const char *name, const char **ret, Error *error)
{
        return json_object_get(object, name) ? json_get_string(object, name, ret, error) : 0;
}

int json_get_u64(const json_t *object, const char *name, uint64_t *ret, Error *error)
{
        const json_t *value = json_object_get(object, name);

        if (!json_is_integer(value) || json_integer_value(value) < 0)
                return wrong_member(name, "a whole number", value, error);
        *ret = (uint64_t)json_integer_value(value);
        return 0;
}

int json_get_u64_optional(const json_t *object, const char *name, uint64_t *ret, Error *error)
{
        return json_object_get(object, name) ? json_get_u64(object, name, ret, error) : 0;
}

int json_get_object(const json_t *object, const char *name, json_t **ret, Error *error)
{
        json_t *value = json_object_get(object, name);

        if (!json_is_object(value))
                return wrong_member(name, "an object", value, error);
        *ret = value;
        return 0;
}

int json_get_array(const json_t *object, const char *name, json_t **ret, Error *error)
{
        json_t *value = json_object_get(object, name);

        if (!json_is_array(value))
                return wrong_member(name, "an array", value, error);
        *ret = value;
        return 0;
}

int json_get_hex(const json_t *object, const char *name, void *ret, size_t size, Error *error)
{
        const char *text;
        int r = json_get_string(object, name, &text, error);

        if (r < 0)
                return r;
        if (hex_decode(text, ret, size) < 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "member \"%s\" is not %zu bytes in hexadecimal",
                                name, size);
        return 0;
}
