/* SPDX-License-Identifier: Apache-2.0 */
#include "updater-internal.h"

#include "file.h"
#include "log.h"
#include "reboot.h"
#include "trial.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <time.h>

#define CHANGED_DELAY_US 250000

uint64_t clock_seconds(void)
{
        return (uint64_t)time(NULL);
}

static int on_changed(sd_event_source *source, uint64_t usec, void *data)
{
        Updater *updater = data;
        updater->changed_source = sd_event_source_disable_unref(updater->changed_source);
        if (updater->options.changed)
                updater->options.changed(updater->options.data);
        return 0;
}

void updater_touch(Updater *updater)
{
        if (updater->changed_source || !updater->options.changed)
                return;
        if (sd_event_add_time_relative(updater->event, &updater->changed_source, CLOCK_MONOTONIC,
                            CHANGED_DELAY_US, CHANGED_DELAY_US / 4, on_changed, updater) < 0)
                updater->options.changed(updater->options.data);
}

void updater_report(Updater *updater, const Error *error)
{
        updater->status.last_error = *error;
        log_notice("%s", error->message);
}

void updater_save(Updater *updater)
{
        Error error = { 0 };
        if (state_save(updater->state, updater->state_fd, &error) < 0)
                updater_report(updater, &error);
        updater_touch(updater);
}

void updater_note(Updater *updater, HistoryKind kind, const char *version, const char *detail)
{
        HistoryEntry entry = { .time = clock_seconds(), .kind = kind, .detail = (char *)detail };
        (void)snprintf(entry.version, sizeof(entry.version), "%s", version);
        (void)snprintf(entry.from_version, sizeof(entry.from_version), "%s", updater->host->running_version);
        (void)state_history_add(updater->state, &entry);
}

void updater_set_facts(Updater *updater, const HostFacts *read)
{
        HostFacts facts = *read;
        const HostRelease *running = &facts.running;
        plan_judge_waiting(updater->state, &facts);
        if (memcmp(&updater->status.host, &facts, sizeof(facts)) != 0)
                updater_touch(updater);
        updater->status.host = facts;
        updater->status.is_trial = plan_is_trial(updater->state, &facts);
        if (!facts.is_waiting)
                (void)updater_step(updater, ENGINE_EVENT_GONE, NULL);
        if (running->has_entry && !running->is_counted &&
                        strcmp(updater->state->last_blessed, running->version) != 0) {
                (void)snprintf(updater->state->last_blessed, sizeof(updater->state->last_blessed), "%s",
                                running->version);
                updater_note(updater, HISTORY_BLESSED, running->version, "its health checks passed");
                updater_save(updater);
        }
}

int updater_refresh(Updater *updater, Error *error)
{
        HostFacts facts;
        /* An operation may hold the ESP for minutes. Its end looks again. */
        if (updater->job)
                return 0;
        int r = host_read_facts(updater->host, &facts, error);
        if (r < 0)
                return r;
        updater_set_facts(updater, &facts);
        return 0;
}

static int go_down(Updater *updater)
{
        Error error = { 0 };
        int r = reboot_now(updater->host, &error);
        if (r < 0) {
                updater_report(updater, &error);
                (void)updater_step(updater, ENGINE_EVENT_REBOOT_FAILED, NULL);
        }
        return r;
}

static int refuse(EngineState state, unsigned actions, Error *error)
{
        if (actions & ENGINE_ACTION_REFUSE_IDLE)
                return error_set(error, ERROR_NOTHING_TO_DO, EALREADY, "there is nothing to cancel");
        if (state == ENGINE_REBOOTING)
                return error_set(error, ERROR_BUSY, EBUSY,
                                "the machine is going down; try again when it is back");
        return error_set(error, ERROR_BUSY, EBUSY, "the engine is %s; try again later, or `bascule cancel`",
                        engine_state_name(state));
}

int updater_step(Updater *updater, EngineEvent event, Error *error)
{
        const EngineFacts facts = { .is_waiting = updater->status.host.is_waiting,
                .is_planned = updater->status.is_reboot_planned };
        EngineStep step = engine_step(updater->status.state, event, facts);
        if (step.actions & (ENGINE_ACTION_REFUSE_BUSY | ENGINE_ACTION_REFUSE_IDLE))
                return refuse(updater->status.state, step.actions, error);
        if (step.state != updater->status.state)
                updater_touch(updater);
        updater->status.state = step.state;
        if (step.actions & ENGINE_ACTION_STOP_JOB && updater->job)
                job_cancel(updater->job);
        if (step.actions & ENGINE_ACTION_HOLD_REBOOT)
                updater_hold_reboot(updater);
        if (step.actions & ENGINE_ACTION_DROP_REBOOT)
                updater_drop_reboot(updater);
        if (step.actions & ENGINE_ACTION_PLAN_REBOOT && step.state == ENGINE_READY)
                updater_plan_reboot(updater, false);
        if (step.actions & ENGINE_ACTION_RESUME_REBOOT)
                updater_resume_reboot(updater);
        if (step.actions & ENGINE_ACTION_ORDER_REBOOT)
                updater_plan_reboot(updater, true);
        if (step.actions & ENGINE_ACTION_REBOOT)
                return go_down(updater);
        return 0;
}

