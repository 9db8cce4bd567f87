/* SPDX-License-Identifier: Apache-2.0 */
#include "bus-connect.h"
#include "bus-json.h"
#include "bus-names.h"
#include "cli.h"
#include "json.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int cli_connect(sd_bus **ret, Error *error)
{
        int r = bus_connect(getenv("BASCULE_BUS"), ret);

        if (r < 0)
                return error_set(error, ERROR_UNAVAILABLE, -r,
                                "cannot reach the message bus (%s); is dbus.service running?", strerror(-r));
        return 0;
}

int cli_bus_failed(const sd_bus_error *bus_error, int r, Error *error)
{
        ErrorCode code = bus_error_code(bus_error->name);

        if (!sd_bus_error_is_set(bus_error))
                code = r == -ECONNRESET || r == -ENOTCONN || r == -ETIMEDOUT ? ERROR_UNAVAILABLE
                                                                             : ERROR_FAILED;
        if (code == ERROR_UNAVAILABLE &&
                        !(bus_error->name && strncmp(bus_error->name, BUS_ERROR_PREFIX,
                                                             strlen(BUS_ERROR_PREFIX)) == 0))
                return error_set(error, code, -r,
                                "basculed does not answer; `systemctl start basculed` starts it and "
                                "`journalctl -u basculed` shows why it stopped");
        if (bus_error->name && strcmp(bus_error->name, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED) == 0)
                return error_set(error, code, -r, "this needs an administrator; try it with sudo");
        return error_set(error, code, -r, "%s", bus_error->message ? bus_error->message : strerror(-r));
}

static void make_printable(char *text)
{
        for (unsigned char *p = (unsigned char *)text; *p; p++)
                if ((*p < 0x20 && *p != '\n') || *p == 0x7f)
                        *p = '?';
}

/* What the daemon repeats of servers and disks must not drive the administrator's terminal. */
static void clean(json_t *value)
{
        const char *name;
        json_t *member;
        size_t index;

        json_object_foreach(value, name, member)
        {
                clean(member);
        }
        json_array_foreach(value, index, member)
        {
                clean(member);
        }
        if (json_is_string(value)) {
                _cleanup_free_ char *copy = strdup(json_string_value(value));

                if (copy) {
                        make_printable(copy);
                        (void)json_string_set(value, copy);
                }
        }
}

/* Sends the call and takes the first value of the reply. */
static int call(sd_bus *bus, sd_bus_message *message, json_t **ret, Error *error)
{
        _cleanup_(sd_bus_error_free) sd_bus_error bus_error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *value = NULL;
        int r;

        r = sd_bus_message_set_allow_interactive_authorization(message, isatty(STDIN_FILENO) == 1);
        if (r >= 0)
                r = sd_bus_call(bus, message, UINT64_MAX, &bus_error, &reply);
        if (r < 0)
                return cli_bus_failed(&bus_error, r, error);
        if (!ret)
                return 0;
        r = bus_json_read(reply, &value);
        if (r < 0)
                return error_set(error, ERROR_INCOMPATIBLE, -r,
                                "basculed gave an answer that this program does not "
                                "understand; are both of one version?");
        clean(value);
        *ret = r == 0 ? json_null() : TAKE_PTR(value);
        return 0;
}

static int call_new(
                sd_bus *bus, const char *interface, const char *method, sd_bus_message **ret, Error *error)
{
        int r = sd_bus_message_new_method_call(bus, ret, BUS_NAME, BUS_PATH, interface, method);

        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot make a bus message: %s", strerror(-r)) : 0;
}

int cli_call(sd_bus *bus, const char *method, json_t **ret, Error *error, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        va_list arguments;
        int r = call_new(bus, BUS_INTERFACE, method, &message, error);

        if (r < 0)
                return r;
        va_start(arguments, types);
        r = types ? sd_bus_message_appendv(message, types, arguments) : 0;
        va_end(arguments);
        return r < 0 ? error_set(error, ERROR_USAGE, -r, "an argument cannot be sent to basculed: %s",
                                       strerror(-r))
                     : call(bus, message, ret, error);
}

int cli_call_options(sd_bus *bus, const char *method, const json_t *options, json_t **ret, Error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r = call_new(bus, BUS_INTERFACE, method, &message, error);

        if (r < 0)
                return r;
        r = bus_json_append_object(message, options);
        return r < 0 ? error_set(error, ERROR_USAGE, -r, "an option cannot be sent to basculed: %s",
                                       strerror(-r))
                     : call(bus, message, ret, error);
}

int cli_properties(sd_bus *bus, json_t **ret, Error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r = call_new(bus, "org.freedesktop.DBus.Properties", "GetAll", &message, error);

        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "s", BUS_INTERFACE);
        return r < 0 ? error_oom(error) : call(bus, message, ret, error);
}

int cli_ask(const char *method, const json_t *options, json_t **ret, Error *error)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r = cli_connect(&bus, error);

        if (r < 0)
                return r;
        return options ? cli_call_options(bus, method, options, ret, error)
                       : cli_call(bus, method, ret, error, NULL);
}
