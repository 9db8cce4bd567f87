/* SPDX-License-Identifier: Apache-2.0 */
#include "bus.h"

#include "bus-connect.h"
#include "bus-describe.h"
#include "bus-internal.h"
#include "bus-json.h"
#include "bus-names.h"
#include "json.h"

#include <string.h>

#define PROPERTIES_MAX 64

static int get_property(sd_bus *unused_bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *data, sd_bus_error *error)
{
        const Bus *bus = data;
        const json_t *value = json_object_get(bus->properties, property);

        switch (value ? json_typeof(value) : JSON_NULL) {
        case JSON_STRING:
                return sd_bus_message_append(reply, "s", json_string_value(value));
        case JSON_INTEGER:
                return sd_bus_message_append(reply, "t", (uint64_t)json_integer_value(value));
        case JSON_TRUE:
        case JSON_FALSE:
                return sd_bus_message_append(reply, "b", (int)json_is_true(value));
        case JSON_OBJECT:
                return bus_json_append_object(reply, value);
        default:
                return -ENODATA;
        }
}

void bus_changed(Bus *bus)
{
        _cleanup_json_ json_t *before = NULL;
        const char *names[PROPERTIES_MAX + 1] = { NULL };
        const char *name;
        json_t *value;
        size_t count = 0;

        if (!bus)
                return;
        before = bus->properties;
        bus->properties = describe_properties(updater_status(bus->updater), updater_config(bus->updater));
        json_object_foreach(bus->properties, name, value)
        {
                if (count < PROPERTIES_MAX && !json_equal(value, json_object_get(before, name)))
                        names[count++] = name;
        }
        if (count > 0)
                (void)sd_bus_emit_properties_changed_strv(bus->bus, BUS_PATH, BUS_INTERFACE, (char **)names);
}

#define CHANGING(name, type)                                                                                \
        SD_BUS_PROPERTY(name, type, get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ImageId", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Architecture", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        CHANGING("State", "s"),
        CHANGING("OperationVersion", "s"),
        CHANGING("Progress", "a{sv}"),
        CHANGING("RunningVersion", "s"),
        CHANGING("RunningSlot", "s"),
        CHANGING("RunningState", "s"),
        CHANGING("RunningTriesLeft", "t"),
        CHANGING("OtherVersion", "s"),
        CHANGING("OtherSlot", "s"),
        CHANGING("OtherState", "s"),
        CHANGING("OtherTriesLeft", "t"),
        CHANGING("PendingReboot", "b"),
        CHANGING("RebootAt", "t"),
        CHANGING("RebootPolicy", "s"),
        CHANGING("AvailableVersion", "s"),
        CHANGING("Channel", "s"),
        CHANGING("Automatic", "b"),
        CHANGING("LastCheck", "t"),
        CHANGING("LastErrorCode", "s"),
        CHANGING("LastErrorMessage", "s"),
        CHANGING("PinnedVersion", "s"),
        SD_BUS_METHOD_WITH_ARGS("Check", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", plan),
                        bus_method_guarded, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Plan", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", plan),
                        bus_method_guarded, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Update", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("t", job),
                        bus_method_guarded, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Rollback", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("t", job),
                        bus_method_guarded, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Cancel", "", "", bus_method_guarded, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Reboot", "", "", bus_method_guarded, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Bless", "", "", bus_method_guarded, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Pin", SD_BUS_ARGS("s", version), SD_BUS_NO_RESULT, bus_method_guarded,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Unpin", "", "", bus_method_guarded, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ClearLedger", SD_BUS_ARGS("s", version), SD_BUS_NO_RESULT,
                        bus_method_guarded, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Reload", "", "", bus_method_guarded, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Refresh", "", "", bus_method_refresh, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetSlots", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", slots),
                        bus_method_get_slots, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetHistory", SD_BUS_ARGS("u", count), SD_BUS_RESULT("aa{sv}", events),
                        bus_method_get_history, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetLedger", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", versions),
                        bus_method_get_ledger, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetConfig", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", sections),
                        bus_method_get_config, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS(
                        "JobFinished", SD_BUS_ARGS("t", job, "s", operation, "s", code, "s", sentence), 0),
        SD_BUS_VTABLE_END,
};

int bus_new(sd_event *event, const char *address, Updater *updater, Bus **ret, Error *error)
{
        _cleanup_(bus_freep) Bus *bus = calloc(1, sizeof(*bus));
        int r;

        if (!bus)
                return error_oom(error);
        bus->updater = updater;
        r = bus_authorizer_new(&bus->authorizer);
        if (r >= 0)
                r = bus_connect(address, &bus->bus);
        if (r < 0)
                return error_set(error, ERROR_UNAVAILABLE, -r, "cannot reach the message bus: %s",
                                strerror(-r));
        bus->properties = describe_properties(updater_status(updater), updater_config(updater));
        r = sd_bus_add_object_vtable(bus->bus, NULL, BUS_PATH, BUS_INTERFACE, vtable, bus);
        if (r >= 0)
                r = sd_bus_attach_event(bus->bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_request_name(bus->bus, BUS_NAME, 0);
        if (r == -EEXIST)
                return error_set(error, ERROR_BUSY, EEXIST, "another basculed already runs on this bus");
        if (r < 0)
                return error_set(error, ERROR_UNAVAILABLE, -r,
                                "cannot take the name " BUS_NAME " on the bus: %s", strerror(-r));
        *ret = TAKE_PTR(bus);
        return 0;
}

Bus *bus_free(Bus *bus)
{
        if (!bus)
                return NULL;
        while (bus->jobs)
                bus_job_free(bus->jobs);
        bus_authorizer_free(bus->authorizer);
        sd_bus_flush_close_unref(bus->bus);
        json_decref(bus->properties);
        free(bus);
        return NULL;
}
