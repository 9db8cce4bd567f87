/* SPDX-License-Identifier: Apache-2.0 */
/* The engine without a bus, for tests: carries out one operation on a described host (update-engine/host.h)
 * and prints what came of it as JSON. Exit status: that of the Error. */
#include "json.h"
#include "options.h"
#include "roles.h"
#include "strv.h"
#include "updater.h"

#include <inttypes.h>

typedef struct Driver {
        sd_event *event;
        Updater *updater;
        Error error;
        int result;
        json_t *plan;
        bool has_ended, is_verbose;
        EngineState state;
        uint64_t cancel_at_bytes; /* of fetched bytes; 0: never */
} Driver;

static void on_changed(void *data)
{
        Driver *driver = data;
        const UpdaterStatus *status;
        if (!driver->updater)
                return;
        status = updater_status(driver->updater);
        if (driver->is_verbose)
                (void)fprintf(stderr, "%s %s %" PRIu64 "/%" PRIu64 " fetched %" PRIu64 "\n",
                                engine_state_name(status->state), status->operation_version,
                                status->progress.done_bytes, status->progress.total_bytes,
                                status->progress.fetched_bytes);
        if (driver->cancel_at_bytes > 0 && status->progress.fetched_bytes >= driver->cancel_at_bytes) {
                driver->cancel_at_bytes = 0;
                (void)updater_cancel(driver->updater, NULL);
        }
}

static json_t *plan_to_json(const Plan *plan)
{
        return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:I}", "verdict",
                        plan_verdict_name(plan->verdict), "reason", plan->reason, "version", plan->version,
                        "from", plan->from_version, "fetch_bytes", (json_int_t)plan->fetch_bytes,
                        "write_bytes", (json_int_t)plan->write_bytes, "is_delta", plan->is_delta,
                        "wave_opens", (json_int_t)plan->wave_opens);
}

static void on_done(void *data, int r, const Error *error, const Plan *plan)
{
        Driver *driver = data;
        driver->result = r;
        if (error)
                driver->error = *error;
        if (plan)
                driver->plan = plan_to_json(plan);
        driver->has_ended = true;
        (void)sd_event_exit(driver->event, 0);
}

static json_t *release_to_json(const HostRelease *release)
{
        return json_pack("{s:b, s:s, s:b, s:s, s:b, s:b, s:i, s:s}", "exists", release->exists, "version",
                        release->version, "has_slot", release->has_slot, "slot", slot_name(release->slot),
                        "has_entry", release->has_entry, "is_counted", release->is_counted, "tries_left",
                        (int)release->tries_left, "entry", release->entry_file);
}

static json_t *lists_to_json(const State *state)
{
        json_t *ledger = json_array(), *history = json_array();
        for (size_t i = 0; i < state->ledger_count; i++)
                (void)json_array_append_new(
                                ledger, json_pack("{s:s, s:s, s:s}", "version", state->ledger[i].version,
                                                        "kind", ledger_kind_name(state->ledger[i].kind),
                                                        "reason", state->ledger[i].reason));
        for (size_t i = 0; i < state->history_count; i++) {
                const HistoryEntry *entry = &state->history[i];
                (void)json_array_append_new(history,
                                json_pack("{s:s, s:s, s:s, s:I, s:I}", "version", entry->version, "kind",
                                                history_kind_name(entry->kind), "detail", entry->detail,
                                                "fetched", (json_int_t)entry->fetched_bytes, "written",
                                                (json_int_t)entry->written_bytes));
        }
        return json_pack("{s:o, s:o}", "ledger", ledger, "history", history);
}

static void print_result(Driver *driver)
{
        const UpdaterStatus *status = updater_status(driver->updater);
        json_t *root = json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:b, s:I, s:I, s:s, s:o}", "state",
                        engine_state_name(status->state), "code",
                        driver->error.code ? error_code_name(driver->error.code) : "", "message",
                        driver->error.message, "running", release_to_json(&status->host.running), "other",
                        release_to_json(&status->host.other), "is_waiting", status->host.is_waiting,
                        "is_reboot_planned", status->is_reboot_planned, "fetched",
                        (json_int_t)status->progress.fetched_bytes, "written",
                        (json_int_t)status->progress.written_bytes, "available", status->available_version,
                        "lists", lists_to_json(updater_state(driver->updater)));
        if (driver->plan)
                (void)json_object_set_new(root, "plan", driver->plan);
        (void)json_dumpf(root, stdout, JSON_INDENT(1) | JSON_SORT_KEYS);
        (void)putchar('\n');
        json_decref(root);
}

