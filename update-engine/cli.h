/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The administrator's program, `bascule`: a client of the daemon's D-Bus interface. One file per group of
 * verbs; each verb is a function that gets its own command line and returns an exit status
 * (common/options.h, common/error.h). What the daemon says arrives as JSON values (bus-json.h): --json
 * prints them as they are, words are made of them in one place per verb. */

#include "error.h"
#include "options.h"

#include <jansson.h>
#include <systemd/sd-bus.h>

#define CLI_PROGRAM "bascule"

/* Verbs (cli.c holds the table). */
int cli_status(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_update(int argc, char **argv);
int cli_cancel(int argc, char **argv);
int cli_rollback(int argc, char **argv);
int cli_bless(int argc, char **argv);
int cli_history(int argc, char **argv);
int cli_slots(int argc, char **argv);
int cli_plan(int argc, char **argv);
int cli_pin(int argc, char **argv);
int cli_unpin(int argc, char **argv);
int cli_ledger(int argc, char **argv);
int cli_etc(int argc, char **argv);
int cli_config(int argc, char **argv);

/* ---- A command line (cli.c) ---- */

/* What every verb's line begins with. A verb that is done with parsing (help shown, or a mistake reported)
 * returns the status at once. */
typedef struct CliLine {
        const char *usage, *summary;
        const Option *options; /* the verb's; --json among them where it has one */
        int arguments_min, arguments_max;
        char **arguments; /* found; borrowed from argv */
        int count;
} CliLine;

/* True: go on. False: *ret_status is the exit status. */
bool cli_parse(CliLine *line, int argc, char **argv, int *ret_status);

/* ---- The daemon (cli-bus.c) ---- */

/* The system bus, or the one that BASCULE_BUS names: "session", "system" or an address. */
int cli_connect(sd_bus **ret, Error *error);

/* Calls a method of the daemon and waits as long as it takes. `types` and what follows are its arguments, as
 * in sd_bus_message_append(). *ret (may be NULL) is the first value of the reply, or JSON null when it is
 * empty. */
int cli_call(sd_bus *bus, const char *method, json_t **ret, Error *error, const char *types, ...);
/* The same for the methods that take one dictionary of options. */
int cli_call_options(sd_bus *bus, const char *method, const json_t *options, json_t **ret, Error *error);

/* All properties of the daemon, as one object. */
int cli_properties(sd_bus *bus, json_t **ret, Error *error);

/* Connects, calls and disconnects. */
int cli_ask(const char *method, const json_t *options, json_t **ret, Error *error);

/* An sd-bus failure in the words of this program. `r` is negative; `bus_error` may be unset. */
int cli_bus_failed(const sd_bus_error *bus_error, int r, Error *error);

/* ---- Waiting for a job (cli-wait.c) ---- */

typedef struct CliWait CliWait;

/* Begins to listen, so that nothing is missed between the call that starts a job and cli_wait_job(). */
int cli_wait_new(sd_bus *bus, CliWait **ret, Error *error);
CliWait *cli_wait_free(CliWait *wait);
DEFINE_CLEANUP(CliWait *, cli_wait_free)

/* Shows progress until the job has ended; its failure becomes ours. With `json` nothing is shown. An
 * interrupt (Ctrl-C) stops the waiting, not the job: -EINTR with ERROR_CANCELLED and a sentence that says
 * so. */
int cli_wait_job(CliWait *wait, uint64_t job, bool json, Error *error);

/* ---- Words (cli-print.c) ---- */

/* "" when the member is missing or of another kind. */
const char *cli_text(const json_t *object, const char *name);
uint64_t cli_number(const json_t *object, const char *name);
bool cli_flag(const json_t *object, const char *name);

/* Prints a JSON value for --json. */
void cli_print_json(const json_t *value);

/* One line, "       label  text", with the labels of one output aligned. */
void cli_row(const char *label, const char *format, ...) _printf_(2, 3);
/* A line under rows that says what to do next. */
void cli_hint(const char *format, ...) _printf_(1, 2);

/* Rows of cells, columns as wide as their longest cell. Cells are copied. */
#define CLI_COLUMNS_MAX 8
typedef struct CliTable CliTable;
CliTable *cli_table_new(const char *const *titles); /* NULL-terminated; NULL when out of memory */
/* As many strings as there are titles. A NULL table is ignored. */
void cli_table_add(CliTable *table, const char *const *cells);
void cli_table_print(const CliTable *table);
CliTable *cli_table_free(CliTable *table);
DEFINE_CLEANUP(CliTable *, cli_table_free)

#define CLI_TIME_MAX 64
/* "2026-11-22 04:58" in local time; "never" for 0. ret is also returned. */
const char *cli_time(uint64_t seconds, char ret[static CLI_TIME_MAX]);
/* "12 min ago", "in 3 h"; "never" for 0. */
const char *cli_ago(uint64_t seconds, uint64_t now, char ret[static CLI_TIME_MAX]);
/* "45 s", "12 min", "3 h 10 min", "2 d 4 h". */
const char *cli_duration(uint64_t seconds, char ret[static CLI_TIME_MAX]);

#define CLI_SAVED_MAX 128
/* "4.1 MiB of 104.8 MiB (96 % saved)": what was, or will be, fetched and what the whole would be; without
 * the latter when nothing is saved. */
const char *cli_saved(uint64_t fetched_bytes, uint64_t full_bytes, char ret[static CLI_SAVED_MAX]);

typedef enum CliColour { CLI_PLAIN, CLI_GOOD, CLI_WARN, CLI_BAD, CLI_STRONG } CliColour;
/* Escape sequence that begins a colour, and the one that ends it; "" unless standard output is a terminal
 * that wants colours (NO_COLOR unset, TERM not "dumb"). */
const char *cli_colour(CliColour colour);
const char *cli_colour_end(void);

/* ---- The overlay of /etc (cli-etc-scan.c) ---- */

typedef enum EtcChange { ETC_ADDED, ETC_CHANGED, ETC_REMOVED, ETC_CHANGE_MAX } EtcChange;
const char *etc_change_name(EtcChange change); /* "added", "changed", "removed" */

typedef struct EtcEntry {
        char *path; /* under /etc, without a leading slash */
        EtcChange change;
        bool release_changed_too; /* the release's own file is not what the administrator started from */
} EtcEntry;

typedef struct EtcReport {
        EtcEntry *entries; /* by path */
        size_t count;
        bool knows_release; /* whether release_changed_too could be found out at all */
} EtcReport;

/* Walks `upper` (an overlayfs upper folder), compares it with `lower`, the release's own /etc, and with
 * `old_lower`, the /etc of the release in the other slot (NULL when it cannot be read). */
int etc_scan(const char *upper, const char *lower, const char *old_lower, EtcReport *ret, Error *error);
void etc_report_done(EtcReport *report);
