/* SPDX-License-Identifier: Apache-2.0 */
#include "bus-json.h"
#include "bus-names.h"
#include "json.h"
#include "test.h"

#include <string.h>
#include <sys/socket.h>

/* A message that nobody receives: made, sealed and read again. */
static sd_bus_message *make_message(sd_bus **ret_bus)
{
        sd_bus_message *message = NULL;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 || sd_bus_new(ret_bus) < 0 ||
                        sd_bus_set_fd(*ret_bus, fds[0], fds[0]) < 0 || sd_bus_start(*ret_bus) < 0)
                return NULL;
        (void)close(fds[1]);
        (void)sd_bus_message_new_signal(*ret_bus, &message, "/a", "a.b", "C");
        return message;
}

static bool survives(const char *text, bool is_array)
{
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = make_message(&bus);
        _cleanup_json_ json_t *before = json_loads(text, 0, NULL), *after = NULL;

        if (!message || !before)
                return false;
        if ((is_array ? bus_json_append_objects(message, before) : bus_json_append_object(message, before)) <
                        0)
                return false;
        if (sd_bus_message_seal(message, 1, 0) < 0 || sd_bus_message_rewind(message, true) < 0)
                return false;
        return bus_json_read(message, &after) == 1 && json_equal(before, after);
}

TEST(objects_survive_the_bus)
{
        CHECK(survives("{}", false));
        CHECK(survives("{\"a\": \"text\", \"b\": 7, \"c\": -7, \"d\": true, \"e\": false, \"f\": 1.5}",
                        false));
        CHECK(survives("{\"a\": {\"b\": {\"c\": \"d\"}}, \"words\": [\"x\", \"y\"]}", false));
        CHECK(survives("{\"list\": [{\"a\": 1}, {\"b\": \"2\"}]}", false));
        CHECK(survives("{\"big\": 9223372036854775807}", false));
}

TEST(arrays_of_objects_survive_the_bus)
{
        CHECK(survives("[]", true));
        CHECK(survives("[{\"version\": \"1\"}, {\"version\": \"2\", \"time\": 5}]", true));
}

TEST(null_and_empty_arrays_are_left_out)
{
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = make_message(&bus);
        _cleanup_json_ json_t *before = json_loads("{\"a\": null, \"b\": [], \"c\": 1}", 0, NULL),
                              *after = NULL;

        CHECK(message && before);
        CHECK_OK(bus_json_append_object(message, before));
        CHECK_OK(sd_bus_message_seal(message, 1, 0));
        CHECK_OK(sd_bus_message_rewind(message, true));
        CHECK_EQ(bus_json_read(message, &after), 1);
        CHECK_EQ(json_object_size(after), 1);
        CHECK_EQ(json_integer_value(json_object_get(after, "c")), 1);
}

TEST(what_has_no_form_on_the_bus_is_refused)
{
        CHECK(!survives("{\"a\": [1, 2]}", false));
        CHECK(!survives("[\"a\"]", true));
        CHECK(!survives("[]", false));
        CHECK(!survives("{}", true));
}

TEST(other_types_are_read_too)
{
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = make_message(&bus);
        _cleanup_json_ json_t *number = NULL, *structure = NULL, *dictionary = NULL, *end = NULL;

        CHECK(message);
        CHECK_OK(sd_bus_message_append(message, "t(yu)a{ss}", UINT64_MAX, 1, 2u, 1, "a", "b"));
        CHECK_OK(sd_bus_message_seal(message, 1, 0));
        CHECK_OK(sd_bus_message_rewind(message, true));
        CHECK_EQ(bus_json_read(message, &number), 1);
        CHECK_EQ(json_integer_value(number), INT64_MAX);
        CHECK_EQ(bus_json_read(message, &structure), 1);
        CHECK_EQ(json_array_size(structure), 2);
        CHECK_EQ(bus_json_read(message, &dictionary), 1);
        CHECK_STR(json_string_value(json_object_get(dictionary, "a")), "b");
        CHECK_EQ(bus_json_read(message, &end), 0);
}

TEST(too_deep_a_value_is_refused)
{
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = make_message(&bus);
        _cleanup_json_ json_t *value = NULL;

        CHECK(message);
        for (int i = 0; i < 20; i++)
                CHECK_OK(sd_bus_message_open_container(message, 'v', i == 19 ? "s" : "v"));
        CHECK_OK(sd_bus_message_append(message, "s", "deep"));
        for (int i = 0; i < 20; i++)
                CHECK_OK(sd_bus_message_close_container(message));
        CHECK_OK(sd_bus_message_seal(message, 1, 0));
        CHECK_OK(sd_bus_message_rewind(message, true));
        CHECK_EQ(bus_json_read(message, &value), -E2BIG);
}

TEST(error_names_are_camel_case_and_come_back)
{
        char name[BUS_ERROR_NAME_MAX];

        CHECK_STR(bus_error_name(ERROR_NO_SPACE, name), "io.bascule.Error.NoSpace");
        CHECK_STR(bus_error_name(ERROR_MISSING_TOOL, name), "io.bascule.Error.MissingTool");
        CHECK_STR(bus_error_name(ERROR_NOTHING_TO_DO, name), "io.bascule.Error.NothingToDo");
        for (int code = ERROR_FAILED; code < ERROR_CODE_MAX; code++)
                CHECK_EQ(bus_error_code(bus_error_name((ErrorCode)code, name)), code);
}

TEST(the_bus_own_errors_have_codes)
{
        CHECK_EQ(bus_error_code("org.freedesktop.DBus.Error.ServiceUnknown"), ERROR_UNAVAILABLE);
        CHECK_EQ(bus_error_code("org.freedesktop.DBus.Error.Spawn.ChildExited"), ERROR_UNAVAILABLE);
        CHECK_EQ(bus_error_code("org.freedesktop.DBus.Error.AccessDenied"), ERROR_PERMISSION);
        CHECK_EQ(bus_error_code("org.freedesktop.DBus.Error.Other"), ERROR_FAILED);
        CHECK_EQ(bus_error_code("com.example.Error"), ERROR_FAILED);
        CHECK_EQ(bus_error_code(NULL), ERROR_FAILED);
}

TEST_MAIN
