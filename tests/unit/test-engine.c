/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"
#include "test.h"

static EngineState after(EngineState state, EngineEvent event)
{
        return engine_step(state, event, false).state;
}

static unsigned actions(EngineState state, EngineEvent event)
{
        return engine_step(state, event, false).actions;
}

TEST(walks_through_an_install)
{
        static const struct {
                EngineEvent event;
                EngineState state;
        } walk[] = {
                { ENGINE_EVENT_INSTALL, ENGINE_CHECKING },
                { ENGINE_EVENT_PREPARE, ENGINE_PREPARING },
                { ENGINE_EVENT_DOWNLOAD, ENGINE_DOWNLOADING },
                { ENGINE_EVENT_VERIFY, ENGINE_VERIFYING },
                { ENGINE_EVENT_DOWNLOAD, ENGINE_DOWNLOADING },
                { ENGINE_EVENT_VERIFY, ENGINE_VERIFYING },
                { ENGINE_EVENT_FINISH, ENGINE_FINISHING },
                { ENGINE_EVENT_READY, ENGINE_READY },
                { ENGINE_EVENT_REBOOT, ENGINE_REBOOTING },
        };
        EngineState state = ENGINE_IDLE;
        for (size_t i = 0; i < ELEMENTS(walk); i++) {
                state = after(state, walk[i].event);
                CHECK_EQ(state, walk[i].state);
        }
}

TEST(one_operation_at_a_time)
{
        static const EngineEvent begins[] = { ENGINE_EVENT_CHECK, ENGINE_EVENT_INSTALL,
                ENGINE_EVENT_ROLLBACK };
        for (EngineState state = 0; state < ENGINE_STATE_MAX; state++) {
                for (size_t i = 0; i < ELEMENTS(begins); i++) {
                        EngineStep step = engine_step(state, begins[i], false);
                        if (!engine_is_busy(state)) {
                                CHECK(!(step.actions & ENGINE_ACTION_REFUSE_BUSY));
                                CHECK(engine_is_busy(step.state));
                                continue;
                        }
                        CHECK_EQ(step.actions, ENGINE_ACTION_REFUSE_BUSY);
                        CHECK_EQ(step.state, state);
                }
        }
}

TEST(every_operation_can_be_cancelled_and_ends)
{
        for (EngineState state = 0; state < ENGINE_STATE_MAX; state++) {
                if (!engine_is_busy(state) || state == ENGINE_REBOOTING)
                        continue;
                EngineStep step = engine_step(state, ENGINE_EVENT_CANCEL, false);
                CHECK_EQ(step.actions, ENGINE_ACTION_STOP_JOB);
                CHECK_EQ(step.state, state);
                step = engine_step(state, ENGINE_EVENT_FAILED, false);
                CHECK_EQ(step.state, ENGINE_IDLE);
                CHECK(step.actions & ENGINE_ACTION_ANSWER);
                CHECK_EQ(engine_step(state, ENGINE_EVENT_FAILED, true).state, ENGINE_READY);
        }
        CHECK_EQ(actions(ENGINE_IDLE, ENGINE_EVENT_CANCEL), ENGINE_ACTION_REFUSE_IDLE);
        CHECK_EQ(actions(ENGINE_READY, ENGINE_EVENT_CANCEL), ENGINE_ACTION_DROP_REBOOT);
}

TEST(a_failed_check_keeps_what_waits)
{
        CHECK_EQ(after(ENGINE_READY, ENGINE_EVENT_CHECK), ENGINE_CHECKING);
        CHECK_EQ(engine_step(ENGINE_CHECKING, ENGINE_EVENT_FAILED, true).state, ENGINE_READY);
        CHECK(engine_step(ENGINE_CHECKING, ENGINE_EVENT_FAILED, true).actions & ENGINE_ACTION_RESUME_REBOOT);
}

TEST(preparing_holds_a_planned_reboot_and_going_back_drops_it)
{
        CHECK(actions(ENGINE_CHECKING, ENGINE_EVENT_PREPARE) & ENGINE_ACTION_HOLD_REBOOT);
        CHECK(actions(ENGINE_READY, ENGINE_EVENT_ROLLBACK) & ENGINE_ACTION_DROP_REBOOT);
}

TEST(reboot_stops_the_work_first)
{
        unsigned wanted = ENGINE_ACTION_STOP_JOB | ENGINE_ACTION_REBOOT;
        CHECK_EQ(actions(ENGINE_DOWNLOADING, ENGINE_EVENT_REBOOT), wanted);
        CHECK_EQ(after(ENGINE_REBOOTING, ENGINE_EVENT_FAILED), ENGINE_REBOOTING);
        CHECK_EQ(engine_step(ENGINE_REBOOTING, ENGINE_EVENT_REBOOT_FAILED, true).state, ENGINE_READY);
        CHECK_EQ(after(ENGINE_REBOOTING, ENGINE_EVENT_REBOOT_FAILED), ENGINE_IDLE);
}

TEST(unknown_events_change_nothing)
{
        /* No state but these two is left by READY, and none at all is entered out of the blue. */
        for (EngineState state = 0; state < ENGINE_STATE_MAX; state++) {
                EngineStep step = engine_step(state, ENGINE_EVENT_MAX, true);
                CHECK_EQ(step.state, state);
                CHECK_EQ(step.actions, ENGINE_ACTION_NONE);
        }
        CHECK_EQ(after(ENGINE_IDLE, ENGINE_EVENT_FINISH), ENGINE_IDLE);
        CHECK_EQ(after(ENGINE_CHECKING, ENGINE_EVENT_FINISH), ENGINE_CHECKING);
        CHECK_EQ(after(ENGINE_DOWNLOADING, ENGINE_EVENT_FINISH), ENGINE_DOWNLOADING);
        CHECK_EQ(after(ENGINE_DOWNLOADING, ENGINE_EVENT_READY), ENGINE_DOWNLOADING);
}

TEST(names_are_stable)
{
        CHECK_STR(engine_state_name(ENGINE_READY), "ready-to-reboot");
        for (EngineState state = 0; state < ENGINE_STATE_MAX; state++)
                CHECK(strcmp(engine_state_name(state), "unknown") != 0);
        for (EngineEvent event = 0; event < ENGINE_EVENT_MAX; event++)
                CHECK(strcmp(engine_event_name(event), "unknown") != 0);
        CHECK_STR(engine_state_name(ENGINE_STATE_MAX), "unknown");
}

TEST_MAIN
