/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <locale.h>

static const Verb verbs[] = {
        { "status", "", "What runs, what is on offer, what happens next", cli_status },
        { "check", "", "Ask the server now what it offers", cli_check },
        { "plan", "", "What an update would fetch and write, or why it would not happen", cli_plan },
        { "update", "", "Install the release on offer into the other slot", cli_update },
        { "cancel", "", "Stop the operation that runs, or a scheduled reboot", cli_cancel },
        { "rollback", "", "Go back to the release in the other slot", cli_rollback },
        { "bless", "", "Confirm that the running release is good", cli_bless },
        { "slots", "", "The two slots and their boot entries", cli_slots },
        { "history", "", "What happened on this host", cli_history },
        { "pin", "[VERSION]", "Stay on this release, or move to VERSION and no further", cli_pin },
        { "unpin", "", "Follow the channel again", cli_unpin },
        { "ledger", "[clear VERSION]", "Releases that failed here and are not tried again", cli_ledger },
        { "etc", "diff", "Files in /etc that differ from the release's", cli_etc },
        { "config", "show", "The configuration in force", cli_config },
        { NULL, NULL, NULL, NULL },
};

bool cli_parse(CliLine *line, int argc, char **argv, int *ret_status)
{
        Error error = { 0 };
        bool help;
        int r = options_parse(argc, argv, line->options, &line->arguments, &line->count, &help, &error);

        if (r >= 0 && help) {
                options_print_help(CLI_PROGRAM, line->usage, line->summary, line->options);
                *ret_status = 0;
                return false;
        }
        if (r >= 0 && (line->count < line->arguments_min || line->count > line->arguments_max))
                r = error_set(&error, ERROR_USAGE, EINVAL, "%s; usage: " CLI_PROGRAM " %s",
                                line->count < line->arguments_min ? "an argument is missing"
                                                                  : "there are too many arguments",
                                line->usage);
        *ret_status = program_exit(CLI_PROGRAM, r, &error, false);
        return r >= 0;
}

int main(int argc, char **argv)
{
        (void)setlocale(LC_ALL, "");
        return verbs_run(CLI_PROGRAM, "Looks after the release that this host runs, and the next one.",
                        verbs, argc, argv);
}
