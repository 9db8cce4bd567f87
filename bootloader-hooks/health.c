/* SPDX-License-Identifier: Apache-2.0 */

/* bascule-health (docs/man/bascule-health.8.scd): runs the health checks, reports, and gives up a release on
 * trial that does not pass them. */

#include "booted.h"
#include "file.h"
#include "give-up.h"
#include "health-checks.h"
#include "json.h"
#include "log.h"
#include "options.h"
#include "strv.h"

#include <fcntl.h>
#include <string.h>

#define REPORT_NAME "health.json"
#define TIMEOUT_DEFAULT 120
#define TIMEOUT_MAX 86400

typedef struct Arguments {
        char **folders; /* owned */
        const char *runtime_folder, *state_folder;
        const char *give_up;    /* a reason */
        const char *esp_folder; /* NULL: the partition of the disk */
        uint64_t timeout_seconds;
        bool deadline, no_reboot;
} Arguments;

static void arguments_done(Arguments *arguments)
{
        arguments->folders = strv_free(arguments->folders);
}

/* When it is not on trial there is nothing that could be given up. */
static int end_trial(const Arguments *arguments, const Booted *booted, const char *reason, Error *error)
{
        const GiveUp options = { arguments->state_folder, arguments->esp_folder, arguments->no_reboot };

        return trial_is_running(arguments->runtime_folder) ? give_up(&options, booted, reason, error) : 0;
}

static int write_report(const Arguments *arguments, const HealthReport *report, const Booted *booted,
                bool is_trial, Error *error)
{
        _cleanup_free_ char *path = path_join(arguments->runtime_folder, REPORT_NAME), *text = NULL;
        int r = path ? health_format(report, booted->version, is_trial, &text) : -ENOMEM;

        if (r >= 0)
                r = file_replace(AT_FDCWD, path, text, strlen(text), 0644);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s: %s", path ? path : REPORT_NAME,
                                       strerror(-r))
                     : 0;
}

static void log_report(const HealthReport *report)
{
        for (size_t i = 0; i < report->count; i++) {
                const HealthCheck *check = &report->checks[i];

                if (check->result == HEALTH_PASSED)
                        log_info("%s: passed", check->name);
                else
                        log_error("%s: %s (status %d)", check->name, health_result_name(check->result),
                                        check->status);
        }
        if (report->count == 0)
                log_notice("there are no health checks");
}

static int check_health(const Arguments *arguments, const Booted *booted, Error *error)
{
        static const char *const folders[] = { "/etc/bascule/health.d", "/usr/lib/bascule/health.d", NULL };
        bool is_trial = trial_is_running(arguments->runtime_folder);
        _cleanup_health_report_ HealthReport report = { 0 };
        char reason[TRIAL_REASON_MAX];
        int r = health_collect(arguments->folders ? (const char *const *)arguments->folders : folders,
                        &report, error);

        if (r >= 0)
                r = health_run(&report, booted->version, is_trial, (unsigned)arguments->timeout_seconds,
                                STDOUT_FILENO, error);
        if (r < 0)
                return r;
        log_report(&report);
        r = write_report(arguments, &report, booted, is_trial, error);
        if (r < 0 || report.is_healthy)
                return r;
        health_reason(&report, reason, sizeof(reason));
        r = end_trial(arguments, booted, reason, error);
        return r < 0 ? r : error_set(error, ERROR_FAILED, EIO, "this host is not healthy: %s", reason);
}

/* The boot came to its end: bascule-bless has begun, and leaves the last word to a person. */
static bool waits_for_word(const Arguments *arguments)
{
        _cleanup_free_ char *path = path_join(arguments->runtime_folder, TRIAL_CONFIRM_FILE);

        return path && access(path, F_OK) >= 0;
}

static int run(const Arguments *arguments, Error *error)
{
        Booted booted;
        int r = booted_read(arguments->runtime_folder, &booted, error);

        if (r < 0)
                return r;
        if (arguments->give_up)
                return end_trial(arguments, &booted, arguments->give_up, error);
        if (arguments->deadline)
                return waits_for_word(arguments)
                                       ? 0
                                       : end_trial(arguments, &booted,
                                                         "The boot did not come to a good end in time.",
                                                         error);
        return check_health(arguments, &booted, error);
}

int main(int argc, char **argv)
{
        _cleanup_(arguments_done) Arguments arguments = {
                .runtime_folder = BOOTED_FOLDER,
                .state_folder = TRIAL_STATE_FOLDER,
                .timeout_seconds = TIMEOUT_DEFAULT,
        };
        const Option options[] = {
                { "timeout", 't', OPTION_NUMBER, &arguments.timeout_seconds, "SECONDS",
                                "for each check (120)" },
                { "folder", 'f', OPTION_LIST, &arguments.folders, "FOLDER",
                                "look for checks there instead; may repeat, most important first" },
                { "give-up", 0, OPTION_STRING, &arguments.give_up, "REASON",
                                "if on trial, give the release up" },
                { "deadline", 0, OPTION_FLAG, &arguments.deadline, NULL,
                                "if on trial and not waiting to be confirmed, give the release up" },
                { "no-reboot", 0, OPTION_FLAG, &arguments.no_reboot, NULL, "note the failure only" },
                { "esp-folder", 0, OPTION_STRING, &arguments.esp_folder, "FOLDER",
                                "instead of the ESP of the disk" },
                { "runtime-folder", 0, OPTION_STRING, &arguments.runtime_folder, "FOLDER",
                                "instead of " BOOTED_FOLDER },
                { "state-folder", 0, OPTION_STRING, &arguments.state_folder, "FOLDER",
                                "instead of " TRIAL_STATE_FOLDER },
                { 0 },
        };
        const Usage usage = { "bascule-health", "[OPTION...]", "Runs the health checks of this host.", 0,
                0 };
        Error error = { 0 };
        char **rest;
        int r;

        log_open("bascule-health");
        r = options_take(argc, argv, options, &usage, &rest, &error);
        if (r == 0 && (arguments.timeout_seconds == 0 || arguments.timeout_seconds > TIMEOUT_MAX))
                r = error_set(&error, ERROR_USAGE, EINVAL, "the timeout is 1 to %d seconds", TIMEOUT_MAX);
        if (r == 0)
                r = run(&arguments, &error);
        return program_exit("bascule-health", r, &error, false);
}
