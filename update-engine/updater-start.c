/* SPDX-License-Identifier: Apache-2.0 */
#include "updater-internal.h"

#include "file.h"
#include "json.h"

#include <fcntl.h>
#include <string.h>

/* Written by the health check of a release on trial before it reboots; see bootloader-hooks. */
#define TRIAL_FAILURE "trial-failure.json"
#define TRIAL_FAILURE_MAX (64 * KIB)

typedef struct TrialFailure {
        char version[VERSION_MAX + 1];
        char reason[512];
} TrialFailure;

/* The file is on /var, where anything can happen to it: whatever does not parse is as good as none. */
static bool read_trial_failure(int state_fd, TrialFailure *ret)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_t *root = NULL;
        const char *version = NULL, *reason = "its health checks failed";
        size_t size = 0;

        if (file_read(state_fd, TRIAL_FAILURE, TRIAL_FAILURE_MAX, &text, &size) < 0 ||
                        json_parse(text, size, TRIAL_FAILURE_MAX, TRIAL_FAILURE, &root, NULL) < 0 ||
                        json_get_string(root, "version", &version, NULL) < 0 ||
                        json_get_string_optional(root, "reason", &reason, NULL) < 0 ||
                        !version_is_valid(version))
                return false;
        (void)snprintf(ret->version, sizeof(ret->version), "%s", version);
        (void)snprintf(ret->reason, sizeof(ret->reason), "%s", reason);
        return true;
}

static void note_failure(Updater *updater, const char *version, const char *reason)
{
        if (state_ledger_find(updater->state, version))
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
        bool has_reason = read_trial_failure(updater->state_fd, &failure);
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
                (void)unlinkat(updater->state_fd, TRIAL_FAILURE, 0);
}

/* A waiting release reboots the host by policy only if it was made to wait: not when someone chose to boot
 * the other one by hand. */
static bool is_waiting_by_plan(const HostFacts *facts)
{
        return facts->is_waiting &&
               (facts->other.is_counted || (facts->running.is_counted && facts->running.tries_left == 0));
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
        if (is_waiting_by_plan(&updater->status.host))
                (void)updater_step(updater, ENGINE_EVENT_READY, NULL);
        else if (updater->status.host.is_waiting)
                updater->status.state = ENGINE_READY;
}
