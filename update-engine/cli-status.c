/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that only look: status, slots, history. */
#include "cli.h"
#include "file.h"
#include "json.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

static uint64_t now_seconds(void)
{
        return (uint64_t)time(NULL);
}

/* "RunningVersion" to "running_version": --json speaks one way everywhere. */
static json_t *with_lower_names(const json_t *properties)
{
        json_t *result = json_object(), *value;
        const char *name;

        json_object_foreach((json_t *)properties, name, value)
        {
                char lower[128];
                size_t length = 0;

                for (const char *p = name; *p && length < sizeof(lower) - 2; p++) {
                        if (isupper((unsigned char)*p) && p != name)
                                lower[length++] = '_';
                        lower[length++] = (char)tolower((unsigned char)*p);
                }
                lower[length] = 0;
                (void)json_object_set(result, lower, value);
        }
        return result;
}

static void print_running(const json_t *status)
{
        const char *state = cli_text(status, "running_state");
        bool is_trial = strcmp(state, "blessed") != 0;

        cli_row("running", "%s%s %s%s, slot %s, %s%s%s", cli_colour(CLI_STRONG),
                        cli_text(status, "image_id"), cli_text(status, "running_version"), cli_colour_end(),
                        cli_text(status, "running_slot"), cli_colour(is_trial ? CLI_WARN : CLI_GOOD),
                        is_trial ? "on trial" : "blessed", cli_colour_end());
        if (is_trial)
                cli_hint("its health checks decide; `bascule bless` confirms it by hand");
}

static void print_other(const json_t *status)
{
        const char *state = cli_text(status, "other_state"), *version = cli_text(status, "other_version");
        const char *slot = cli_text(status, "other_slot");

        if (!slot[0])
                cli_row("other", "this disk has no second slot: nothing can be installed");
        else if (strcmp(state, "empty") == 0)
                cli_row("other", "slot %s is empty", slot);
        else if (cli_flag(status, "pending_reboot"))
                cli_row("other", "%s, slot %s, %sstarts at the next boot%s", version, slot,
                                cli_colour(CLI_GOOD), cli_colour_end());
        else if (strcmp(state, "given-up") == 0)
                cli_row("other", "%s, slot %s, %sgiven up%s", version, slot, cli_colour(CLI_BAD),
                                cli_colour_end());
        else if (strcmp(state, "no-entry") == 0)
                cli_row("other", "slot %s holds a release that no boot entry names", slot);
        else
                cli_row("other", "%s, slot %s, `bascule rollback` goes back to it", version, slot);
}

static void print_channel(const json_t *status)
{
        const char *available = cli_text(status, "available_version");
        uint64_t checked = cli_number(status, "last_check");
        char ago[CLI_TIME_MAX];

        if (checked == 0)
                cli_row("channel", "%s, never checked; `bascule check` does it now",
                                cli_text(status, "channel"));
        else
                cli_row("channel", "%s, checked %s: %s%s", cli_text(status, "channel"),
                                cli_ago(checked, now_seconds(), ago),
                                available[0] ? available : "nothing newer",
                                available[0] ? " is on offer" : "");
}

static void print_progress(const json_t *status)
{
        const json_t *progress = json_object_get(status, "progress");
        uint64_t done = cli_number(progress, "done_bytes"), total = cli_number(progress, "total_bytes");
        uint64_t rate = cli_number(progress, "rate_bytes");
        const char *version = cli_text(status, "operation_version");
        char done_text[SIZE_TEXT_MAX], total_text[SIZE_TEXT_MAX], rate_text[SIZE_TEXT_MAX],
                        left[CLI_TIME_MAX];

        if (total == 0 || done > total || rate == 0)
                cli_row("state", "%s%s%s", cli_text(status, "state"), version[0] ? " " : "", version);
        else
                cli_row("state", "%s %s: %" PRIu64 " %%, %s of %s, %s/s, %s left", cli_text(status, "state"),
                                version, done * 100 / total, size_format(done, done_text),
                                size_format(total, total_text), size_format(rate, rate_text),
                                cli_duration((total - done) / rate, left));
}

static void print_reboot(const json_t *status)
{
        uint64_t when = cli_number(status, "reboot_at");
        char time_text[CLI_TIME_MAX], ago[CLI_TIME_MAX];

        if (when)
                cli_row("reboot", "%s, %s; `bascule cancel` drops it", cli_time(when, time_text),
                                cli_ago(when, now_seconds(), ago));
        else if (cli_flag(status, "pending_reboot"))
                cli_row("reboot", "not planned; `bascule update --reboot` or any reboot starts %s",
                                cli_text(status, "other_version"));
}

/* Of the install that waits for a reboot. */
static void print_fetched(const json_t *status)
{
        const json_t *progress = json_object_get(status, "progress");
        char saved[CLI_SAVED_MAX];

        if (cli_flag(status, "pending_reboot") && cli_number(progress, "full_bytes") > 0)
                cli_row("fetched", "%s",
                                cli_saved(cli_number(progress, "fetched_bytes"),
                                                cli_number(progress, "full_bytes"), saved));
}

static void print_ledger(const json_t *ledger)
{
        size_t index;
        json_t *entry;

        json_array_foreach(ledger, index, entry)
        {
                char ago[CLI_TIME_MAX];

                cli_row(index == 0 ? "ledger" : "", "%s%s%s, %s: %s", cli_colour(CLI_BAD),
                                cli_text(entry, "version"), cli_colour_end(),
                                cli_ago(cli_number(entry, "time"), now_seconds(), ago),
                                cli_text(entry, "reason"));
        }
}

