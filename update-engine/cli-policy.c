/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs about what may be installed: pin, unpin, ledger; and config show. */
#include "cli.h"
#include "json.h"

#include <string.h>

/* Calls a method that takes one string and answers nothing. */
static int tell(const char *method, const char *text, Error *error)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r = cli_connect(&bus, error);

        return r < 0 ? r : cli_call(bus, method, NULL, error, text ? "s" : NULL, text);
}

int cli_pin(int argc, char **argv)
{
        bool json = false;
        const Option options[] = { { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" }, { 0 } };
        CliLine line = { "pin [VERSION] [--json]",
                "Holds this host on VERSION, or on the running release: nothing else is installed until "
                "unpin.",
                options, 0, 1 };
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        r = tell("Pin", line.count ? line.arguments[0] : "", &error);
        if (r >= 0 && json)
                printf("{}\n");
        else if (r >= 0)
                printf("Pinned to %s. `bascule unpin` follows the channel again.\n",
                                line.count ? line.arguments[0] : "the running release");
        return program_exit(CLI_PROGRAM, r, &error, json);
}

int cli_unpin(int argc, char **argv)
{
        bool json = false;
        const Option options[] = { { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" }, { 0 } };
        CliLine line = { "unpin [--json]", "Lets this host follow its channel again.", options };
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        r = tell("Unpin", NULL, &error);
        if (r >= 0 && json)
                printf("{}\n");
        else if (r >= 0)
                printf("Unpinned: this host follows its channel.\n");
        return program_exit(CLI_PROGRAM, r, &error, json);
}

static void print_ledger(const json_t *ledger)
{
        static const char *const titles[] = { "VERSION", "SINCE", "WHAT", "REASON", NULL };
        _cleanup_(cli_table_freep) CliTable *table = cli_table_new(titles);
        size_t index;
        json_t *entry;

        if (json_array_size(ledger) == 0) {
                printf("The ledger is empty: no release has failed on this host.\n");
                return;
        }
        json_array_foreach(ledger, index, entry)
        {
                char when[CLI_TIME_MAX];

                cli_table_add(table, (const char *const[]){ cli_text(entry, "version"),
                                                     cli_time(cli_number(entry, "time"), when),
                                                     cli_text(entry, "kind"), cli_text(entry, "reason") });
        }
        cli_table_print(table);
        cli_hint("`bascule ledger clear VERSION` lets one be tried again");
}

static int show_ledger(bool json, Error *error)
{
        _cleanup_json_ json_t *ledger = NULL;
        int r = cli_ask("GetLedger", NULL, &ledger, error);

        if (r < 0)
                return r;
        if (json)
                cli_print_json(ledger);
        else
                print_ledger(ledger);
        return 0;
}

static int clear_ledger(const char *version, bool json, Error *error)
{
        int r = tell("ClearLedger", version, error);

        if (r < 0)
                return r;
        if (json)
                printf("{}\n");
        else if (version[0])
                printf("%s may be installed again.\n", version);
        else
                printf("The ledger is empty now.\n");
        return 0;
}

int cli_ledger(int argc, char **argv)
{
        bool json = false, all = false;
        const Option options[] = {
                { "all", 0, OPTION_FLAG, &all, NULL, "With clear: every version" },
                { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        CliLine line = { "ledger [clear VERSION|clear --all] [--json]",
                "Lists the releases that failed on this host and are not tried again, or clears one.",
                options, 0, 2 };
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        if (line.count == 0 && !all)
                r = show_ledger(json, &error);
        else if (line.count > 0 && strcmp(line.arguments[0], "clear") == 0 && (line.count == 2) != all)
                r = clear_ledger(all ? "" : line.arguments[1], json, &error);
        else
                r = error_set(&error, ERROR_USAGE, EINVAL, "say `bascule %s`", line.usage);
        return program_exit(CLI_PROGRAM, r, &error, json);
}

static void print_setting(const char *name, const json_t *value)
{
        size_t index;
        json_t *item;

        if (json_is_array(value)) {
                json_array_foreach(value, index, item)
                {
                        print_setting(name, item);
                }
                return;
        }
        printf("%s=%s\n", name, json_string_value(value) ? json_string_value(value) : "");
}

static void print_config(const json_t *config)
{
        const char *section, *name;
        json_t *settings, *value;
        bool first = true;

        json_object_foreach((json_t *)config, section, settings)
        {
                printf("%s%s[%s]%s\n", first ? "" : "\n", cli_colour(CLI_STRONG), section, cli_colour_end());
                first = false;
                json_object_foreach(settings, name, value)
                {
                        print_setting(name, value);
                }
        }
}

int cli_config(int argc, char **argv)
{
        bool json = false;
        const Option options[] = { { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" }, { 0 } };
        CliLine line = { "config show [--json]",
                "Shows every setting of the engine with the value in force.", options, 1, 1 };
        _cleanup_json_ json_t *config = NULL;
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        if (strcmp(line.arguments[0], "show") != 0)
                r = error_set(&error, ERROR_USAGE, EINVAL, "say `bascule %s`", line.usage);
        else
                r = cli_ask("GetConfig", NULL, &config, &error);
        if (r < 0)
                return program_exit(CLI_PROGRAM, r, &error, json);
        if (json)
                cli_print_json(config);
        else
                print_config(config);
        return 0;
}
