/* SPDX-License-Identifier: Apache-2.0 */
#include "bus-request.h"

#include "bus-json.h"
#include "bus-names.h"
#include "json.h"
#include "log.h"

#include <string.h>

typedef struct RequestFlag {
        const char *name;
        unsigned flag;
        bool is_override; /* of a refusal: needs more than the right to update */
} RequestFlag;

static const RequestFlag request_flags[] = {
        { "allow_expired", INSTALL_ALLOW_EXPIRED, true },
        { "allow_floor", INSTALL_FORCE_FLOOR, true },
        { "allow_ledger", INSTALL_FORCE_LEDGER, true },
        { "allow_older", INSTALL_ALLOW_OLDER, true },
        { "allow_pinned", INSTALL_FORCE_PIN, true },
        { "allow_withdrawn", INSTALL_ALLOW_WITHDRAWN, true },
        { "reboot", INSTALL_REBOOT, false },
        { "reinstall", INSTALL_REINSTALL, false },
};

int bus_answer_error(sd_bus_error *ret, int r, const Error *error)
{
        char name[BUS_ERROR_NAME_MAX];

        if (!error_is_set(error))
                return sd_bus_error_set_errno(ret, r);
        return sd_bus_error_set(ret, bus_error_name(error->code, name), error->message);
}

static int answer_usage(sd_bus_error *ret, const char *mistake, const char *what)
{
        Error error = { 0 };
        int r = error_set(&error, ERROR_USAGE, EINVAL, "%s: \"%s\"", mistake, what);

        return bus_answer_error(ret, r, &error);
}

void bus_request_done(BusRequest *request)
{
        free(request->version);
        request->version = NULL;
}

static int request_flag(BusRequest *request, const char *name, const json_t *value, sd_bus_error *error)
{
        for (size_t i = 0; i < ELEMENTS(request_flags); i++) {
                if (strcmp(request_flags[i].name, name) != 0)
                        continue;
                if (!json_is_boolean(value))
                        return answer_usage(error, "this option takes a boolean", name);
                request->flags |= json_is_true(value) ? request_flags[i].flag : 0;
                request->is_override = request->is_override ||
                                       (json_is_true(value) && request_flags[i].is_override);
                return 0;
        }
        return answer_usage(error, "there is no such option", name);
}

static int request_member(BusRequest *request, const char *name, const json_t *value, sd_bus_error *error)
{
        if (strcmp(name, "scheduled") == 0 && json_is_boolean(value)) {
                request->is_scheduled = json_is_true(value);
                return 0;
        }
        if (strcmp(name, "version") != 0)
                return request_flag(request, name, value, error);
        if (!json_is_string(value) || !version_is_valid(json_string_value(value)))
                return answer_usage(error, "this is not a version",
                                json_is_string(value) ? json_string_value(value) : "?");
        free(request->version);
        request->version = strdup(json_string_value(value));
        return request->version ? 0 : -ENOMEM;
}

int bus_request_read(sd_bus_message *call, BusRequest *ret, sd_bus_error *error)
{
        _cleanup_bus_request_ BusRequest request = { 0 };
        _cleanup_json_ json_t *options = NULL;
        const char *name;
        json_t *value;
        int r = sd_bus_message_rewind(call, true);

        if (r >= 0)
                r = bus_json_read(call, &options);
        if (r < 0)
                return answer_usage(error, "the options cannot be read", strerror(-r));
        json_object_foreach(options, name, value)
        {
                r = request_member(&request, name, value, error);
                if (r < 0)
                        return r;
        }
        *ret = request;
        request.version = NULL;
        return 0;
}

void bus_request_log(const BusRequest *request, sd_bus_message *call)
{
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
        const char *version = request->version ? request->version : "the best release";
        uid_t uid = (uid_t)-1;

        if (!request->is_override)
                return;
        if (sd_bus_query_sender_creds(call, SD_BUS_CREDS_EUID, &creds) >= 0)
                (void)sd_bus_creds_get_euid(creds, &uid);
        for (size_t i = 0; i < ELEMENTS(request_flags); i++)
                if (request_flags[i].is_override && (request->flags & request_flags[i].flag))
                        log_notice("user %d asks for %s with %s", (int)uid, version, request_flags[i].name);
}

int bus_request_version(sd_bus_message *call, const char **ret, sd_bus_error *error)
{
        const char *version;
        int r = sd_bus_message_read(call, "s", &version);

        if (r < 0)
                return r;
        if (version[0] && !version_is_valid(version))
                return answer_usage(error, "this is not a version", version);
        *ret = version[0] ? version : NULL;
        return 0;
}
