/* SPDX-License-Identifier: Apache-2.0 */
/* check and plan: both ask the server; check tells the news, plan the whole reckoning. */
#include "cli-plan.h"

#include "file.h"
#include "json.h"

#include <inttypes.h>
#include <string.h>

json_t *cli_plan_options_json(const CliPlanOptions *options)
{
        json_t *json = json_object();

        if (options->version)
                (void)json_object_set_new(json, "version", json_string(options->version));
        for (size_t i = 0; i < CLI_PLAN_FLAGS; i++)
                if (options->flags[i])
                        (void)json_object_set_new(json, cli_plan_flag_names[i], json_true());
        return json;
}

const char *const cli_plan_flag_names[CLI_PLAN_FLAGS] = {
        [CLI_ALLOW_OLDER] = "allow_older",
        [CLI_ALLOW_LEDGER] = "allow_ledger",
        [CLI_ALLOW_FLOOR] = "allow_floor",
        [CLI_ALLOW_WITHDRAWN] = "allow_withdrawn",
        [CLI_ALLOW_PIN] = "allow_pinned",
        [CLI_ALLOW_EXPIRED] = "allow_expired",
        [CLI_REINSTALL] = "reinstall",
        [CLI_REBOOT] = "reboot",
};

static bool is_verdict(const json_t *plan, const char *verdict)
{
        return strcmp(cli_text(plan, "verdict"), verdict) == 0;
}

static void print_need(const char *label, const json_t *plan, const char *needed, const char *there,
                const char *there_word)
{
        char needed_text[SIZE_TEXT_MAX], there_text[SIZE_TEXT_MAX];
        bool is_short = cli_number(plan, needed) > cli_number(plan, there);

        cli_row(label, "%s%s of %s %s%s", is_short ? cli_colour(CLI_BAD) : "",
                        size_format(cli_number(plan, needed), needed_text),
                        size_format(cli_number(plan, there), there_text), there_word,
                        is_short ? cli_colour_end() : "");
}

static void print_plan(const json_t *plan)
{
        char size[SIZE_TEXT_MAX], when[CLI_TIME_MAX], saved[CLI_SAVED_MAX];
        const char *version = cli_text(plan, "version"), *notes = cli_text(plan, "notes");
        bool is_install = is_verdict(plan, "install");

        if (version[0])
                cli_row("plan", "%s%s to %s%s, slot %s", cli_colour(CLI_STRONG),
                                cli_text(plan, "from_version"), version, cli_colour_end(),
                                cli_text(plan, "slot"));
        cli_row("verdict", "%s%s%s", cli_colour(is_install ? CLI_GOOD : CLI_WARN), cli_text(plan, "reason"),
                        cli_colour_end());
        if (cli_number(plan, "wave_opens"))
                cli_row("from", "%s", cli_time(cli_number(plan, "wave_opens"), when));
        if (cli_number(plan, "write_bytes")) {
                cli_row("fetch", "%s%s%s", cli_flag(plan, "is_delta") ? "" : "at most ",
                                cli_saved(cli_number(plan, "fetch_bytes"), cli_number(plan, "full_bytes"),
                                                saved),
                                cli_flag(plan, "is_delta") ? ", as a delta" : ", less what this host has");
                cli_row("write", "%s", size_format(cli_number(plan, "write_bytes"), size));
                print_need("slot", plan, "slot_needed_bytes", "slot_size_bytes", "in the slot");
                print_need("esp", plan, "esp_needed_bytes", "esp_free_bytes", "free");
                print_need("var", plan, "var_needed_bytes", "var_free_bytes", "free");
                cli_row("memory", "%s", size_format(cli_number(plan, "memory_bytes"), size));
        }
        if (notes[0])
                cli_row("notes", "%s", notes);
        if (is_install)
                cli_hint("`bascule update` does this");
}

/* Asks with that method of the daemon, and shows the plan that it answers. */
static int ask(const char *method, const CliPlanOptions *wanted, bool json, void (*show)(const json_t *plan))
{
        _cleanup_json_ json_t *question = cli_plan_options_json(wanted), *plan = NULL;
        Error error = { 0 };
        int r = cli_ask(method, question, &plan, &error);

        if (r < 0)
                return program_exit(CLI_PROGRAM, r, &error, json);
        if (json)
                cli_print_json(plan);
        else
                show(plan);
        return 0;
}

int cli_plan(int argc, char **argv)
{
        CliPlanOptions wanted = { 0 };
        bool json = false;
        const Option options[] = {
                CLI_PLAN_OPTION_TABLE(wanted),
                { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        CliLine line = { "plan [OPTION...]",
                "Shows what an update would fetch, write and need, or why it would not happen. Changes "
                "nothing.",
                options };
        int r;

        return cli_parse(&line, argc, argv, &r) ? ask("Plan", &wanted, json, print_plan) : r;
}

static void print_news(const json_t *plan)
{
        char saved[CLI_SAVED_MAX];

        if (!is_verdict(plan, "install")) {
                printf("%s\n", cli_text(plan, "reason"));
                return;
        }
        printf("%s is on offer (%s%s to fetch); this host runs %s.\n", cli_text(plan, "version"),
                        cli_flag(plan, "is_delta") ? "" : "at most ",
                        cli_saved(cli_number(plan, "fetch_bytes"), cli_number(plan, "full_bytes"), saved),
                        cli_text(plan, "from_version"));
        cli_hint("`bascule update` installs it, `bascule plan` says more");
}

int cli_check(int argc, char **argv)
{
        CliPlanOptions wanted = { 0 };
        bool json = false;
        const Option options[] = {
                { "allow-expired", 0, OPTION_FLAG, &wanted.flags[CLI_ALLOW_EXPIRED], NULL,
                                "Believe metadata that has expired" },
                { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        CliLine line = { "check [OPTION...]", "Asks the server now which release is on offer.", options };
        int r;

        return cli_parse(&line, argc, argv, &r) ? ask("Check", &wanted, json, print_news) : r;
}