static void print_status(const json_t *status, const json_t *ledger)
{
        const char *state = cli_text(status, "state"), *available = cli_text(status, "available_version");
        const char *pinned = cli_text(status, "pinned_version"),
                   *problem = cli_text(status, "last_error_message");

        print_running(status);
        print_other(status);
        print_channel(status);
        print_progress(status);
        print_fetched(status);
        print_reboot(status);
        if (pinned[0])
                cli_row("pinned", "to %s; `bascule unpin` follows the channel again", pinned);
        print_ledger(ledger);
        if (problem[0] && strcmp(cli_text(status, "last_error_code"), error_code_name(ERROR_CANCELLED)) != 0)
                cli_row("problem", "%s%s%s", cli_colour(CLI_WARN), problem, cli_colour_end());
        if (strcmp(state, "idle") == 0 && available[0])
                cli_hint("`bascule update` installs %s", available);
}

int cli_status(int argc, char **argv)
{
        bool json = false;
        const Option options[] = { { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" }, { 0 } };
        CliLine line = { "status [--json]", "Shows what runs, what is on offer and what happens next.",
                options };
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_json_ json_t *properties = NULL, *status = NULL, *ledger = NULL;
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        r = cli_connect(&bus, &error);
        if (r >= 0)
                r = cli_call(bus, "Refresh", NULL, &error, NULL);
        if (r >= 0)
                r = cli_properties(bus, &properties, &error);
        if (r >= 0)
                r = cli_call(bus, "GetLedger", &ledger, &error, NULL);
        if (r < 0)
                return program_exit(CLI_PROGRAM, r, &error, json);
        status = with_lower_names(properties);
        if (json) {
                (void)json_object_set(status, "ledger", ledger);
                cli_print_json(status);
        } else
                print_status(status, ledger);
        return 0;
}

static void print_slots(const json_t *slots)
{
        static const char *const titles[] = { "SLOT", "VERSION", "STATE", "TRIES", "ROOT HASH", "BOOT ENTRY",
                NULL };
        _cleanup_(cli_table_freep) CliTable *table = cli_table_new(titles);
        size_t index;
        json_t *slot;

        json_array_foreach(slots, index, slot)
        {
                char state[64], tries[48] = "";

                (void)snprintf(state, sizeof(state), "%s%s%.40s",
                                cli_flag(slot, "is_running") ? "running, " : "",
                                cli_flag(slot, "is_next") && !cli_flag(slot, "is_running") ? "next, " : "",
                                cli_text(slot, "state"));
                if (cli_flag(slot, "is_counted"))
                        (void)snprintf(tries, sizeof(tries), "%" PRIu64 " left, %" PRIu64 " done",
                                        cli_number(slot, "tries_left"), cli_number(slot, "tries_done"));
                cli_table_add(table,
                                (const char *const[]){ cli_text(slot, "slot"), cli_text(slot, "version"),
                                                state, tries, cli_text(slot, "root_hash_begin"),
                                                cli_text(slot, "entry_file") });
        }
        cli_table_print(table);
}

int cli_slots(int argc, char **argv)
{
        bool json = false;
        const Option options[] = { { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" }, { 0 } };
        CliLine line = { "slots [--json]", "Shows what the two slots hold and how they boot.", options };
        _cleanup_json_ json_t *slots = NULL;
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        r = cli_ask("GetSlots", NULL, &slots, &error);
        if (r < 0)
                return program_exit(CLI_PROGRAM, r, &error, json);
        if (json)
                cli_print_json(slots);
        else
                print_slots(slots);
        return 0;
}

static void print_history(const json_t *history)
{
        static const char *const titles[] = { "WHEN", "WHAT", "VERSION", "FROM", "DETAIL", NULL };
        _cleanup_(cli_table_freep) CliTable *table = cli_table_new(titles);
        size_t index;
        json_t *entry;

        json_array_foreach(history, index, entry)
        {
                char when[CLI_TIME_MAX], detail[512], fetched[CLI_SAVED_MAX], written[SIZE_TEXT_MAX];
                char took[CLI_TIME_MAX];

                (void)snprintf(detail, sizeof(detail), "%s", cli_text(entry, "detail"));
                if (cli_number(entry, "written_bytes"))
                        (void)snprintf(detail, sizeof(detail), "%s%s%s fetched, %s written, %s",
                                        cli_text(entry, "detail"), cli_text(entry, "detail")[0] ? "; " : "",
                                        cli_saved(cli_number(entry, "fetched_bytes"),
                                                        cli_number(entry, "full_bytes"), fetched),
                                        size_format(cli_number(entry, "written_bytes"), written),
                                        cli_duration(cli_number(entry, "seconds"), took));
                cli_table_add(table, (const char *const[]){ cli_time(cli_number(entry, "time"), when),
                                                     cli_text(entry, "kind"), cli_text(entry, "version"),
                                                     cli_text(entry, "from_version"), detail });
        }
        if (json_array_size(history) == 0)
                printf("Nothing has happened yet.\n");
        else
                cli_table_print(table);
}

int cli_history(int argc, char **argv)
{
        bool json = false;
        uint64_t lines = 20;
        const Option options[] = {
                { "lines", 'n', OPTION_NUMBER, &lines, "N", "The last N events (20; 0: all)" },
                { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        CliLine line = { "history [-n N] [--json]", "Shows what happened on this host, the latest last.",
                options };
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_json_ json_t *history = NULL;
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        r = cli_connect(&bus, &error);
        if (r >= 0)
                r = cli_call(bus, "GetHistory", &history, &error, "u", (uint32_t)MIN_OF(lines, UINT32_MAX));
        if (r < 0)
                return program_exit(CLI_PROGRAM, r, &error, json);
        if (json)
                cli_print_json(history);
        else
                print_history(history);
        return 0;
}
