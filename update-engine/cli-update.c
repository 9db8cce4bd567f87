/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that change which release runs: update, cancel, rollback, bless. */
#include "cli-plan.h"
#include "json.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define LOOK_SECONDS_MAX 300

/* Starts a job and, if asked to, sees it to its end. */
static int run_job(const char *method, const json_t *options, bool wait, bool json, Error *error)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(cli_wait_freep) CliWait *listener = NULL;
        _cleanup_json_ json_t *job = NULL;
        int r = cli_connect(&bus, error);

        if (r >= 0 && wait)
                r = cli_wait_new(bus, &listener, error);
        if (r >= 0)
                r = cli_call_options(bus, method, options, &job, error);
        if (r >= 0 && wait)
                r = cli_wait_job(listener, (uint64_t)json_integer_value(job), json, error);
        return r;
}

static int print_properties(bool json, void (*print)(const json_t *properties), Error *error)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_json_ json_t *properties = NULL, *result = NULL;
        int r = cli_connect(&bus, error);

        if (r >= 0)
                r = cli_properties(bus, &properties, error);
        if (r < 0)
                return r;
        if (!json) {
                print(properties);
                return 0;
        }
        const json_t *progress = json_object_get(properties, "Progress");
        result = json_pack("{s:s,s:s,s:s,s:b,s:I,s:I,s:I}", "state", cli_text(properties, "State"),
                        "running_version", cli_text(properties, "RunningVersion"), "other_version",
                        cli_text(properties, "OtherVersion"), "pending_reboot",
                        (int)cli_flag(properties, "PendingReboot"), "reboot_at",
                        (json_int_t)cli_number(properties, "RebootAt"), "fetched_bytes",
                        (json_int_t)cli_number(progress, "fetched_bytes"), "full_bytes",
                        (json_int_t)cli_number(progress, "full_bytes"));
        cli_print_json(result);
        return 0;
}

static void print_installed(const json_t *properties)
{
        uint64_t when = cli_number(properties, "RebootAt");
        const json_t *progress = json_object_get(properties, "Progress");
        char time_text[CLI_TIME_MAX], saved[CLI_SAVED_MAX];

        if (!cli_flag(properties, "PendingReboot"))
                return;
        if (cli_number(progress, "full_bytes") > 0)
                printf("Fetched %s.\n", cli_saved(cli_number(progress, "fetched_bytes"),
                                                        cli_number(progress, "full_bytes"), saved));
        printf("%s is ready in slot %s and starts at the next boot.\n", cli_text(properties, "OtherVersion"),
                        cli_text(properties, "OtherSlot"));
        if (when)
                cli_hint("this host reboots at %s; `bascule cancel` drops that", cli_time(when, time_text));
        else
                cli_hint("reboot when it suits you");
}

/* A release that waits already needs no install, only the reboot that was asked for. */
static int reboot_if_ready(int r, bool reboot, Error *error)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_json_ json_t *properties = NULL;
        Error ignored = { 0 };

        if (r >= 0 || !reboot || error->code != ERROR_NOTHING_TO_DO || cli_connect(&bus, &ignored) < 0 ||
                        cli_properties(bus, &properties, &ignored) < 0 ||
                        !cli_flag(properties, "PendingReboot"))
                return r;
        error_clear(error);
        return cli_call(bus, "Reboot", NULL, error, NULL);
}

static int update(const CliPlanOptions *wanted, bool background, bool wait, bool json, Error *error)
{
        _cleanup_json_ json_t *question = cli_plan_options_json(wanted);
        int r;

        (void)json_object_set_new(question, "scheduled", json_boolean(background));
        r = run_job("Update", question, wait, json, error);
        if (background && r < 0 && (error->code == ERROR_NOTHING_TO_DO || error->code == ERROR_REFUSED)) {
                printf("%s\n", error->message);
                return 0;
        }
        r = reboot_if_ready(r, wanted->flags[CLI_REBOOT], error);
        if (r < 0)
                return r;
        if (wait)
                return print_properties(json, print_installed, error);
        if (json)
                return print_properties(true, NULL, error);
        printf("The update has begun; `bascule status` shows how far it is.\n");
        return 0;
}

