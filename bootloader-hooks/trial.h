/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The trial of a release: from its first boot until it is blessed, or given up. /run/bascule/trial exists
 * while the running release is on trial (bascule-init makes it when the loader counted the entry). What made
 * a trial fail is left in /var/lib/bascule/trial-failure.json for the engine of the release that is booted
 * instead, which notes it in its ledger and clears the file. */

#include "boot.h"
#include "booted.h"
#include "error.h"

#define TRIAL_STATE_FOLDER "/var/lib/bascule"
#define TRIAL_REASON_MAX 1024
/* In /run/bascule while a release that is healthy waits for someone to bless it. */
#define TRIAL_CONFIRM_FILE "confirm-until"

/* Whether the running release is on trial. `runtime_folder` is BOOTED_FOLDER but for tests. */
bool trial_is_running(const char *runtime_folder);

/* Ends the trial well: takes the counter off the entry, then removes the mark. Success when both are done
 * already. -ENOENT when there is no entry of the version; the trial then goes on. */
int trial_bless(const BootBackend *backend, Esp *esp, const char *image_id, const char *version,
                const char *runtime_folder, Error *error);

typedef struct TrialFailure {
        char version[VERSION_MAX + 1];
        char reason[TRIAL_REASON_MAX]; /* a sentence; quotes what a check printed, so it is hostile: control
                                        * bytes are '?' */
        uint64_t time_seconds;         /* since 1970 */
} TrialFailure;

/* Replaces the note; on disk when it returns. */
int trial_failure_write(const char *state_folder, const TrialFailure *failure, Error *error);
/* -ENOENT, without an Error, when there is no note; -EBADMSG for one that makes no sense. */
int trial_failure_read(const char *state_folder, TrialFailure *ret, Error *error);
/* Success when there is none. */
int trial_failure_clear(const char *state_folder);

/* Opens the ESP of the disk that was booted, or `esp_folder` unless it is NULL. */
int trial_open_esp(const Booted *booted, const char *esp_folder, bool is_writable, Esp **ret, Error *error);

/* Whether a reboot can lead anywhere better: the running release has tries left, or there is another one
 * that the loader would take. If not, a host that is up, however ill, is of more use than one that reboots
 * for ever. */
bool trial_has_way_out(const BootBackend *backend, int esp_fd, const char *image_id);

/* Notes the failure if it can, and reboots: first by asking systemd, which ends services in order but waits
 * for none, then by itself. Does not return. */
_noreturn_ void trial_give_up(const char *state_folder, const TrialFailure *failure);
