/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"
#include "test.h"

static const EngineFacts nothing, waiting = { .is_waiting = true }, planned = { .is_planned = true };

static EngineState after(EngineState state, EngineEvent event)
{
        return engine_step(state, event, nothing).state;
}

static unsigned actions(EngineState state, EngineEvent event)
{
        return engine_step(state, event, nothing).actions;
}

/* The whole table, one line a state. Of an event that a line does not name nothing may come. */
typedef struct Line {
        EngineEvent event;
        EngineState next;
        const char *actions; /* one letter each, see action_of() */
} Line;

#define LINES_MAX 16

static unsigned action_of(char letter)
{
        static const struct {
                char letter;
                EngineAction action;
        } letters[] = { { 'b', ENGINE_ACTION_REFUSE_BUSY }, { 'i', ENGINE_ACTION_REFUSE_IDLE },
                { 's', ENGINE_ACTION_STOP_JOB }, { '1', ENGINE_ACTION_START_CHECK },
                { '2', ENGINE_ACTION_START_INSTALL }, { '3', ENGINE_ACTION_START_ROLLBACK },
                { 'h', ENGINE_ACTION_HOLD_REBOOT }, { 'd', ENGINE_ACTION_DROP_REBOOT },
                { 'p', ENGINE_ACTION_PLAN_REBOOT }, { 'r', ENGINE_ACTION_RESUME_REBOOT },
                { 'o', ENGINE_ACTION_ORDER_REBOOT }, { 'g', ENGINE_ACTION_REBOOT },
                { 'a', ENGINE_ACTION_ANSWER } };
        for (size_t i = 0; i < ELEMENTS(letters); i++)
                if (letters[i].letter == letter)
                        return letters[i].action;
        return 0;
}

/* One state under each event: `lines` ends at one without actions' text. */
static void check_state(EngineState state, EngineFacts facts, const Line lines[static LINES_MAX])
{
        for (EngineEvent event = 0; event < ENGINE_EVENT_MAX; event++) {
                EngineState next = state;
                unsigned wanted = 0;
                for (size_t i = 0; i < LINES_MAX && lines[i].actions; i++) {
                        if (lines[i].event != event)
                                continue;
                        next = lines[i].next;
                        for (const char *letter = lines[i].actions; *letter; letter++)
                                wanted |= action_of(*letter);
                }
                EngineStep step = engine_step(state, event, facts);
                if (step.state != next || step.actions != wanted)
                        printf("# %s, %s: %s, actions %#x\n", engine_state_name(state),
                                        engine_event_name(event), engine_state_name(step.state),
                                        step.actions);
                CHECK_EQ(step.state, next);
                CHECK_EQ(step.actions, wanted);
        }
}

static EngineFacts facts_of(unsigned bits)
{
        return (EngineFacts){ .is_waiting = bits & 1, .is_planned = bits & 2 };
}

TEST(every_row_when_nothing_is_under_way)
{
        for (unsigned bits = 0; bits < 4; bits++) {
                EngineFacts facts = facts_of(bits);
                const char *cancel = facts.is_planned ? "d" : "i";
                check_state(ENGINE_IDLE, facts,
                                (Line[LINES_MAX]){ { ENGINE_EVENT_CHECK, ENGINE_CHECKING, "1" },
                                                { ENGINE_EVENT_INSTALL, ENGINE_CHECKING, "2" },
                                                { ENGINE_EVENT_ROLLBACK, ENGINE_ROLLING_BACK, "3" },
                                                { ENGINE_EVENT_CANCEL, ENGINE_IDLE, cancel },
                                                { ENGINE_EVENT_ORDER, ENGINE_IDLE, "o" },
                                                { ENGINE_EVENT_REBOOT, ENGINE_REBOOTING, "g" },
                                                { ENGINE_EVENT_READY, ENGINE_READY, "p" },
                                                { ENGINE_EVENT_LEFT, ENGINE_READY, "" } });
                check_state(ENGINE_READY, facts,
                                (Line[LINES_MAX]){ { ENGINE_EVENT_CHECK, ENGINE_CHECKING, "1" },
                                                { ENGINE_EVENT_INSTALL, ENGINE_CHECKING, "2" },
                                                { ENGINE_EVENT_ROLLBACK, ENGINE_ROLLING_BACK, "d3" },
                                                { ENGINE_EVENT_CANCEL, ENGINE_READY, cancel },
                                                { ENGINE_EVENT_ORDER, ENGINE_READY, "o" },
                                                { ENGINE_EVENT_REBOOT, ENGINE_REBOOTING, "g" },
                                                { ENGINE_EVENT_GONE, ENGINE_IDLE, "d" } });
        }
}

/* What all operations have in common comes first, then what only this one knows. */
static void check_operation(EngineState state, const Line *own, size_t count)
{
        for (unsigned bits = 0; bits < 4; bits++) {
                EngineFacts facts = facts_of(bits);
                EngineState end = facts.is_waiting ? ENGINE_READY : ENGINE_IDLE;
                Line lines[LINES_MAX] = { { ENGINE_EVENT_CHECK, state, "b" },
                        { ENGINE_EVENT_INSTALL, state, "b" }, { ENGINE_EVENT_ROLLBACK, state, "b" },
                        { ENGINE_EVENT_BLESS, state, "b" }, { ENGINE_EVENT_CANCEL, state, "s" },
                        { ENGINE_EVENT_ORDER, state, "o" }, { ENGINE_EVENT_REBOOT, ENGINE_REBOOTING, "sg" },
                        { ENGINE_EVENT_FAILED, end, "ar" }, { ENGINE_EVENT_DONE, end, "ar" } };
                for (size_t i = 0; i < count; i++)
                        lines[9 + i] = own[i];
                check_state(state, facts, lines);
        }
}