int cli_update(int argc, char **argv)
{
        CliPlanOptions wanted = { 0 };
        bool json = false, wait = false, background = false;
        const Option options[] = {
                { "wait", 'w', OPTION_FLAG, &wait, NULL, "Show progress and return when it has ended" },
                { "reboot", 'r', OPTION_FLAG, &wanted.flags[CLI_REBOOT], NULL,
                                "Reboot when it is installed, whatever the policy says" },
                { "background", 0, OPTION_FLAG, &background, NULL,
                                "What the timer runs: check, and install if the configuration says so" },
                CLI_PLAN_OPTION_TABLE(wanted),
                { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        CliLine line = { "update [OPTION...]", "Installs the release on offer into the other slot.",
                options };
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        r = update(&wanted, background, wait || background, json, &error);
        return program_exit(CLI_PROGRAM, r, &error, json);
}

/* What there is to cancel decides what is said about it. */
static int cancel(bool json, Error *error)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_json_ json_t *properties = NULL;
        int r = cli_connect(&bus, error);

        if (r >= 0)
                r = cli_properties(bus, &properties, error);
        if (r >= 0)
                r = cli_call(bus, "Cancel", NULL, error, NULL);
        if (r < 0)
                return r;
        if (json)
                printf("{}\n");
        else if (cli_text(properties, "OperationVersion")[0] || !cli_number(properties, "RebootAt"))
                printf("Cancelled. What was fetched is kept for the next `bascule update`.\n");
        else
                printf("The reboot is dropped; %s still starts at the next one.\n",
                                cli_text(properties, "OtherVersion"));
        return 0;
}

int cli_cancel(int argc, char **argv)
{
        bool json = false;
        const Option options[] = { { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" }, { 0 } };
        CliLine line = { "cancel [--json]",
                "Stops the operation that runs; if none does, drops a planned reboot.", options };
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        r = cancel(json, &error);
        return program_exit(CLI_PROGRAM, r, &error, json);
}

static void print_rolled_back(const json_t *properties)
{
        uint64_t when = cli_number(properties, "RebootAt");
        char time_text[CLI_TIME_MAX];

        printf("The next boot starts %s; %s stays as the way back.\n", cli_text(properties, "OtherVersion"),
                        cli_text(properties, "RunningVersion"));
        if (when)
                cli_hint("this host reboots at %s", cli_time(when, time_text));
        else
                cli_hint("reboot when it suits you");
}

/* Whether all that the engine does, or did a moment ago, is to look for updates. */
static bool is_looking(void)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_json_ json_t *properties = NULL;
        const char *state;

        if (cli_connect(&bus, NULL) < 0 || cli_properties(bus, &properties, NULL) < 0)
                return false;
        state = cli_text(properties, "State");
        return strcmp(state, "checking") == 0 || strcmp(state, "idle") == 0;
}

/* A look begins by itself, and would be no reason to send an administrator away who wants to go back. */
static int roll_back(const json_t *question, bool json, Error *error)
{
        for (unsigned i = 0;; i++) {
                int r = run_job("Rollback", question, true, json, error);

                if (r >= 0 || error->code != ERROR_BUSY || i >= LOOK_SECONDS_MAX || !is_looking())
                        return r;
                if (i == 0 && !json)
                        cli_hint("waiting until the engine has looked for updates");
                error_clear(error);
                (void)sleep(1);
        }
}

int cli_rollback(int argc, char **argv)
{
        bool json = false, reboot = false;
        const Option options[] = {
                { "reboot", 'r', OPTION_FLAG, &reboot, NULL,
                                "Reboot after the grace period, whatever the policy says" },
                { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        CliLine line = { "rollback [--reboot] [--json]",
                "Proves the release in the other slot and makes it the one that boots next.", options };
        _cleanup_json_ json_t *question = NULL;
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        question = json_pack("{s:b}", "reboot", (int)reboot);
        r = roll_back(question, json, &error);
        if (r >= 0)
                r = print_properties(json, print_rolled_back, &error);
        return program_exit(CLI_PROGRAM, r, &error, json);
}

int cli_bless(int argc, char **argv)
{
        bool json = false;
        const Option options[] = { { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" }, { 0 } };
        CliLine line = { "bless [--json]", "Confirms that the running release is good, so that it stays.",
                options };
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        r = cli_ask("Bless", NULL, NULL, &error);
        if (r >= 0 && json)
                printf("{}\n");
        else if (r >= 0)
                printf("The running release is blessed: it stays the one that boots.\n");
        return program_exit(CLI_PROGRAM, r, &error, json);
}
