/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

/* One row for each event that means something in a state; the first that applies counts. Where `waits`
 * differs from `next`, it is the state when another release waits for the next boot. */
typedef struct EngineRow {
        EngineState state;
        EngineEvent event;
        EngineState next, waits;
        unsigned actions;
        bool needs_plan; /* applies when a reboot is planned */
} EngineRow;

#define BUSY ENGINE_ACTION_REFUSE_BUSY
#define ANSWER ENGINE_ACTION_ANSWER
#define STOP ENGINE_ACTION_STOP_JOB
#define PLAN ENGINE_ACTION_PLAN_REBOOT
#define HOLD ENGINE_ACTION_HOLD_REBOOT
#define RESUME ENGINE_ACTION_RESUME_REBOOT
#define DROP ENGINE_ACTION_DROP_REBOOT
#define ORDER ENGINE_ACTION_ORDER_REBOOT
#define GO ENGINE_ACTION_REBOOT

/* A row whose next state does not depend on a waiting release. */
#define ROW(state, event, next, actions)                                                                    \
        {                                                                                                   \
                ENGINE_##state, ENGINE_EVENT_##event, ENGINE_##next, ENGINE_##next, actions, false          \
        }
/* The same, while a reboot is planned. */
#define PLANNED(state, event, next, actions)                                                                \
        {                                                                                                   \
                ENGINE_##state, ENGINE_EVENT_##event, ENGINE_##next, ENGINE_##next, actions, true           \
        }
/* The end of an operation: back to idle, or to ready when a release waits. */
#define END(state, event, actions)                                                                          \
        {                                                                                                   \
                ENGINE_##state, ENGINE_EVENT_##event, ENGINE_IDLE, ENGINE_READY, actions, false             \
        }

/* An operation under way: no other begins, cancel stops it, its end is answered. A reboot that an
 * administrator asks for does not wait for it: what was written so far is resumed after the boot. */
#define UNDER_WAY(state)                                                                                    \
        ROW(state, CHECK, state, BUSY), ROW(state, INSTALL, state, BUSY),                                   \
                        ROW(state, ROLLBACK, state, BUSY), ROW(state, CANCEL, state, STOP),                 \
                        ROW(state, BLESS, state, BUSY), ROW(state, ORDER, state, ORDER),                    \
                        ROW(state, REBOOT, REBOOTING, STOP | GO), END(state, FAILED, ANSWER | RESUME),      \
                        END(state, DONE, ANSWER | RESUME)

static const EngineRow engine_rows[] = {
        ROW(IDLE, CHECK, CHECKING, ENGINE_ACTION_START_CHECK),
        ROW(IDLE, INSTALL, CHECKING, ENGINE_ACTION_START_INSTALL),
        ROW(IDLE, ROLLBACK, ROLLING_BACK, ENGINE_ACTION_START_ROLLBACK),
        PLANNED(IDLE, CANCEL, IDLE, DROP),
        ROW(IDLE, CANCEL, IDLE, ENGINE_ACTION_REFUSE_IDLE),
        ROW(IDLE, ORDER, IDLE, ORDER),
        ROW(IDLE, REBOOT, REBOOTING, GO),
        /* At start-up: a release that was ready before the daemon started. */
        ROW(IDLE, READY, READY, PLAN),
        ROW(IDLE, LEFT, READY, 0),

        UNDER_WAY(CHECKING),
        ROW(CHECKING, PREPARE, PREPARING, HOLD),

        UNDER_WAY(PREPARING),
        ROW(PREPARING, DOWNLOAD, DOWNLOADING, 0),

        UNDER_WAY(DOWNLOADING),
        ROW(DOWNLOADING, DOWNLOAD, DOWNLOADING, 0),
        ROW(DOWNLOADING, VERIFY, VERIFYING, 0),

        /* The root is proved before the UKI is fetched, so downloading can follow verifying. */
        UNDER_WAY(VERIFYING),
        ROW(VERIFYING, DOWNLOAD, DOWNLOADING, 0),
        ROW(VERIFYING, FINISH, FINISHING, 0),

        UNDER_WAY(FINISHING),
        ROW(FINISHING, READY, READY, ANSWER | PLAN),

        UNDER_WAY(ROLLING_BACK),
        ROW(ROLLING_BACK, READY, READY, ANSWER | PLAN),

        ROW(READY, CHECK, CHECKING, ENGINE_ACTION_START_CHECK),
        ROW(READY, INSTALL, CHECKING, ENGINE_ACTION_START_INSTALL),
        ROW(READY, ROLLBACK, ROLLING_BACK, DROP | ENGINE_ACTION_START_ROLLBACK),
        PLANNED(READY, CANCEL, READY, DROP),
        ROW(READY, CANCEL, READY, ENGINE_ACTION_REFUSE_IDLE),
        ROW(READY, ORDER, READY, ORDER),
        ROW(READY, REBOOT, REBOOTING, GO),
        ROW(READY, GONE, IDLE, DROP),

        ROW(REBOOTING, CHECK, REBOOTING, BUSY),
        ROW(REBOOTING, INSTALL, REBOOTING, BUSY),
        ROW(REBOOTING, ROLLBACK, REBOOTING, BUSY),
        ROW(REBOOTING, CANCEL, REBOOTING, BUSY),
        ROW(REBOOTING, BLESS, REBOOTING, BUSY),
        ROW(REBOOTING, ORDER, REBOOTING, BUSY),
        ROW(REBOOTING, REBOOT, REBOOTING, BUSY),
        ROW(REBOOTING, FAILED, REBOOTING, ANSWER),
        ROW(REBOOTING, DONE, REBOOTING, ANSWER),
        ROW(REBOOTING, READY, REBOOTING, ANSWER),
        END(REBOOTING, REBOOT_FAILED, RESUME),
};

