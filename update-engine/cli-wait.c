/* SPDX-License-Identifier: Apache-2.0 */
#include "bus-json.h"
#include "bus-names.h"
#include "cli.h"
#include "json.h"
#include "progress.h"

#include <signal.h>
#include <string.h>
#include <systemd/sd-event.h>

typedef struct Ended {
        uint64_t job;
        Error error; /* not set: success */
} Ended;

struct CliWait {
        sd_bus *bus; /* borrowed */
        sd_event *event;
        sd_bus_slot *changed, *finished, *gone;
        Ended *ended; /* jobs that have finished, ours perhaps among them */
        size_t ended_count;
        uint64_t job; /* 0 until it is known */
        bool shows;
        Progress *progress;
        char step[64];
};

static void show(CliWait *wait, const json_t *changed)
{
        const char *state = json_string_value(json_object_get(changed, "State"));
        const json_t *progress = json_object_get(changed, "Progress");

        if (!wait->shows)
                return;
        if (state && strcmp(state, wait->step) != 0) {
                if (wait->step[0])
                        progress_end(wait->progress, "");
                (void)snprintf(wait->step, sizeof(wait->step), "%.*s",
                                strcmp(state, "idle") == 0 || strcmp(state, "ready-to-reboot") == 0 ? 0 : 60,
                                state);
                if (wait->step[0])
                        progress_begin(wait->progress, wait->step, cli_number(progress, "total_bytes"));
        }
        if (progress && wait->step[0])
                progress_set(wait->progress, cli_number(progress, "done_bytes"),
                                cli_number(progress, "total_bytes"), cli_number(progress, "rate_bytes"));
}

static int on_changed(sd_bus_message *message, void *data, sd_bus_error *bus_error)
{
        _cleanup_json_ json_t *interface = NULL, *changed = NULL;

        if (bus_json_read(message, &interface) > 0 && bus_json_read(message, &changed) > 0)
                show(data, changed);
        return 0;
}

static int on_finished(sd_bus_message *message, void *data, sd_bus_error *bus_error)
{
        CliWait *wait = data;
        const char *operation, *code, *text;
        uint64_t job;
        Ended *ended;

        if (sd_bus_message_read(message, "tsss", &job, &operation, &code, &text) < 0)
                return 0;
        ended = realloc(wait->ended, (wait->ended_count + 1) * sizeof(*ended));
        if (!ended)
                return 0;
        wait->ended = ended;
        ended += wait->ended_count++;
        *ended = (Ended){ .job = job };
        if (strcmp(code, "none") != 0)
                (void)error_set(&ended->error, error_code_from_name(code), EIO, "%s", text);
        if (job == wait->job)
                (void)sd_event_exit(wait->event, 0);
        return 0;
}

static int on_owner_changed(sd_bus_message *message, void *data, sd_bus_error *bus_error)
{
        CliWait *wait = data;
        const char *name, *old_owner, *new_owner;

        if (sd_bus_message_read(message, "sss", &name, &old_owner, &new_owner) >= 0 && !new_owner[0])
                (void)sd_event_exit(wait->event, -ECONNRESET);
        return 0;
}

/* With sd_event_add_signal's default handler the event loop would just end: we want to say so. */
static int on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
        return sd_event_exit(sd_event_source_get_event(source), -EINTR);
}

static int listen(CliWait *wait)
{
        int r = sd_bus_match_signal(wait->bus, &wait->changed, BUS_NAME, BUS_PATH,
                        "org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed, wait);

        if (r >= 0)
                r = sd_bus_match_signal(wait->bus, &wait->finished, BUS_NAME, BUS_PATH, BUS_INTERFACE,
                                "JobFinished", on_finished, wait);
        if (r >= 0)
                r = sd_bus_add_match(wait->bus, &wait->gone,
                                "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0="
                                "'" BUS_NAME "'",
                                on_owner_changed, wait);
        return r;
}

static int listen_to_signals(CliWait *wait)
{
        sigset_t signals;
        int r;

        (void)sigemptyset(&signals);
        (void)sigaddset(&signals, SIGINT);
        (void)sigaddset(&signals, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;
        r = sd_event_add_signal(wait->event, NULL, SIGINT, on_interrupt, NULL);
        return r < 0 ? r : sd_event_add_signal(wait->event, NULL, SIGTERM, on_interrupt, NULL);
}

int cli_wait_new(sd_bus *bus, CliWait **ret, Error *error)
{
        _cleanup_(cli_wait_freep) CliWait *wait = calloc(1, sizeof(*wait));
        int r;

        if (!wait)
                return error_oom(error);
        wait->bus = bus;
        r = sd_event_new(&wait->event);
        if (r >= 0)
                r = sd_bus_attach_event(bus, wait->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = listen(wait);
        if (r >= 0)
                r = listen_to_signals(wait);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot listen to basculed: %s", strerror(-r));
        *ret = TAKE_PTR(wait);
        return 0;
}

CliWait *cli_wait_free(CliWait *wait)
{
        if (!wait)
                return NULL;
        sd_bus_slot_unref(wait->changed);
        sd_bus_slot_unref(wait->finished);
        sd_bus_slot_unref(wait->gone);
        if (sd_bus_get_event(wait->bus))
                (void)sd_bus_detach_event(wait->bus);
        sd_event_unref(wait->event);
        progress_free(wait->progress);
        free(wait->ended);
        free(wait);
        return NULL;
}

static const Ended *find_ended(const CliWait *wait, uint64_t job)
{
        for (size_t i = 0; i < wait->ended_count; i++)
                if (wait->ended[i].job == job)
                        return &wait->ended[i];
        return NULL;
}

int cli_wait_job(CliWait *wait, uint64_t job, bool json, Error *error)
{
        const Ended *ended;
        int r = 0;

        wait->job = job;
        wait->shows = !json;
        wait->progress = json ? NULL : progress_new();
        if (!find_ended(wait, job))
                r = sd_event_loop(wait->event);
        if (wait->step[0])
                progress_end(wait->progress, "");
        ended = find_ended(wait, job);
        if (!ended && r == -EINTR)
                return error_set(error, ERROR_CANCELLED, EINTR,
                                "stopped waiting; the work goes on, `bascule status` shows it and "
                                "`bascule cancel` stops it");
        if (!ended)
                return error_set(error, ERROR_UNAVAILABLE, ECONNRESET,
                                "basculed ended while it worked; `journalctl -u basculed` says why, and "
                                "the same "
                                "command goes on where it stopped");
        if (!error_is_set(&ended->error))
                return 0;
        return error_set(error, ended->error.code, EIO, "%s", ended->error.message);
}
