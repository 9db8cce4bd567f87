/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include "file.h"
#include "state-json.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

#define STATE_NAME "state.json"

static const char *const ledger_names[LEDGER_KIND_MAX] = {
        [LEDGER_TRIAL_FAILED] = "trial-failed",
        [LEDGER_ROLLED_BACK] = "rolled-back",
};

static const char *const history_names[HISTORY_KIND_MAX] = {
        [HISTORY_INSTALLED] = "installed",
        [HISTORY_INSTALL_FAILED] = "install-failed",
        [HISTORY_CANCELLED] = "cancelled",
        [HISTORY_BOOTED] = "booted",
        [HISTORY_BLESSED] = "blessed",
        [HISTORY_TRIAL_FAILED] = "trial-failed",
        [HISTORY_ROLLED_BACK] = "rolled-back",
};

const char *ledger_kind_name(LedgerKind kind)
{
        return kind < LEDGER_KIND_MAX ? ledger_names[kind] : "unknown";
}

const char *history_kind_name(HistoryKind kind)
{
        return kind < HISTORY_KIND_MAX ? history_names[kind] : "unknown";
}

static int state_new(State **ret, Error *error)
{
        State *state = calloc(1, sizeof(*state));
        if (!state)
                return error_oom(error);
        uint64_t seed;
        if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
                seed = (uint64_t)getpid();
        state->host_seed = seed & STATE_NUMBER_MAX;
        *ret = state;
        return 0;
}

/* Keeps what cannot be read for whoever wants to look at it; that may fail without harm. */
static int state_set_aside(int folder_fd, State **ret, bool *ret_was_bad, Error *error)
{
        (void)renameat(folder_fd, STATE_NAME, folder_fd, STATE_NAME ".bad");
        *ret_was_bad = true;
        return state_new(ret, error);
}

int state_load(int folder_fd, State **ret, bool *ret_was_bad, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 0;

        *ret_was_bad = false;
        int r = file_read(folder_fd, STATE_NAME, STATE_FILE_MAX, &text, &size);
        if (r == -ENOENT)
                return state_new(ret, error);
        if (r == -ENOMEM)
                return error_oom(error);
        if (r >= 0)
                r = state_parse(text, size, ret, NULL);
        return r < 0 ? state_set_aside(folder_fd, ret, ret_was_bad, error) : 0;
}

int state_save(const State *state, int folder_fd, Error *error)
{
        _cleanup_free_ char *text = NULL;
        int r = state_format(state, &text, error);
        if (r < 0)
                return r;
        r = file_replace(folder_fd, STATE_NAME, text, strlen(text), 0600);
        if (r < 0)
                return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                "cannot write state.json in the state folder: %s", strerror(-r));
        return 0;
}

State *state_free(State *state)
{
        if (!state)
                return NULL;
        for (size_t i = 0; i < state->ledger_count; i++)
                free(state->ledger[i].reason);
        for (size_t i = 0; i < state->history_count; i++)
                free(state->history[i].detail);
        free(state->ledger);
        free(state->history);
        free(state->pinned_version);
        free(state);
        return NULL;
}

const LedgerEntry *state_ledger_find(const State *state, const char *version)
{
        for (size_t i = 0; i < state->ledger_count; i++)
                if (strcmp(state->ledger[i].version, version) == 0)
                        return &state->ledger[i];
        return NULL;
}

static void ledger_remove_at(State *state, size_t at)
{
        free(state->ledger[at].reason);
        state->ledger_count--;
        memmove(&state->ledger[at], &state->ledger[at + 1],
                        (state->ledger_count - at) * sizeof(LedgerEntry));
}

int state_ledger_add(State *state, const char *version, LedgerKind kind, uint64_t time, const char *reason)
{
        if (!version_is_valid(version))
                return -EINVAL;
        LedgerEntry entry = { .kind = kind, .time = time, .reason = strdup(reason) };
        LedgerEntry *grown = reallocarray(state->ledger, state->ledger_count + 1, sizeof(LedgerEntry));
        if (grown)
                state->ledger = grown;
        if (!grown || !entry.reason) {
                free(entry.reason);
                return -ENOMEM;
        }
        (void)snprintf(entry.version, sizeof(entry.version), "%s", version);
        size_t at = 0;
        while (at < state->ledger_count && version_compare(state->ledger[at].version, version) < 0)
                at++;
        while (at < state->ledger_count && strcmp(state->ledger[at].version, version) == 0)
                ledger_remove_at(state, at);
        memmove(&state->ledger[at + 1], &state->ledger[at],
                        (state->ledger_count - at) * sizeof(LedgerEntry));
        state->ledger[at] = entry;
        state->ledger_count++;
        if (state->ledger_count > LEDGER_MAX)
                ledger_remove_at(state, 0);
        return 0;
}

int state_ledger_clear(State *state, const char *version)
{
        bool is_found = !version;
        for (size_t i = state->ledger_count; i-- > 0;) {
                if (version && strcmp(state->ledger[i].version, version) != 0)
                        continue;
                ledger_remove_at(state, i);
                is_found = true;
        }
        return is_found ? 0 : -ENOENT;
}

int state_history_add(State *state, const HistoryEntry *entry)
{
        HistoryEntry copy = *entry;
        copy.detail = strdup(entry->detail ? entry->detail : "");
        HistoryEntry *grown = reallocarray(state->history, state->history_count + 1, sizeof(HistoryEntry));
        if (grown)
                state->history = grown;
        if (!grown || !copy.detail) {
                free(copy.detail);
                return -ENOMEM;
        }
        state->history[state->history_count++] = copy;
        if (state->history_count > HISTORY_MAX) {
                free(state->history[0].detail);
                state->history_count--;
                memmove(state->history, state->history + 1, state->history_count * sizeof(HistoryEntry));
        }
        return 0;
}

int state_pin(State *state, const char *version)
{
        char *copy = NULL;
        if (version && !(copy = strdup(version)))
                return -ENOMEM;
        free(state->pinned_version);
        state->pinned_version = copy;
        return 0;
}

uint64_t state_now(const State *state, uint64_t clock_now)
{
        return MAX_OF(state->latest_known_time, clock_now);
}

double state_host_fraction(const State *state)
{
        return (double)(state->host_seed % 1000000) / 1000000.0;
}