TEST(every_row_of_an_operation)
{
        static const Line checking[] = { { ENGINE_EVENT_PREPARE, ENGINE_PREPARING, "h" } };
        static const Line preparing[] = { { ENGINE_EVENT_DOWNLOAD, ENGINE_DOWNLOADING, "" } };
        static const Line downloading[] = { { ENGINE_EVENT_DOWNLOAD, ENGINE_DOWNLOADING, "" },
                { ENGINE_EVENT_VERIFY, ENGINE_VERIFYING, "" } };
        static const Line verifying[] = { { ENGINE_EVENT_DOWNLOAD, ENGINE_DOWNLOADING, "" },
                { ENGINE_EVENT_FINISH, ENGINE_FINISHING, "" } };
        static const Line finishing[] = { { ENGINE_EVENT_READY, ENGINE_READY, "ap" } };
        check_operation(ENGINE_CHECKING, checking, ELEMENTS(checking));
        check_operation(ENGINE_PREPARING, preparing, ELEMENTS(preparing));
        check_operation(ENGINE_DOWNLOADING, downloading, ELEMENTS(downloading));
        check_operation(ENGINE_VERIFYING, verifying, ELEMENTS(verifying));
        check_operation(ENGINE_FINISHING, finishing, ELEMENTS(finishing));
        check_operation(ENGINE_ROLLING_BACK, finishing, ELEMENTS(finishing));
}

TEST(every_row_of_a_machine_that_goes_down)
{
        for (unsigned bits = 0; bits < 4; bits++) {
                EngineFacts facts = facts_of(bits);
                EngineState end = facts.is_waiting ? ENGINE_READY : ENGINE_IDLE, down = ENGINE_REBOOTING;
                check_state(down, facts,
                                (Line[LINES_MAX]){ { ENGINE_EVENT_CHECK, down, "b" },
                                                { ENGINE_EVENT_INSTALL, down, "b" },
                                                { ENGINE_EVENT_ROLLBACK, down, "b" },
                                                { ENGINE_EVENT_CANCEL, down, "b" },
                                                { ENGINE_EVENT_BLESS, down, "b" },
                                                { ENGINE_EVENT_ORDER, down, "b" },
                                                { ENGINE_EVENT_REBOOT, down, "b" },
                                                { ENGINE_EVENT_FAILED, down, "a" },
                                                { ENGINE_EVENT_DONE, down, "a" },
                                                { ENGINE_EVENT_READY, down, "a" },
                                                { ENGINE_EVENT_REBOOT_FAILED, end, "r" } });
        }
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
                        EngineStep step = engine_step(state, begins[i], nothing);
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
                EngineStep step = engine_step(state, ENGINE_EVENT_CANCEL, nothing);
                CHECK_EQ(step.actions, ENGINE_ACTION_STOP_JOB);
                CHECK_EQ(step.state, state);
                step = engine_step(state, ENGINE_EVENT_FAILED, nothing);
                CHECK_EQ(step.state, ENGINE_IDLE);
                CHECK(step.actions & ENGINE_ACTION_ANSWER);
                CHECK_EQ(engine_step(state, ENGINE_EVENT_FAILED, waiting).state, ENGINE_READY);
        }
        CHECK_EQ(actions(ENGINE_IDLE, ENGINE_EVENT_CANCEL), ENGINE_ACTION_REFUSE_IDLE);
        CHECK_EQ(actions(ENGINE_READY, ENGINE_EVENT_CANCEL), ENGINE_ACTION_REFUSE_IDLE);
}

TEST(a_planned_reboot_is_what_there_is_to_cancel)
{
        static const EngineState states[] = { ENGINE_IDLE, ENGINE_READY };
        for (size_t i = 0; i < ELEMENTS(states); i++) {
                EngineStep step = engine_step(states[i], ENGINE_EVENT_CANCEL, planned);
                CHECK_EQ(step.actions, ENGINE_ACTION_DROP_REBOOT);
                CHECK_EQ(step.state, states[i]);
        }
}

TEST(a_failed_check_keeps_what_waits)
{
        CHECK_EQ(after(ENGINE_READY, ENGINE_EVENT_CHECK), ENGINE_CHECKING);
        CHECK_EQ(engine_step(ENGINE_CHECKING, ENGINE_EVENT_FAILED, waiting).state, ENGINE_READY);
        CHECK(engine_step(ENGINE_CHECKING, ENGINE_EVENT_FAILED, waiting).actions &
                        ENGINE_ACTION_RESUME_REBOOT);
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
        CHECK_EQ(engine_step(ENGINE_REBOOTING, ENGINE_EVENT_REBOOT_FAILED, waiting).state, ENGINE_READY);
        CHECK_EQ(after(ENGINE_REBOOTING, ENGINE_EVENT_REBOOT_FAILED), ENGINE_IDLE);
}

TEST(unknown_events_change_nothing)
{
        /* No state but these two is left by READY, and none at all is entered out of the blue. */
        for (EngineState state = 0; state < ENGINE_STATE_MAX; state++) {
                EngineStep step = engine_step(state, ENGINE_EVENT_MAX, waiting);
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