EngineStep engine_step(EngineState state, EngineEvent event, EngineFacts facts)
{
        for (size_t i = 0; i < ELEMENTS(engine_rows); i++) {
                const EngineRow *row = &engine_rows[i];
                if (row->state == state && row->event == event && (facts.is_planned || !row->needs_plan))
                        return (EngineStep){ facts.is_waiting ? row->waits : row->next, row->actions };
        }
        return (EngineStep){ state, ENGINE_ACTION_NONE };
}

bool engine_is_busy(EngineState state)
{
        return state != ENGINE_IDLE && state != ENGINE_READY;
}

const char *engine_state_name(EngineState state)
{
        static const char *const names[ENGINE_STATE_MAX] = {
                [ENGINE_IDLE] = "idle",
                [ENGINE_CHECKING] = "checking",
                [ENGINE_PREPARING] = "preparing",
                [ENGINE_DOWNLOADING] = "downloading",
                [ENGINE_VERIFYING] = "verifying",
                [ENGINE_FINISHING] = "finishing",
                [ENGINE_ROLLING_BACK] = "rolling-back",
                [ENGINE_READY] = "ready-to-reboot",
                [ENGINE_REBOOTING] = "rebooting",
        };
        return state < ENGINE_STATE_MAX ? names[state] : "unknown";
}

const char *engine_event_name(EngineEvent event)
{
        static const char *const names[ENGINE_EVENT_MAX] = {
                [ENGINE_EVENT_CHECK] = "check",
                [ENGINE_EVENT_INSTALL] = "install",
                [ENGINE_EVENT_ROLLBACK] = "rollback",
                [ENGINE_EVENT_PREPARE] = "prepare",
                [ENGINE_EVENT_DOWNLOAD] = "download",
                [ENGINE_EVENT_VERIFY] = "verify",
                [ENGINE_EVENT_FINISH] = "finish",
                [ENGINE_EVENT_DONE] = "done",
                [ENGINE_EVENT_READY] = "ready",
                [ENGINE_EVENT_FAILED] = "failed",
                [ENGINE_EVENT_GONE] = "gone",
                [ENGINE_EVENT_LEFT] = "left",
                [ENGINE_EVENT_CANCEL] = "cancel",
                [ENGINE_EVENT_BLESS] = "bless",
                [ENGINE_EVENT_ORDER] = "order",
                [ENGINE_EVENT_REBOOT] = "reboot",
                [ENGINE_EVENT_REBOOT_FAILED] = "reboot-failed",
        };
        return event < ENGINE_EVENT_MAX ? names[event] : "unknown";
}
