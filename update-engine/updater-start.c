/* SPDX-License-Identifier: Apache-2.0 */
#include "updater-internal.h"

#include "trial.h"

#include <string.h>

/* Whether this failure was noted before: since then the version was neither installed nor gone back to. So
 * what an administrator clears from the ledger stays cleared, although the entry on the disk still tells of
 * it. */
static bool is_known(const State *state, const char *version)
{
        for (size_t i = state->history_count; i-- > 0;) {
                const HistoryEntry *entry = &state->history[i];
                if (strcmp(entry->version, version) != 0)
                        continue;
                if (entry->kind == HISTORY_TRIAL_FAILED)
                        return true;
                if (entry->kind == HISTORY_INSTALLED || entry->kind == HISTORY_ROLLED_BACK)
                        return false;
        }
        return false;
}

static void note_failure(Updater *updater, const char *version, const char *reason)
{
        if (state_ledger_find(updater->state, version) || is_known(updater->state, version))
                return;
        (void)state_ledger_add(updater->state, version, LEDGER_TRIAL_FAILED, clock_seconds(), reason);
        updater_note(updater, HISTORY_TRIAL_FAILED, version, reason);
}

/* Did a release fail on trial, so that the loader took this one? */
static void notice_fallback(Updater *updater)
{
        const HostRelease *other = &updater->status.host.other, *running = &updater->status.host.running;
        TrialFailure failure = { 0 };
        char reason[256];
        /* It lies on /var, where anything can happen to it: whatever does not parse is as good as none. */
        bool has_reason = trial_failure_read(updater->host->state_folder, &failure, NULL) >= 0;
        bool is_about_other = has_reason && strcmp(failure.version, other->version) == 0;

        if (other->exists && other->is_counted && other->tries_left == 0) {
                (void)snprintf(reason, sizeof(reason), "it did not come up in %u tries",
                                MAX_OF(other->tries_done, 1u));
                note_failure(updater, other->version, is_about_other ? failure.reason : reason);
        }
        /* A release that gets another try, or that still runs on trial, keeps its note until it is decided.
         */
        bool is_open = (is_about_other && other->is_counted && other->tries_left > 0) ||
                       (has_reason && strcmp(failure.version, running->version) == 0 && running->is_counted);
        if (!is_open)
                (void)trial_failure_clear(updater->host->state_folder);
}

void updater_notice_boot(Updater *updater)
{
        const char *running = updater->host->running_version;
        State *state = updater->state;

        notice_fallback(updater);
        if (strcmp(state->last_running, running) != 0) {
                updater_note(updater, HISTORY_BOOTED, running, "");
                (void)snprintf(state->last_running, sizeof(state->last_running), "%s", running);
        }
        updater_save(updater);
        if (updater_waits_by_plan(&updater->status.host))
                (void)updater_step(updater, ENGINE_EVENT_READY, NULL);
        else if (updater->status.host.is_waiting)
                (void)updater_step(updater, ENGINE_EVENT_LEFT, NULL);
}
