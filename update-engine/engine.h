/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The state machine of the engine: (state, event) -> (state, actions). Pure: no I/O, no clock, no memory of
 * its own, so each row of its table is a unit test. The updater feeds it and carries out the actions. */

#include "macro.h"

typedef enum EngineState {
        ENGINE_IDLE,         /* nothing goes on, nothing waits */
        ENGINE_CHECKING,     /* metadata, channel and manifest are fetched */
        ENGINE_PREPARING,    /* an update was decided on: last checks, the slot is taken out of use */
        ENGINE_DOWNLOADING,  /* payloads are fetched and written where they belong */
        ENGINE_VERIFYING,    /* what was written is read back and hashed */
        ENGINE_FINISHING,    /* the boot entry is put in place */
        ENGINE_ROLLING_BACK, /* the other release is proved and made the preferred one */
        ENGINE_READY,        /* another release is ready: the next boot starts it */
        ENGINE_REBOOTING,    /* the machine was asked to go down */
        ENGINE_STATE_MAX
} EngineState;

typedef enum EngineEvent {
        ENGINE_EVENT_CHECK,    /* asked to look for releases */
        ENGINE_EVENT_INSTALL,  /* asked to install */
        ENGINE_EVENT_ROLLBACK, /* asked to go back */
        ENGINE_EVENT_PREPARE,  /* the check behind an install found something to install */
        ENGINE_EVENT_DOWNLOAD, /* a transfer began */
        ENGINE_EVENT_VERIFY,   /* a transfer ended, reading back begins */
        ENGINE_EVENT_FINISH,   /* what was read back was right */
        ENGINE_EVENT_DONE,     /* the operation succeeded; nothing waits for a reboot */
        ENGINE_EVENT_READY,    /* the operation succeeded; a reboot makes it effective */
        ENGINE_EVENT_FAILED, /* the operation ended without effect, but an older one may wait for a reboot */
        ENGINE_EVENT_GONE,   /* what was ready for the next boot is so no more */
        ENGINE_EVENT_LEFT,   /* at start-up: another release waits, since someone chose this one at boot */
        ENGINE_EVENT_CANCEL, /* asked to stop */
        ENGINE_EVENT_BLESS,  /* asked to mark the running release as good */
        ENGINE_EVENT_ORDER,  /* asked to reboot after the grace period */
        ENGINE_EVENT_REBOOT, /* asked to reboot at once, or the moment of a planned reboot has come */
        ENGINE_EVENT_REBOOT_FAILED, /* the request was refused by the system */
        ENGINE_EVENT_MAX
} EngineEvent;

/* Bits; the updater carries them out in this order. */
typedef enum EngineAction {
        ENGINE_ACTION_NONE = 0,
        ENGINE_ACTION_REFUSE_BUSY = 1 << 0, /* answer "busy"; nothing else happens */
        ENGINE_ACTION_REFUSE_IDLE = 1 << 1, /* answer "nothing to do" */
        ENGINE_ACTION_STOP_JOB = 1 << 2,    /* ask the running job to stop; it reports FAILED */
        ENGINE_ACTION_START_CHECK = 1 << 3,
        ENGINE_ACTION_START_INSTALL = 1 << 4,
        ENGINE_ACTION_START_ROLLBACK = 1 << 5,
        ENGINE_ACTION_HOLD_REBOOT = 1 << 6, /* a planned reboot waits for the end of the operation */
        ENGINE_ACTION_DROP_REBOOT = 1 << 7, /* forget a planned reboot, or one that is held */
        ENGINE_ACTION_PLAN_REBOOT = 1 << 8, /* a release became ready: apply the reboot policy */
        ENGINE_ACTION_RESUME_REBOOT =
                        1 << 9, /* plan what was held once more; what is planned keeps its time */
        ENGINE_ACTION_ORDER_REBOOT = 1 << 10, /* plan one after the grace period, whatever the policy says */
        ENGINE_ACTION_REBOOT = 1 << 11,       /* ask the system to reboot */
        ENGINE_ACTION_ANSWER = 1 << 12,       /* the operation's caller gets the result */
} EngineAction;

/* What counts beside the state. */
typedef struct EngineFacts {
        bool is_waiting; /* a release other than the running one is ready for the next boot (read from the
                            disk, not remembered): decides between idle and ready when an operation ends */
        bool is_planned; /* a reboot is planned: there is something to cancel when nothing is under way */
} EngineFacts;

typedef struct EngineStep {
        EngineState state; /* the next one */
        unsigned actions;  /* EngineAction bits */
} EngineStep;

/* What happens on an event, and the only place that says so. An event that a state does not know changes
 * nothing. */
EngineStep engine_step(EngineState state, EngineEvent event, EngineFacts facts);

/* Whether an operation is under way, or the machine goes down: what the table refuses as busy. */
bool engine_is_busy(EngineState state);

/* Stable names for people, --json and D-Bus: "idle", "checking", "preparing", "downloading", "verifying",
 * "finishing", "rolling-back", "ready-to-reboot", "rebooting". */
const char *engine_state_name(EngineState state);
const char *engine_event_name(EngineEvent event);
