/* SPDX-License-Identifier: Apache-2.0 */

/* bascule-bless (docs/man/bascule-bless.8.scd): the last word of a trial. Started after
 * boot-complete.target; takes the counter off the entry of the running release, or, with ConfirmSeconds=,
 * waits for someone to say so. */

#include "booted.h"
#include "file.h"
#include "give-up.h"
#include "ini.h"
#include "log.h"
#include "options.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

typedef struct Arguments {
        const char *runtime_folder, *state_folder;
        const char *esp_folder; /* NULL: the partition of the disk */
        const char *config_folder;
        bool no_reboot;
} Arguments;

typedef struct Settings {
        uint64_t confirm_seconds;
} Settings;

/* engine.conf belongs to the engine, which checks all of it and tells of mistakes; only one key matters
 * here, and a mistake elsewhere must not cost a good release its trial. */
static void read_settings(const Arguments *arguments, Settings *ret)
{
        static const IniKey keys[] = {
                { "Boot", "ConfirmSeconds", ini_set_seconds, offsetof(Settings, confirm_seconds) },
                { "*", "*", ini_ignore, 0 },
                { 0 },
        };
        const char *const own[] = { arguments->config_folder, NULL };
        static const char *const usual[] = { "/etc/bascule", "/usr/lib/bascule", NULL };
        Error error = { 0 };

        *ret = (Settings){ 0 };
        if (ini_parse_with_dropins(
                            arguments->config_folder ? own : usual, "engine.conf", keys, ret, &error) < 0)
                log_warning("%s", error.message);
}

static int bless(const Arguments *arguments, const Booted *booted, Error *error)
{
        _cleanup_(esp_closep) Esp *esp = NULL;
        int r = trial_open_esp(booted, arguments->esp_folder, true, &esp, error);

        if (r >= 0)
                r = trial_bless(boot_backend_detect(), esp, booted->image_id, booted->version,
                                arguments->runtime_folder, error);
        if (r >= 0)
                log_notice("release %s is blessed", booted->version);
        return r;
}

/* For people: until when, in seconds since 1970. */
static void note_deadline(const char *path, uint64_t seconds)
{
        char text[32];

        (void)snprintf(text, sizeof(text), "%" PRIu64 "\n", (uint64_t)time(NULL) + seconds);
        (void)file_replace(AT_FDCWD, path, text, strlen(text), 0644);
}

static uint64_t uptime_seconds(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_BOOTTIME, &now);
        return (uint64_t)now.tv_sec;
}

/* Someone who blesses through the engine removes the mark of the trial. */
static int wait_for_word(const Arguments *arguments, const Booted *booted, uint64_t seconds, Error *error)
{
        _cleanup_free_ char *path = path_join(arguments->runtime_folder, TRIAL_CONFIRM_FILE);
        const GiveUp options = { arguments->state_folder, arguments->esp_folder, arguments->no_reboot };
        uint64_t start = uptime_seconds();
        char reason[64];

        if (!path)
                return error_oom(error);
        note_deadline(path, seconds);
        log_notice("release %s is healthy and waits %" PRIu64 " s for \"bascule bless\"", booted->version,
                        seconds);
        while (trial_is_running(arguments->runtime_folder) && uptime_seconds() - start < seconds)
                (void)sleep(1);
        (void)unlink(path);
        if (!trial_is_running(arguments->runtime_folder)) {
                log_notice("release %s was confirmed", booted->version);
                return 0;
        }
        (void)snprintf(reason, sizeof(reason), "Nobody confirmed the release within %" PRIu64 " s.",
                        seconds);
        return give_up(&options, booted, reason, error);
}

static int run(const Arguments *arguments, Error *error)
{
        Settings settings;
        Booted booted;
        int r = booted_read(arguments->runtime_folder, &booted, error);

        if (r < 0)
                return r;
        if (!trial_is_running(arguments->runtime_folder)) {
                log_info("release %s is not on trial", booted.version);
                return 0;
        }
        read_settings(arguments, &settings);
        return settings.confirm_seconds > 0
                               ? wait_for_word(arguments, &booted, settings.confirm_seconds, error)
                               : bless(arguments, &booted, error);
}

int main(int argc, char **argv)
{
        Arguments arguments = { .runtime_folder = BOOTED_FOLDER, .state_folder = TRIAL_STATE_FOLDER };
        const Option options[] = {
                { "no-reboot", 0, OPTION_FLAG, &arguments.no_reboot, NULL,
                                "when nobody confirms in time, note the failure only" },
                { "esp-folder", 0, OPTION_STRING, &arguments.esp_folder, "FOLDER",
                                "instead of the ESP of the disk" },
                { "config-folder", 0, OPTION_STRING, &arguments.config_folder, "FOLDER",
                                "instead of /etc/bascule and /usr/lib/bascule" },
                { "runtime-folder", 0, OPTION_STRING, &arguments.runtime_folder, "FOLDER",
                                "instead of " BOOTED_FOLDER },
                { "state-folder", 0, OPTION_STRING, &arguments.state_folder, "FOLDER",
                                "instead of " TRIAL_STATE_FOLDER },
                { 0 },
        };
        const Usage usage = { "bascule-bless", "[OPTION...]", "Ends the trial of the running release.", 0,
                0 };
        Error error = { 0 };
        char **rest;
        int r;

        log_open("bascule-bless");
        r = options_take(argc, argv, options, &usage, &rest, &error);
        if (r == 0)
                r = run(&arguments, &error);
        return program_exit("bascule-bless", r, &error, false);
}
