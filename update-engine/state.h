/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the engine must remember since it cannot be read from the disk: /var/lib/bascule/state.json. Losing
 * the file costs no safety: a bad version may be tried once more, and history starts anew. The file is
 * written whole and atomically; one that cannot be read is set aside as state.json.bad and reported once. */

#include "error.h"
#include "version-order.h"

#define STATE_FORMAT 1
#define STATE_FILE_MAX (1 * MIB)
#define LEDGER_MAX 256  /* entries; the oldest version leaves first */
#define HISTORY_MAX 500 /* entries; the oldest leaves first */

/* Why a version is not to be installed again by itself. */
typedef enum LedgerKind {
        LEDGER_TRIAL_FAILED, /* it was booted and did not come up healthy */
        LEDGER_ROLLED_BACK,  /* an administrator went back from it */
        LEDGER_KIND_MAX
} LedgerKind;

typedef struct LedgerEntry {
        char version[VERSION_MAX + 1];
        LedgerKind kind;
        uint64_t time; /* seconds since 1970 */
        char *reason;  /* one sentence, owned */
} LedgerEntry;

typedef enum HistoryKind {
        HISTORY_INSTALLED, /* ready for the next boot */
        HISTORY_INSTALL_FAILED,
        HISTORY_CANCELLED,
        HISTORY_BOOTED, /* the first start of the daemon in another release than before */
        HISTORY_BLESSED,
        HISTORY_TRIAL_FAILED, /* the host came back to an older release by itself */
        HISTORY_ROLLED_BACK,  /* an administrator asked for it */
        HISTORY_KIND_MAX
} HistoryKind;

typedef struct HistoryEntry {
        uint64_t time; /* seconds since 1970 */
        HistoryKind kind;
        char version[VERSION_MAX + 1];                  /* the release that it is about */
        char from_version[VERSION_MAX + 1];             /* the one that ran; may be "" */
        char *detail;                                   /* one sentence, owned; may be "" */
        uint64_t fetched_bytes, written_bytes, seconds; /* of an install; else 0 */
        uint64_t full_bytes;                            /* that the full payloads would have been */
} HistoryEntry;

typedef struct State {
        LedgerEntry *ledger; /* in version order */
        size_t ledger_count;
        HistoryEntry *history; /* oldest first */
        size_t history_count;
        char *pinned_version;               /* NULL: not pinned */
        char last_running[VERSION_MAX + 1]; /* that the daemon last saw run */
        char last_blessed[VERSION_MAX + 1];
        uint64_t last_check;        /* seconds since 1970; 0: never */
        uint64_t latest_known_time; /* the clock never counts as earlier than this */
        uint64_t host_seed;         /* random; the host's place in rollouts */
} State;

const char *ledger_kind_name(LedgerKind kind);   /* "trial-failed", "rolled-back" */
const char *history_kind_name(HistoryKind kind); /* "installed", "install-failed", ... */

/* Reads state.json in a folder; a fresh State when there is none, or when it cannot be read (*ret_was_bad).
 */
int state_load(int folder_fd, State **ret, bool *ret_was_bad, Error *error);
int state_save(const State *state, int folder_fd, Error *error);
State *state_free(State *state);
DEFINE_CLEANUP(State *, state_free)

/* From and to JSON text. The text may be damaged: -EBADMSG. */
int state_parse(const char *text, size_t size, State **ret, Error *error);
int state_format(const State *state, char **ret, Error *error);

/* The ledger. Adding a version that is there replaces its entry. clear: NULL clears all; -ENOENT when the
 * version is not there. */
const LedgerEntry *state_ledger_find(const State *state, const char *version);
int state_ledger_add(State *state, const char *version, LedgerKind kind, uint64_t time, const char *reason);
int state_ledger_clear(State *state, const char *version);

/* Appends to the history; every pointer is copied. */
int state_history_add(State *state, const HistoryEntry *entry);

/* Pins, or unpins when version is NULL. */
int state_pin(State *state, const char *version);

/* The later of the clock and the latest known time (seconds since 1970). */
uint64_t state_now(const State *state, uint64_t clock_now);

/* The host's place in a rollout, [0, 1), fixed for the host. */
double state_host_fraction(const State *state);
