/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "state.h"
#include "test.h"

#include <fcntl.h>

static State *fresh(void)
{
        return calloc(1, sizeof(State));
}

TEST(survives_writing_and_reading)
{
        _cleanup_(state_freep) State *state = fresh(), *read = NULL;
        _cleanup_free_ char *text = NULL, *again = NULL;
        HistoryEntry entry = { .time = 7,
                .kind = HISTORY_INSTALLED,
                .version = "2",
                .from_version = "1",
                .detail = (char *)"d\xff",
                .fetched_bytes = 1,
                .written_bytes = 2,
                .seconds = 3 };
        CHECK_OK(state_ledger_add(state, "3", LEDGER_TRIAL_FAILED, 5, "it \"broke\"\n"));
        CHECK_OK(state_history_add(state, &entry));
        CHECK_OK(state_pin(state, "2"));
        state->last_check = 9;
        state->host_seed = 123456789;
        (void)snprintf(state->last_running, sizeof(state->last_running), "1");
        CHECK_OK(state_format(state, &text, NULL));
        CHECK_OK(state_parse(text, strlen(text), &read, NULL));
        CHECK_STR(read->pinned_version, "2");
        CHECK_STR(read->last_running, "1");
        CHECK_EQ(read->ledger_count, 1);
        CHECK_STR(read->ledger[0].reason, "it \"broke\"\n");
        CHECK_EQ(read->history_count, 1);
        CHECK_STR(read->history[0].detail, "d?");
        CHECK_EQ(read->history[0].seconds, 3);
        CHECK_OK(state_format(read, &again, NULL));
        CHECK_STR(again, text);
}

TEST(the_ledger_is_ordered_and_holds_a_version_once)
{
        _cleanup_(state_freep) State *state = fresh();
        CHECK_OK(state_ledger_add(state, "10", LEDGER_TRIAL_FAILED, 1, "a"));
        CHECK_OK(state_ledger_add(state, "9", LEDGER_ROLLED_BACK, 2, "b"));
        CHECK_OK(state_ledger_add(state, "10", LEDGER_ROLLED_BACK, 3, "c"));
        CHECK_EQ(state->ledger_count, 2);
        CHECK_STR(state->ledger[0].version, "9");
        CHECK_STR(state->ledger[1].reason, "c");
        CHECK_EQ(state_ledger_add(state, "../x", LEDGER_ROLLED_BACK, 3, "c"), -EINVAL);
        CHECK_EQ(state_ledger_clear(state, "8"), -ENOENT);
        CHECK_OK(state_ledger_clear(state, "9"));
        CHECK(!state_ledger_find(state, "9"));
        CHECK_OK(state_ledger_clear(state, NULL));
        CHECK_EQ(state->ledger_count, 0);
        CHECK_OK(state_ledger_clear(state, NULL));
}

TEST(lists_are_bounded)
{
        _cleanup_(state_freep) State *state = fresh();
        _cleanup_(state_freep) State *read = NULL;
        _cleanup_free_ char *text = NULL;
        char version[VERSION_MAX + 1];
        for (unsigned i = 0; i < HISTORY_MAX + 100; i++) {
                HistoryEntry entry = { .time = i, .kind = HISTORY_BOOTED };
                (void)snprintf(version, sizeof(version), "%u", i);
                CHECK_OK(state_ledger_add(state, version, LEDGER_TRIAL_FAILED, i, "r"));
                CHECK_OK(state_history_add(state, &entry));
        }
        CHECK_EQ(state->history_count, HISTORY_MAX);
        CHECK_EQ(state->history[0].time, 100);
        CHECK_EQ(state->ledger_count, LEDGER_MAX);
        CHECK(!state_ledger_find(state, "0"));
        CHECK_OK(state_format(state, &text, NULL));
        CHECK_OK(state_parse(text, strlen(text), &read, NULL));
        CHECK_EQ(read->history_count, HISTORY_MAX);
}

TEST(rejects_what_is_no_state)
{
        static const char *const bad[] = { "", "[]", "{}", "{\"format\":2,\"ledger\":[],\"history\":[]}",
                "{\"format\":1,\"ledger\":[]}", "{\"format\":1,\"ledger\":[],\"history\":[{}]}",
                "{\"format\":1,\"ledger\":[{\"version\":\"a/b\",\"kind\":\"trial-failed\"}],\"history\":[]}",
                "{\"format\":1,\"ledger\":[{\"version\":\"1\",\"kind\":\"other\"}],\"history\":[]}",
                "{\"format\":1,\"pinned\":\"\",\"ledger\":[],\"history\":[]}",
                "{\"format\":1,\"last_check\":-1,\"ledger\":[],\"history\":[]}" };
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                State *state = NULL;
                if (state_parse(bad[i], strlen(bad[i]), &state, NULL) >= 0)
                        TEST_FAIL("accepted: %s", bad[i]);
        }
}

TEST(a_damaged_file_is_set_aside)
{
        char folder[] = "/tmp/bascule-state-XXXXXX";
        CHECK(mkdtemp(folder));
        _cleanup_fd_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(state_freep) State *state = NULL, *second = NULL, *third = NULL;
        bool was_bad = true;
        CHECK_OK(state_load(fd, &state, &was_bad, NULL));
        CHECK(!was_bad);
        state->last_check = 4;
        CHECK_OK(state_save(state, fd, NULL));
        CHECK_OK(state_load(fd, &second, &was_bad, NULL));
        CHECK(!was_bad);
        CHECK_EQ(second->last_check, 4);
        CHECK_EQ(second->host_seed, state->host_seed);
        CHECK_OK(file_replace(fd, "state.json", "{", 1, 0600));
        CHECK_OK(state_load(fd, &third, &was_bad, NULL));
        CHECK(was_bad);
        CHECK_EQ(faccessat(fd, "state.json.bad", F_OK, 0), 0);
        CHECK_OK(tree_remove(AT_FDCWD, folder));
}

TEST(time_does_not_go_back)
{
        State state = { .latest_known_time = 100 };
        CHECK_EQ(state_now(&state, 50), 100);
        CHECK_EQ(state_now(&state, 150), 150);
        state.host_seed = (UINT64_C(1) << 53) - 1;
        CHECK(state_host_fraction(&state) >= 0 && state_host_fraction(&state) < 1);
}

TEST_MAIN
