/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The engine as one object: what basculed puts on the bus, and what the test driver drives without a bus. It
 * lives on an sd-event loop. Operations start at once and answer later through a callback; one runs at a
 * time. Long work is done by a thread and by the roles (roles.h), so the loop never waits.
 *
 * Everything here is called from the thread that runs the loop; callbacks come on it too. What a function
 * returns a pointer to is borrowed, and holds until the next return to the loop. */

#include "config.h"
#include "engine.h"
#include "host.h"
#include "plan.h"
#include "state.h"

#include <systemd/sd-event.h>

typedef struct Updater Updater;

/* Called after anything in the Status, the history, the ledger or the pin changed; many changes in a short
 * time give few calls (progress: four a second at most). */
typedef void (*UpdaterChanged)(void *data);

typedef struct UpdaterOptions {
        sd_event *event;                   /* referenced */
        const char *host_description;      /* path (host.h); NULL: this machine */
        const char *const *config_folders; /* NULL: config_load()'s own */
        const char *fetch_socket;          /* of role fetch's service, borrowed; NULL: it is a child */
        UpdaterChanged changed;            /* may be NULL */
        void *data;                        /* for `changed` */
} UpdaterOptions;

/* The phase of an install to which the progress belongs. */
typedef struct UpdaterProgress {
        uint64_t done_bytes, total_bytes; /* of the present state; total 0: not known */
        uint64_t rate_bytes;              /* a second, over the last few seconds */
        uint64_t fetched_bytes;           /* from the network, in the whole operation */
        uint64_t written_bytes;           /* to slot and ESP, in the whole operation */
        uint64_t full_bytes; /* of the full payloads, of which `fetched_bytes` was enough; 0: no install */
} UpdaterProgress;

typedef struct UpdaterStatus {
        EngineState state;
        HostFacts host;                          /* running and other release; see host.h */
        char operation_version[VERSION_MAX + 1]; /* what is being installed, or rolled back to; "" */
        UpdaterProgress progress;
        char available_version[VERSION_MAX + 1]; /* the best newer release at the last check; "" */
        uint64_t last_check;                     /* seconds since 1970; 0: never */
        uint64_t clock_behind_seconds;           /* of the time that the last operation went by; mostly 0 */
        Error last_error;                        /* of the last operation; not set when it succeeded */
        bool is_reboot_planned;
        uint64_t reboot_at;         /* seconds since 1970, when planned */
        const char *pinned_version; /* NULL: not pinned */
        bool is_trial;              /* the running release is not blessed yet */
} UpdaterStatus;

/* Reads configuration, host and state; takes the lock in the state folder (ERROR_BUSY when another engine
 * holds it); notices what happened since it last ran: a first boot, a fallback from a failed trial (noted
 * in ledger and history with its reason), a release that waits for a reboot (policy applies). */
int updater_new(const UpdaterOptions *options, Updater **ret, Error *error);
/* Stops what is under way (waits for the children to end, under a second). */
Updater *updater_free(Updater *updater);
DEFINE_CLEANUP(Updater *, updater_free)

const UpdaterStatus *updater_status(Updater *updater);
const Config *updater_config(Updater *updater);
const State *updater_state(Updater *updater); /* ledger, history, pin */

/* Reads disk and ESP again (someone may have blessed the running release); calls `changed` if it differs. */
int updater_refresh(Updater *updater, Error *error);
/* Reads the configuration again. A mistake in it leaves the old one in force. */
int updater_reload(Updater *updater, Error *error);

/* The end of an operation. r >= 0: success. `error` is set otherwise (ERROR_CANCELLED after a cancel;
 * ERROR_NOTHING_TO_DO when there is no newer release). `plan` is what was found, or NULL when it failed
 * before there was one. May be NULL. */
typedef void (*UpdaterDone)(void *data, int r, const Error *error, const Plan *plan);

/* Asks the repository for the best (or the given) version and says what an install with these flags
 * would do; also the `plan` verb. Succeeds whatever the plan's verdict is. version may be NULL. */
int updater_check(Updater *updater, const char *version, unsigned flags, UpdaterDone done, void *data,
                Error *error);

/* Checks and, if nothing stands in the way, installs. version may be NULL (the best). flags: InstallFlags.
 */
int updater_install(Updater *updater, const char *version, unsigned flags, UpdaterDone done, void *data,
                Error *error);

/* Stops the operation under way, or drops a planned reboot if none is. ERROR_NOTHING_TO_DO when there is
 * neither. The operation itself answers with ERROR_CANCELLED when it has ended. */
int updater_cancel(Updater *updater, Error *error);

/* Proves the other release (whole slot against its tree), makes it the preferred one and notes the running
 * one in the ledger; reboots by policy, or always with `reboot`. */
int updater_rollback(Updater *updater, bool reboot, UpdaterDone done, void *data, Error *error);

/* Marks the running release as good, now. ERROR_NOTHING_TO_DO when it is. */
int updater_bless(Updater *updater, Error *error);

/* Stays on a version: only that one is installed until updater_unpin(). NULL pins the running one. */
int updater_pin(Updater *updater, const char *version, Error *error);
int updater_unpin(Updater *updater, Error *error);

/* Forgets a bad version, or all with NULL. */
int updater_ledger_clear(Updater *updater, const char *version, Error *error);

/* Reboots after the grace period, or at once with `now`, whether or not a release waits. */
int updater_reboot(Updater *updater, bool now, Error *error);

/* What the timer calls: a check, or an install with INSTALL_AUTOMATIC when the configuration says so. */
int updater_timer(Updater *updater, UpdaterDone done, void *data, Error *error);
