/* SPDX-License-Identifier: Apache-2.0 */
#include "bus-json.h"

#include "json.h"

#include <stdio.h>
#include <string.h>

static int append_variant(sd_bus_message *message, const json_t *value);

static bool is_left_out(const json_t *value)
{
        return json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0);
}

static int append_member(sd_bus_message *message, const char *name, const json_t *value)
{
        int r = sd_bus_message_open_container(message, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(message, "s", name);
        if (r >= 0)
                r = append_variant(message, value);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int bus_json_append_object(sd_bus_message *message, const json_t *object)
{
        const char *name;
        json_t *value;
        int r;

        if (!json_is_object(object))
                return -EINVAL;
        r = sd_bus_message_open_container(message, 'a', "{sv}");
        json_object_foreach((json_t *)object, name, value)
        {
                if (r >= 0 && !is_left_out(value))
                        r = append_member(message, name, value);
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int bus_json_append_objects(sd_bus_message *message, const json_t *array)
{
        size_t index;
        json_t *value;
        int r;

        if (!json_is_array(array))
                return -EINVAL;
        r = sd_bus_message_open_container(message, 'a', "a{sv}");
        json_array_foreach(array, index, value)
        {
                if (r >= 0)
                        r = bus_json_append_object(message, value);
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_strings(sd_bus_message *message, const json_t *array)
{
        size_t index;
        json_t *value;
        int r = sd_bus_message_open_container(message, 'a', "s");

        json_array_foreach(array, index, value)
        {
                if (!json_is_string(value))
                        return -EINVAL;
                if (r >= 0)
                        r = sd_bus_message_append(message, "s", json_string_value(value));
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}

/* A container with the type in front of it, as a variant wants it. */
static int append_nested(sd_bus_message *message, const char *type, const json_t *value,
                int (*append)(sd_bus_message *, const json_t *))
{
        int r = sd_bus_message_open_container(message, 'v', type);

        if (r >= 0)
                r = append(message, value);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_variant(sd_bus_message *message, const json_t *value)
{
        switch (json_typeof(value)) {
        case JSON_STRING:
                return sd_bus_message_append(message, "v", "s", json_string_value(value));
        case JSON_INTEGER:
                if (json_integer_value(value) < 0)
                        return sd_bus_message_append(message, "v", "x", (int64_t)json_integer_value(value));
                return sd_bus_message_append(message, "v", "t", (uint64_t)json_integer_value(value));
        case JSON_TRUE:
        case JSON_FALSE:
                return sd_bus_message_append(message, "v", "b", (int)json_is_true(value));
        case JSON_REAL:
                return sd_bus_message_append(message, "v", "d", json_real_value(value));
        case JSON_OBJECT:
                return append_nested(message, "a{sv}", value, bus_json_append_object);
        case JSON_ARRAY:
                if (json_is_object(json_array_get(value, 0)))
                        return append_nested(message, "aa{sv}", value, bus_json_append_objects);
                return append_nested(message, "as", value, append_strings);
        case JSON_NULL:
                break;
        }
        return -EINVAL;
}

static int read_value(sd_bus_message *message, unsigned depth, json_t **ret);

static json_t *integer(uint64_t number)
{
        return json_integer((json_int_t)MIN_OF(number, (uint64_t)INT64_MAX));
}

/* Every basic type; a union keeps the reading in one place. */
static json_t *basic_value(sd_bus_message *message, char type)
{
        union {
                uint8_t y;
                int b;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
                const char *s;
        } value = { 0 };

        if (sd_bus_message_read_basic(message, type, &value) < 0)
                return NULL;
        switch (type) {
        case 'y':
                return integer(value.y);
        case 'b':
                return json_boolean(value.b);
        case 'n':
                return json_integer(value.n);
        case 'q':
                return integer(value.q);
        case 'i':
                return json_integer(value.i);
        case 'u':
                return integer(value.u);
        case 'x':
                return json_integer(value.x);
        case 't':
                return integer(value.t);
        case 'd':
                return json_real(value.d);
        case 's':
        case 'o':
        case 'g':
                return json_string(value.s);
        default:
                return NULL;
        }
}

static int read_member(sd_bus_message *message, unsigned depth, json_t *object)
{
        _cleanup_json_ json_t *value = NULL;
        const char *name, *contents;
        char type;
        int r = sd_bus_message_peek_type(message, &type, &contents);

        if (r <= 0)
                return r;
        r = sd_bus_message_enter_container(message, type, contents);
        if (r >= 0)
                r = sd_bus_message_read_basic(message, 's', &name);
        if (r >= 0)
                r = read_value(message, depth + 1, &value);
        if (r > 0 && json_object_set(object, name, value) < 0)
                r = -ENOMEM;
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        return r < 0 ? r : 1;
}

static int read_members(sd_bus_message *message, unsigned depth, json_t *object)
{
        int r;

        do
                r = read_member(message, depth, object);
        while (r > 0);
        return r;
}

static int read_elements(sd_bus_message *message, unsigned depth, json_t *array)
{
        for (;;) {
                _cleanup_json_ json_t *value = NULL;
                int r = read_value(message, depth + 1, &value);

                if (r <= 0)
                        return r;
                if (json_array_append(array, value) < 0)
                        return -ENOMEM;
        }
}

static int read_container(
                sd_bus_message *message, char type, const char *contents, unsigned depth, json_t **ret)
{
        _cleanup_json_ json_t *value = NULL;
        bool is_object = type == 'a' && strncmp(contents, "{s", 2) == 0;
        int r = sd_bus_message_enter_container(message, type, contents);

        if (r < 0)
                return r;
        if (type == 'v') {
                r = read_value(message, depth + 1, &value);
        } else {
                value = is_object ? json_object() : json_array();
                if (!value)
                        return -ENOMEM;
                r = is_object ? read_members(message, depth, value) : read_elements(message, depth, value);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(value);
        return 1;
}

static int read_value(sd_bus_message *message, unsigned depth, json_t **ret)
{
        const char *contents;
        char type;
        int r;

        if (depth > BUS_JSON_DEPTH_MAX)
                return -E2BIG;
        r = sd_bus_message_peek_type(message, &type, &contents);
        if (r <= 0)
                return r;
        if (contents)
                return read_container(message, type, contents, depth, ret);
        *ret = basic_value(message, type);
        return *ret ? 1 : -EBADMSG;
}

int bus_json_read(sd_bus_message *message, json_t **ret)
{
        return read_value(message, 0, ret);
}
