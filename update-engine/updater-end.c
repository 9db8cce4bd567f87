/* SPDX-License-Identifier: Apache-2.0 */
#include "updater-internal.h"

#include <string.h>

#define OVERRIDES_MAX 256 /* every sentence below, one after the other */

/* What an administrator allowed against a refusal; "" when nothing. */
static void describe_overrides(unsigned flags, char ret[static OVERRIDES_MAX])
{
        static const struct {
                InstallFlags flag;
                const char *words;
        } overrides[] = { { INSTALL_ALLOW_EXPIRED, "expired metadata" },
                { INSTALL_ALLOW_OLDER, "an older release" },
                { INSTALL_FORCE_LEDGER, "a release that the ledger names" },
                { INSTALL_FORCE_PIN, "another release than the pinned one" },
                { INSTALL_FORCE_FLOOR, "passing a floor" },
                { INSTALL_ALLOW_WITHDRAWN, "a withdrawn release" } };
        size_t used = 0;
        ret[0] = '\0';
        for (size_t i = 0; i < ELEMENTS(overrides); i++)
                if (flags & overrides[i].flag)
                        used += (size_t)snprintf(ret + used, OVERRIDES_MAX - used, "%s%s",
                                        used > 0 ? ", " : "an administrator allowed ", overrides[i].words);
}

static void note_install(Updater *updater, const Job *job)
{
        HistoryEntry entry = { .time = clock_seconds(),
                .kind = job->result >= 0                     ? HISTORY_INSTALLED
                        : job->error.code == ERROR_CANCELLED ? HISTORY_CANCELLED
                                                             : HISTORY_INSTALL_FAILED,
                .fetched_bytes = job->operation.progress.fetched_bytes,
                .written_bytes = job->operation.progress.written_bytes,
                .full_bytes = job->operation.progress.full_bytes,
                .seconds = clock_seconds() - MIN_OF(job->started, clock_seconds()) };
        const char *version = job->check.plan ? job->check.plan->version : "";
        char overrides[OVERRIDES_MAX], detail[OVERRIDES_MAX + ERROR_MESSAGE_MAX];
        describe_overrides(job->flags, overrides);
        (void)snprintf(detail, sizeof(detail), "%s%s%s", job->result >= 0 ? "" : job->error.message,
                        job->result < 0 && *overrides ? "; " : "", overrides);
        entry.detail = detail;
        (void)snprintf(entry.version, sizeof(entry.version), "%s", version);
        (void)snprintf(entry.from_version, sizeof(entry.from_version), "%s", updater->host->running_version);
        (void)state_history_add(updater->state, &entry);
        /* Someone asked for a release by name although the ledger names it: the verdict is open again. */
        if (job->result >= 0)
                (void)state_ledger_clear(updater->state, version);
        if (job->result >= 0 && version_compare(version, updater->host->running_version) < 0) {
                char reason[128 + VERSION_MAX];
                (void)snprintf(reason, sizeof(reason), "the older release %s was installed in its place",
                                version);
                (void)state_ledger_add(updater->state, updater->host->running_version, LEDGER_ROLLED_BACK,
                                clock_seconds(), reason);
        }
}

static void note_rollback(Updater *updater, const Job *job)
{
        const char *running = updater->host->running_version, *other = job->facts.other.version;
        char reason[128 + VERSION_MAX];
        if (job->result < 0)
                return;
        (void)snprintf(reason, sizeof(reason), "an administrator went back to release %s", other);
        updater_note(updater, HISTORY_ROLLED_BACK, other, "an administrator asked for it");
        (void)state_ledger_clear(updater->state, other);
        if (version_compare(other, running) < 0)
                (void)state_ledger_add(updater->state, running, LEDGER_ROLLED_BACK, clock_seconds(), reason);
}

static void note_check(Updater *updater, const Job *job)
{
        if (!job->check.plan)
                return;
        updater->state->last_check = clock_seconds();
        /* The metadata was good at this time, so the time cannot be far wrong; a clock that runs ahead by
         * years would have made it expired. */
        if (!(job->flags & INSTALL_ALLOW_EXPIRED))
                updater->state->latest_known_time =
                                MAX_OF(updater->state->latest_known_time, job->operation.now);
        (void)snprintf(updater->status.available_version, sizeof(updater->status.available_version), "%s",
                        job->check.available ? job->check.available : "");
}

static EngineEvent end_event(const Job *job)
{
        if (job->result < 0)
                return ENGINE_EVENT_FAILED;
        return job->kind == JOB_CHECK ? ENGINE_EVENT_DONE : ENGINE_EVENT_READY;
}

void updater_job_ended(Updater *updater, Job *job)
{
        Error error = { 0 };
        /* The thread is done: this only collects it. */
        (void)pthread_join(job->thread, NULL);
        job->thread = 0;
        updater_take_progress(updater, &job->operation.progress);
        updater->status.last_error = (Error){ 0 };
        if (job->result < 0 && !error_is_set(&job->error))
                (void)error_set(&job->error, ERROR_FAILED, -job->result, "%s", strerror(-job->result));
        note_check(updater, job);
        if (job->kind == JOB_INSTALL && job->is_prepared)
                note_install(updater, job);
        if (job->kind == JOB_ROLLBACK)
                note_rollback(updater, job);
        /* Policy that holds the timer back works as it should. */
        bool is_policy = job->flags & INSTALL_AUTOMATIC && job->error.code == ERROR_REFUSED;
        if (job->result < 0 && job->error.code != ERROR_NOTHING_TO_DO && !is_policy)
                updater_report(updater, &job->error);
        updater_save(updater);
        if (updater_refresh(updater, &error) < 0 && !error_is_set(&updater->status.last_error))
                updater_report(updater, &error);
        (void)updater_step(updater, end_event(job), NULL);
        updater->status.operation_version[0] = '\0';
        if (updater->is_reload_wanted) {
                updater->is_reload_wanted = false;
                (void)updater_reload(updater, NULL);
        }
        bool is_ready_again = job->kind == JOB_INSTALL && job->check.plan &&
                              job->check.plan->verdict == PLAN_ALREADY_READY;
        if (job->is_reboot_wanted && (job->result >= 0 || is_ready_again))
                (void)updater_step(updater, ENGINE_EVENT_ORDER, NULL);
        if (job->done)
                job->done(job->done_data, job->result, job->result < 0 ? &job->error : NULL,
                                job->check.plan);
        job_free(job);
}