static unsigned parse_flags(char **names)
{
        static const struct {
                const char *name;
                unsigned flag;
        } known[] = { { "older", INSTALL_ALLOW_OLDER }, { "ledger", INSTALL_FORCE_LEDGER },
                { "pin", INSTALL_FORCE_PIN }, { "floor", INSTALL_FORCE_FLOOR },
                { "withdrawn", INSTALL_ALLOW_WITHDRAWN }, { "automatic", INSTALL_AUTOMATIC },
                { "reboot", INSTALL_REBOOT }, { "reinstall", INSTALL_REINSTALL },
                { "expired", INSTALL_ALLOW_EXPIRED } };
        unsigned flags = 0;
        for (size_t i = 0; i < ELEMENTS(known); i++)
                if (strv_contains(names, known[i].name))
                        flags |= known[i].flag;
        return flags;
}

/* Begins the verb. 0 when its end comes later, 1 when it is done. */
static int begin(Driver *driver, const char *verb, const char *argument, unsigned flags)
{
        Updater *updater = driver->updater;
        Error *error = &driver->error;
        int r = -EINVAL;
        if (strcmp(verb, "check") == 0)
                return updater_check(updater, argument, flags, on_done, driver, error);
        if (strcmp(verb, "install") == 0)
                return updater_install(updater, argument, flags, on_done, driver, error);
        if (strcmp(verb, "timer") == 0)
                return updater_timer(updater, on_done, driver, error);
        if (strcmp(verb, "rollback") == 0)
                return updater_rollback(updater, flags & INSTALL_REBOOT, on_done, driver, error);
        if (strcmp(verb, "status") == 0)
                r = 0;
        else if (strcmp(verb, "bless") == 0)
                r = updater_bless(updater, error);
        else if (strcmp(verb, "pin") == 0)
                r = updater_pin(updater, argument, error);
        else if (strcmp(verb, "unpin") == 0)
                r = updater_unpin(updater, error);
        else if (strcmp(verb, "ledger-clear") == 0)
                r = updater_ledger_clear(updater, argument, error);
        else if (strcmp(verb, "reboot") == 0)
                r = updater_reboot(updater, true, error);
        else if (strcmp(verb, "wait") == 0)
                return 0;
        else
                r = error_set(error, ERROR_USAGE, EINVAL, "unknown verb %s", verb);
        return r < 0 ? r : 1;
}

static int run(Driver *driver, const char *host, const char *config, const char *verb, const char *argument,
                unsigned flags)
{
        const char *folders[] = { config, NULL };
        UpdaterOptions options = { .host_description = host,
                .config_folders = config ? folders : NULL,
                .changed = on_changed,
                .data = driver };
        int r = sd_event_new(&driver->event);
        if (r < 0)
                return error_set(&driver->error, ERROR_FAILED, -r, "cannot make an event loop: %s",
                                strerror(-r));
        options.event = driver->event;
        r = updater_new(&options, &driver->updater, &driver->error);
        if (r < 0)
                return r;
        r = begin(driver, verb, argument, flags);
        if (r == 0)
                r = sd_event_loop(driver->event);
        if (r >= 0 && driver->has_ended)
                r = driver->result;
        print_result(driver);
        return r;
}

int main(int argc, char **argv)
{
        Driver driver = { 0 };
        const char *host = NULL, *config = NULL;
        _cleanup_strv_ char **flag_names = NULL;
        char **arguments = NULL;
        int count = 0, status;
        bool help = false;
        const Option options[] = {
                { "host", 0, OPTION_STRING, &host, "FILE", "description of the host" },
                { "config", 0, OPTION_STRING, &config, "FOLDER", "folder of engine.conf" },
                { "flag", 0, OPTION_LIST, &flag_names, "NAME",
                                "older, ledger, pin, floor, withdrawn, automatic, ..." },
                { "cancel-at", 0, OPTION_SIZE, &driver.cancel_at_bytes, "BYTES",
                                "cancel when so much was fetched" },
                { "verbose", 'v', OPTION_FLAG, &driver.is_verbose, NULL, "show progress" },
                { 0 },
        };
        if (role_dispatch(argc, argv, &status))
                return status;
        int r = options_parse(argc, argv, options, &arguments, &count, &help, &driver.error);
        if (r >= 0 && (count < 1 || !host))
                r = error_set(&driver.error, ERROR_USAGE, EINVAL,
                                "usage: engine-driver --host=FILE VERB [VERSION]");
        if (r >= 0)
                r = run(&driver, host, config, arguments[0], count > 1 ? arguments[1] : NULL,
                                parse_flags(flag_names));
        updater_free(driver.updater);
        sd_event_unref(driver.event);
        return program_exit("engine-driver", r, &driver.error, false);
}