static int take_lock(Updater *updater, Error *error)
{
        const char *folder = updater->host->state_folder;
        int r = directory_make(AT_FDCWD, folder, 0755);
        if (r >= 0) {
                updater->state_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                r = updater->state_fd < 0 ? -errno : 0;
        }
        if (r >= 0) {
                updater->lock_fd = openat(updater->state_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
                r = updater->lock_fd < 0 ? -errno : 0;
        }
        if (r < 0)
                return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                "cannot use the state folder %s: %s", folder, strerror(-r));
        if (flock(updater->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return error_set(error, ERROR_BUSY, errno,
                                "another engine works on this host (%s/lock is held)", folder);
        return 0;
}

static void sync_status(Updater *updater)
{
        updater->status.last_check = updater->state->last_check;
        updater->status.pinned_version = updater->state->pinned_version;
}

static int on_trial_ended(sd_event_source *source, const struct inotify_event *event, void *data)
{
        if (event->len == 0 || strcmp(event->name, "trial") == 0)
                (void)updater_refresh(data, NULL);
        return 0;
}

/* The mark of a trial goes when bascule-bless has renamed the entry. Without the watch it is seen later. */
static void watch_trial(Updater *updater)
{
        (void)sd_event_add_inotify(updater->event, &updater->trial_watch, updater->host->runtime_folder,
                        IN_DELETE | IN_ONLYDIR, on_trial_ended, updater);
}

/* A host whose disk or ESP cannot be read still has a daemon that says so. */
static void notice(Updater *updater)
{
        HostFacts facts;
        Error error = { 0 };
        if (host_read_facts(updater->host, &facts, &error) < 0) {
                updater_report(updater, &error);
                (void)snprintf(updater->status.host.running.version,
                                sizeof(updater->status.host.running.version), "%s",
                                updater->host->running_version);
                updater->status.host.running.exists = true;
                return;
        }
        plan_judge_waiting(updater->state, &facts);
        updater->status.host = facts;
        updater_notice_boot(updater);
        updater_set_facts(updater, &facts);
        watch_trial(updater);
}

static void report_bad_state(Updater *updater)
{
        Error error = { 0 };
        (void)error_set(&error, ERROR_CORRUPT, EBADMSG,
                        "state.json could not be read; it was set aside as state.json.bad and the ledger "
                        "starts anew");
        updater_report(updater, &error);
}

int updater_new(const UpdaterOptions *options, Updater **ret, Error *error)
{
        _cleanup_(updater_freep) Updater *updater = calloc(1, sizeof(*updater));
        bool was_bad = false;
        if (!updater)
                return error_oom(error);
        updater->state_fd = updater->lock_fd = -1;
        updater->options = *options;
        updater->event = sd_event_ref(options->event);
        int r = options->host_description ? host_load(options->host_description, &updater->host, error)
                                          : host_discover(&updater->host, error);
        if (r >= 0)
                r = config_load(options->config_folders, &updater->config, error);
        if (r >= 0)
                r = take_lock(updater, error);
        if (r >= 0)
                r = state_load(updater->state_fd, &updater->state, &was_bad, error);
        if (r < 0)
                return r;
        if (was_bad)
                report_bad_state(updater);
        notice(updater);
        sync_status(updater);
        *ret = TAKE_PTR(updater);
        return 0;
}

Updater *updater_free(Updater *updater)
{
        if (!updater)
                return NULL;
        job_free(updater->job);
        sd_event_source_disable_unref(updater->reboot_timer);
        sd_event_source_disable_unref(updater->changed_source);
        sd_event_source_disable_unref(updater->trial_watch);
        host_free(updater->host);
        config_free(updater->config);
        state_free(updater->state);
        (void)fd_close(updater->lock_fd);
        (void)fd_close(updater->state_fd);
        sd_event_unref(updater->event);
        free(updater);
        return NULL;
}

const UpdaterStatus *updater_status(Updater *updater)
{
        sync_status(updater);
        return &updater->status;
}

const Config *updater_config(Updater *updater)
{
        return updater->config;
}

const State *updater_state(Updater *updater)
{
        return updater->state;
}

int updater_reload(Updater *updater, Error *error)
{
        Config *config = NULL;
        int r = config_load(updater->options.config_folders, &config, error);
        if (r < 0)
                return r;
        if (updater->job) {
                /* The job works with the one it began with; it is read again when the job has ended. */
                config_free(config);
                updater->is_reload_wanted = true;
                return 0;
        }
        config_free(updater->config);
        updater->config = config;
        updater->mirrors = (MirrorMemory){ 0 };
        if (updater->status.is_reboot_planned ||
                        (updater->status.state == ENGINE_READY &&
                                        updater_waits_by_plan(&updater->status.host)))
                updater_plan_reboot(updater, false);
        updater_touch(updater);
        return 0;
}

int updater_check(Updater *updater, const char *version, unsigned flags, UpdaterDone done, void *data,
                Error *error)
{
        return job_start(updater, JOB_CHECK, version, flags, false, done, data, error);
}

int updater_install(Updater *updater, const char *version, unsigned flags, UpdaterDone done, void *data,
                Error *error)
{
        return job_start(updater, JOB_INSTALL, version, flags, flags & INSTALL_REBOOT, done, data, error);
}

int updater_rollback(Updater *updater, bool reboot, UpdaterDone done, void *data, Error *error)
{
        return job_start(updater, JOB_ROLLBACK, NULL, 0, reboot, done, data, error);
}

int updater_timer(Updater *updater, UpdaterDone done, void *data, Error *error)
{
        JobKind kind = updater->config->is_automatic ? JOB_INSTALL : JOB_CHECK;
        return job_start(updater, kind, NULL, INSTALL_AUTOMATIC, false, done, data, error);
}

int updater_cancel(Updater *updater, Error *error)
{
        return updater_step(updater, ENGINE_EVENT_CANCEL, error);
}

int updater_bless(Updater *updater, Error *error)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_(esp_closep) Esp *esp = NULL;
        const Host *host = updater->host;

        int r = updater_step(updater, ENGINE_EVENT_BLESS, error);
        if (r >= 0)
                r = job_check_ended(updater, error);
        if (r >= 0)
                r = updater_refresh(updater, error);
        if (r < 0)
                return r;
        if (!updater->status.host.running.is_counted)
                return error_set(error, ERROR_NOTHING_TO_DO, EALREADY, "release %s is blessed already",
                                host->running_version);
        r = disk_open(host->disk_path, &disk, error);
        if (r >= 0)
                r = host_open_esp(host, disk, true, &esp, error);
        if (r >= 0)
                r = trial_bless(host->boot, esp, host->image_id, host->running_version, host->runtime_folder,
                                error);
        if (r < 0)
                return r;
        esp = esp_close(esp);
        (void)snprintf(updater->state->last_blessed, sizeof(updater->state->last_blessed), "%s",
                        host->running_version);
        updater_note(updater, HISTORY_BLESSED, host->running_version, "an administrator blessed it");
        (void)state_ledger_clear(updater->state, host->running_version);
        updater_save(updater);
        return updater_refresh(updater, error);
}

int updater_pin(Updater *updater, const char *version, Error *error)
{
        const char *wanted = version ? version : updater->host->running_version;
        if (!version_is_valid(wanted))
                return error_set(error, ERROR_USAGE, EINVAL, "\"%s\" is not a version", wanted);
        if (state_pin(updater->state, wanted) < 0)
                return error_oom(error);
        sync_status(updater);
        return state_save(updater->state, updater->state_fd, error) < 0 ? -EIO : (updater_touch(updater), 0);
}

int updater_unpin(Updater *updater, Error *error)
{
        if (!updater->state->pinned_version)
                return error_set(error, ERROR_NOTHING_TO_DO, EALREADY, "this host is not pinned");
        (void)state_pin(updater->state, NULL);
        sync_status(updater);
        return state_save(updater->state, updater->state_fd, error) < 0 ? -EIO : (updater_touch(updater), 0);
}

int updater_ledger_clear(Updater *updater, const char *version, Error *error)
{
        if (state_ledger_clear(updater->state, version) < 0)
                return error_set(error, ERROR_NOTHING_TO_DO, ENOENT, "the ledger does not name release %s",
                                version);
        return state_save(updater->state, updater->state_fd, error) < 0 ? -EIO : (updater_touch(updater), 0);
}

int updater_reboot(Updater *updater, bool now, Error *error)
{
        return updater_step(updater, now ? ENGINE_EVENT_REBOOT : ENGINE_EVENT_ORDER, error);
}
