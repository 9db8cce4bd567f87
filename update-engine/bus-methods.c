/* SPDX-License-Identifier: Apache-2.0 */
#include "bus-describe.h"
#include "bus-internal.h"
#include "bus-json.h"
#include "bus-request.h"
#include "json.h"
#include "log.h"

#include <string.h>

#define ACTION_CHECK "io.bascule.engine.check"
#define ACTION_UPDATE "io.bascule.engine.update"
#define ACTION_ROLLBACK "io.bascule.engine.rollback"
#define ACTION_MANAGE "io.bascule.engine.manage"
#define REFRESH_INTERVAL_SECONDS 2

/* ---- Methods that only look ---- */

static int reply_objects(sd_bus_message *call, json_t *array)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *objects = array;
        int r = sd_bus_message_new_method_return(call, &reply);

        if (r >= 0)
                r = bus_json_append_objects(reply, objects);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* The ESP can change under the daemon (bascule-bless). Anyone may ask to look again, but not all the time.
 */
static void refresh(Bus *bus)
{
        struct timespec now;
        Error ignored = { 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - bus->refreshed < REFRESH_INTERVAL_SECONDS)
                return;
        bus->refreshed = now.tv_sec;
        (void)updater_refresh(bus->updater, &ignored);
        bus_changed(bus);
}

int bus_method_refresh(sd_bus_message *call, void *data, sd_bus_error *error)
{
        refresh(data);
        return sd_bus_reply_method_return(call, "");
}

int bus_method_get_slots(sd_bus_message *call, void *data, sd_bus_error *error)
{
        Bus *bus = data;

        refresh(bus);
        return reply_objects(call, describe_slots(&updater_status(bus->updater)->host));
}

int bus_method_get_history(sd_bus_message *call, void *data, sd_bus_error *error)
{
        Bus *bus = data;
        uint32_t count;
        int r = sd_bus_message_read(call, "u", &count);

        return r < 0 ? r : reply_objects(call, describe_history(updater_state(bus->updater), count));
}

int bus_method_get_ledger(sd_bus_message *call, void *data, sd_bus_error *error)
{
        Bus *bus = data;

        return reply_objects(call, describe_ledger(updater_state(bus->updater)));
}

