/* SPDX-License-Identifier: Apache-2.0 */
#include "bus-describe.h"
#include "bus-internal.h"
#include "bus-json.h"
#include "bus-request.h"
#include "clock.h"
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
        uint64_t now = monotonic_seconds();
        Error ignored = { 0 };

        if (now - bus->refreshed < REFRESH_INTERVAL_SECONDS)
                return;
        bus->refreshed = now;
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

/* What begins a job. */
static int begin_check(Updater *updater, const BusRequest *request, BusJob *job, Error *error)
{
        return updater_check(updater, request->version, request->flags, bus_job_finish, job, error);
}

static int begin_update(Updater *updater, const BusRequest *request, BusJob *job, Error *error)
{
        if (request->is_scheduled)
                return updater_timer(updater, bus_job_finish, job, error);
        return updater_install(updater, request->version, request->flags, bus_job_finish, job, error);
}

static int begin_rollback(Updater *updater, const BusRequest *request, BusJob *job, Error *error)
{
        return updater_rollback(updater, (request->flags & INSTALL_REBOOT) != 0, bus_job_finish, job, error);
}

/* What is carried out at once. `version` is NULL for those that take none, and for "". */
static int act_cancel(Updater *updater, const char *version, Error *error)
{
        return updater_cancel(updater, error);
}

static int act_reboot(Updater *updater, const char *version, Error *error)
{
        return updater_reboot(updater, false, error);
}

static int act_bless(Updater *updater, const char *version, Error *error)
{
        return updater_bless(updater, error);
}

static int act_unpin(Updater *updater, const char *version, Error *error)
{
        return updater_unpin(updater, error);
}

static int act_reload(Updater *updater, const char *version, Error *error)
{
        int r = updater_reload(updater, error);

        if (r < 0)
                log_error("the configuration was not read again: %s", error->message);
        else
                log_info("configuration read again");
        return r;
}

static int run_job(sd_bus_message *call, void *data, sd_bus_error *bus_error);
static int run_at_once(sd_bus_message *call, void *data, sd_bus_error *bus_error);

typedef struct Guarded {
        const char *member;
        const char *action;
        BusAuthorized run;
        const char *operation; /* of run_job(), as its signals name it */
        /* of run_job(); a check's caller waits for the plan as its answer */
        int (*begin)(Updater *updater, const BusRequest *request, BusJob *job, Error *error);
        /* of run_at_once() */
        int (*act)(Updater *updater, const char *version, Error *error);
        bool takes_version, takes_overrides;
} Guarded;

static const Guarded guarded[] = {
        { "Check", ACTION_CHECK, run_job, "check", begin_check, .takes_overrides = true },
        { "Plan", ACTION_CHECK, run_job, "check", begin_check, .takes_overrides = true },
        { "Update", ACTION_UPDATE, run_job, "update", begin_update, .takes_overrides = true },
        { "Rollback", ACTION_ROLLBACK, run_job, "rollback", begin_rollback },
        { "Cancel", ACTION_UPDATE, run_at_once, .act = act_cancel },
        { "Reboot", ACTION_UPDATE, run_at_once, .act = act_reboot },
        { "Bless", ACTION_MANAGE, run_at_once, .act = act_bless },
        { "Pin", ACTION_MANAGE, run_at_once, .act = updater_pin, .takes_version = true },
        { "Unpin", ACTION_MANAGE, run_at_once, .act = act_unpin },
        { "ClearLedger", ACTION_MANAGE, run_at_once, .act = updater_ledger_clear, .takes_version = true },
        { "Reload", ACTION_MANAGE, run_at_once, .act = act_reload },
};

/* The bus passes on only members of the interface (bus.c), and each of those that change something is here.
 */
static const Guarded *find_guarded(sd_bus_message *call)
{
        const char *member = sd_bus_message_get_member(call);

        for (size_t i = 0; i < ELEMENTS(guarded); i++)
                if (strcmp(guarded[i].member, member) == 0)
                        return &guarded[i];
        return NULL;
}

static int run_job(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        _cleanup_bus_request_ BusRequest request = { 0 };
        const Guarded *method = find_guarded(call);
        Error error = { 0 };
        Bus *bus = data;
        BusJob *job;
        int r = bus_request_read(call, &request, bus_error);

        if (r < 0)
                return r;
        bus_request_log(&request, call);
        job = bus_job_new(bus, method->operation, method->begin == begin_check ? call : NULL);
        if (!job)
                return -ENOMEM;
        r = method->begin(bus->updater, &request, job, &error);
        return bus_job_answer(job, call, r, &error, bus_error);
}

static int run_at_once(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
        const Guarded *method = find_guarded(call);
        const char *version = NULL;
        Error error = { 0 };
        Bus *bus = data;
        int r = method->takes_version ? bus_request_version(call, &version, bus_error) : 0;

        if (r < 0)
                return r;
        r = method->act(bus->updater, version, &error);
        bus_changed(bus);
        return r < 0 ? bus_answer_error(bus_error, r, &error) : sd_bus_reply_method_return(call, "");
}

int bus_method_guarded(sd_bus_message *call, void *data, sd_bus_error *error)
{
        _cleanup_bus_request_ BusRequest request = { 0 };
        const Guarded *method = find_guarded(call);
        Bus *bus = data;

        if (!method)
                return -ENOSYS;
        if (method->takes_overrides) {
                int r = bus_request_read(call, &request, error);

                if (r < 0)
                        return r;
        }
        return bus_authorize(bus->authorizer, call, request.is_override ? ACTION_MANAGE : method->action,
                        method->run, bus, error);
}
