/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: an event loop with the updater on it and the bus in front. It decides nothing itself. */
#include "bus-describe.h"
#include "bus.h"
#include "log.h"
#include "options.h"
#include "roles.h"
#include "strv.h"
#include "updater.h"

#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#define PROGRAM "basculed"

typedef struct Daemon {
        sd_event *event;
        Updater *updater;
        Bus *bus;
        EngineState state; /* last logged */
        char line[DESCRIBE_LINE_MAX];
} Daemon;

static void daemon_done(Daemon *daemon)
{
        daemon->updater = updater_free(daemon->updater);
        daemon->bus = bus_free(daemon->bus);
        daemon->event = sd_event_unref(daemon->event);
}

/* The journal gets one line per state, systemd's status line follows all. */
static void on_changed(void *data)
{
        Daemon *daemon = data;
        const UpdaterStatus *status;
        char line[DESCRIBE_LINE_MAX];

        if (!daemon->updater)
                return;
        status = updater_status(daemon->updater);
        bus_changed(daemon->bus);
        describe_line(status, line);
        if (strcmp(line, daemon->line) != 0)
                (void)sd_notifyf(false, "STATUS=%s", line);
        memcpy(daemon->line, line, sizeof(line));
        if (status->state == daemon->state)
                return;
        daemon->state = status->state;
        log_info("%s", line);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
        Daemon *daemon = data;
        Error error = { 0 };

        (void)sd_notify(false, "RELOADING=1");
        if (updater_reload(daemon->updater, &error) < 0)
                log_error("the configuration was not read again: %s", error.message);
        else
                log_info("configuration read again");
        on_changed(daemon);
        (void)sd_notify(false, "READY=1");
        return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
        log_info("stopping");
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int block_signals(void)
{
        sigset_t signals;

        (void)sigemptyset(&signals);
        (void)sigaddset(&signals, SIGTERM);
        (void)sigaddset(&signals, SIGINT);
        (void)sigaddset(&signals, SIGHUP);
        (void)signal(SIGPIPE, SIG_IGN);
        return sigprocmask(SIG_BLOCK, &signals, NULL) < 0 ? -errno : 0;
}

static int make_loop(Daemon *daemon, Error *error)
{
        int r = block_signals();

        if (r >= 0)
                r = sd_event_default(&daemon->event);
        if (r >= 0)
                r = sd_event_add_signal(daemon->event, NULL, SIGTERM, on_stop, daemon);
        if (r >= 0)
                r = sd_event_add_signal(daemon->event, NULL, SIGINT, on_stop, daemon);
        if (r >= 0)
                r = sd_event_add_signal(daemon->event, NULL, SIGHUP, on_reload, daemon);
        if (r >= 0)
                r = sd_event_set_watchdog(daemon->event, true);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot make the event loop: %s", strerror(-r))
                     : 0;
}

static int run(const char *host, const char *where, const char *fetch_socket, char **folders, Error *error)
{
        _cleanup_(daemon_done) Daemon daemon = { 0 };
        UpdaterOptions options = {
                .host_description = host,
                .config_folders = (const char *const *)folders,
                .fetch_socket = fetch_socket,
                .changed = on_changed,
                .data = &daemon,
        };
        int r = make_loop(&daemon, error);

        if (r < 0)
                return r;
        options.event = daemon.event;
        r = updater_new(&options, &daemon.updater, error);
        if (r >= 0)
                r = bus_new(daemon.event, where, daemon.updater, &daemon.bus, error);
        if (r < 0)
                return r;
        on_changed(&daemon);
        (void)sd_notify(false, "READY=1");
        r = sd_event_loop(daemon.event);
        (void)sd_notify(false, "STOPPING=1");
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "the event loop failed: %s", strerror(-r)) : 0;
}

int main(int argc, char **argv)
{
        const char *host = NULL, *where = NULL, *fetch_socket = NULL;
        _cleanup_strv_ char **folders = NULL;
        bool verbose = false, version = false, help;
        const Option options[] = {
                { "host", 0, OPTION_STRING, &host, "FILE",
                                "Look after the host that FILE describes (tests)" },
                { "bus", 0, OPTION_STRING, &where, "BUS", "\"system\", \"session\" or a D-Bus address" },
                { "config-folder", 0, OPTION_LIST, &folders, "FOLDER",
                                "Instead of the standard ones; may repeat, most important first" },
                { "fetch-socket", 0, OPTION_STRING, &fetch_socket, "PATH",
                                "Where systemd starts role fetch; without it fetch is a child" },
                { "verbose", 'v', OPTION_FLAG, &verbose, NULL, "Log more" },
                { "version", 0, OPTION_FLAG, &version, NULL, "Show the version" },
                { 0 },
        };
        Error error = { 0 };
        char **arguments;
        int count, status, r;

        if (role_dispatch(argc, argv, &status))
                return status;
        log_open(PROGRAM);
        r = options_parse(argc, argv, options, &arguments, &count, &help, &error);
        if (r >= 0 && help) {
                options_print_help(PROGRAM, "[OPTION...]", "Finds, fetches, proves and installs releases.",
                                options);
                return 0;
        }
        if (r >= 0 && version) {
                printf(PROGRAM " " BASCULE_VERSION "\n");
                return 0;
        }
        if (r >= 0 && count > 0)
                r = error_set(&error, ERROR_USAGE, EINVAL,
                                "there are no arguments, only options; see --help");
        if (verbose)
                log_set_level(LOG_DEBUG);
        if (r >= 0)
                r = run(host, where, fetch_socket, folders, &error);
        return program_exit(PROGRAM, r, &error, false);
}