int bus_method_get_config(sd_bus_message *call, void *data, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *description = NULL;
        _cleanup_free_ char *text = NULL;
        Error failure = { 0 };
        Bus *bus = data;
        int r = config_format(updater_config(bus->updater), &text, &failure);

        if (r < 0)
                return bus_answer_error(error, r, &failure);
        description = describe_config(text);
        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = bus_json_append_object(reply, description);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* ---- Methods that polkit is asked about ---- */

static int run_check(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        _cleanup_bus_request_ BusRequest request = { 0 };
        Error error = { 0 };
        Bus *bus = data;
        BusJob *job;
        int r = bus_request_read(call, &request, bus_error);

        if (r < 0)
                return r;
        bus_request_log(&request, call);
        job = bus_job_new(bus, "check", call);
        if (!job)
                return -ENOMEM;
        r = updater_check(bus->updater, request.version, request.flags, bus_job_finish, job, &error);
        return bus_job_answer(job, call, r, &error, bus_error);
}

static int run_update(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        _cleanup_bus_request_ BusRequest request = { 0 };
        Error error = { 0 };
        Bus *bus = data;
        BusJob *job;
        int r = bus_request_read(call, &request, bus_error);

        if (r < 0)
                return r;
        bus_request_log(&request, call);
        job = bus_job_new(bus, "update", NULL);
        if (!job)
                return -ENOMEM;
        r = request.is_scheduled ? updater_timer(bus->updater, bus_job_finish, job, &error)
                                 : updater_install(bus->updater, request.version, request.flags,
                                                   bus_job_finish, job, &error);
        return bus_job_answer(job, call, r, &error, bus_error);
}

static int run_rollback(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        _cleanup_bus_request_ BusRequest request = { 0 };
        Error error = { 0 };
        Bus *bus = data;
        BusJob *job;
        int r = bus_request_read(call, &request, bus_error);

        if (r < 0)
                return r;
        job = bus_job_new(bus, "rollback", NULL);
        if (!job)
                return -ENOMEM;
        r = updater_rollback(
                        bus->updater, (request.flags & INSTALL_REBOOT) != 0, bus_job_finish, job, &error);
        return bus_job_answer(job, call, r, &error, bus_error);
}

/* The end of a method that is carried out at once. */
static int answer_done(Bus *bus, sd_bus_message *call, int r, const Error *error, sd_bus_error *bus_error)
{
        bus_changed(bus);
        return r < 0 ? bus_answer_error(bus_error, r, error) : sd_bus_reply_method_return(call, "");
}

static int run_cancel(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        Error error = { 0 };
        Bus *bus = data;
        int r = updater_cancel(bus->updater, &error);

        return answer_done(bus, call, r, &error, bus_error);
}

static int run_reboot(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        Error error = { 0 };
        Bus *bus = data;
        int r = updater_reboot(bus->updater, false, &error);

        return answer_done(bus, call, r, &error, bus_error);
}

static int run_bless(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        Error error = { 0 };
        Bus *bus = data;
        int r = updater_bless(bus->updater, &error);

        return answer_done(bus, call, r, &error, bus_error);
}

static int run_pin(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        const char *version;
        Error error = { 0 };
        Bus *bus = data;
        int r = bus_request_version(call, &version, bus_error);

        if (r < 0)
                return r;
        r = updater_pin(bus->updater, version, &error);
        return answer_done(bus, call, r, &error, bus_error);
}

static int run_unpin(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        Error error = { 0 };
        Bus *bus = data;
        int r = updater_unpin(bus->updater, &error);

        return answer_done(bus, call, r, &error, bus_error);
}

static int run_clear_ledger(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        const char *version;
        Error error = { 0 };
        Bus *bus = data;
        int r = bus_request_version(call, &version, bus_error);

        if (r < 0)
                return r;
        r = updater_ledger_clear(bus->updater, version, &error);
        return answer_done(bus, call, r, &error, bus_error);
}

static int run_reload(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        Error error = { 0 };
        Bus *bus = data;
        int r = updater_reload(bus->updater, &error);

        if (r < 0)
                log_error("the configuration was not read again: %s", error.message);
        else
                log_info("configuration read again");
        return answer_done(bus, call, r, &error, bus_error);
}

typedef struct Guarded {
        const char *member;
        const char *action;
        BusAuthorized run;
} Guarded;

static const Guarded guarded[] = {
        { "Check", ACTION_CHECK, run_check },
        { "Plan", ACTION_CHECK, run_check },
        { "Update", ACTION_UPDATE, run_update },
        { "Cancel", ACTION_UPDATE, run_cancel },
        { "Reboot", ACTION_UPDATE, run_reboot },
        { "Rollback", ACTION_ROLLBACK, run_rollback },
        { "Bless", ACTION_MANAGE, run_bless },
        { "Pin", ACTION_MANAGE, run_pin },
        { "Unpin", ACTION_MANAGE, run_unpin },
        { "ClearLedger", ACTION_MANAGE, run_clear_ledger },
        { "Reload", ACTION_MANAGE, run_reload },
};

int bus_method_guarded(sd_bus_message *call, void *data, sd_bus_error *error)
{
        _cleanup_bus_request_ BusRequest request = { 0 };
        const char *member = sd_bus_message_get_member(call);
        const Guarded *method = guarded;
        const char *action;
        Bus *bus = data;

        while (strcmp(method->member, member) != 0)
                method++;
        action = method->action;
        if (method->run == run_update || method->run == run_check) {
                int r = bus_request_read(call, &request, error);

                if (r < 0)
                        return r;
                if (request.is_override)
                        action = ACTION_MANAGE;
        }
        return bus_authorize(bus->authorizer, call, action, method->run, bus, error);
}
