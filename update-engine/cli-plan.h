/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The options that say which release is wanted and which refusals are overridden: the same for plan and
 * update, on the command line and on the bus. */

#include "cli.h"

typedef enum CliPlanFlag {
        CLI_ALLOW_OLDER,
        CLI_ALLOW_LEDGER,
        CLI_ALLOW_FLOOR,
        CLI_ALLOW_WITHDRAWN,
        CLI_ALLOW_PIN,
        CLI_ALLOW_EXPIRED,
        CLI_REINSTALL,
        CLI_REBOOT,
        CLI_PLAN_FLAGS
} CliPlanFlag;

/* Their names on the bus, "allow_older". */
extern const char *const cli_plan_flag_names[CLI_PLAN_FLAGS];

typedef struct CliPlanOptions {
        const char *version; /* borrowed; NULL: the best one */
        bool flags[CLI_PLAN_FLAGS];
} CliPlanOptions;

/* The lines of an option table that fill a CliPlanOptions. */
#define CLI_PLAN_OPTION_TABLE(wanted)                                                                       \
        { "version", 0, OPTION_STRING, &(wanted).version, "VERSION",                                        \
                "This release instead of the best one" },                                                   \
                        { "allow-older", 0, OPTION_FLAG, &(wanted).flags[CLI_ALLOW_OLDER], NULL,            \
                                "Although it is older than the running one" },                              \
                        { "allow-ledger", 0, OPTION_FLAG, &(wanted).flags[CLI_ALLOW_LEDGER], NULL,          \
                                "Although it failed on this host before" },                                 \
                        { "allow-floor", 0, OPTION_FLAG, &(wanted).flags[CLI_ALLOW_FLOOR], NULL,            \
                                "Past a release that hosts must pass through" },                            \
                        { "allow-withdrawn", 0, OPTION_FLAG, &(wanted).flags[CLI_ALLOW_WITHDRAWN], NULL,    \
                                "Although its makers withdrew it" },                                        \
                        { "allow-pinned", 0, OPTION_FLAG, &(wanted).flags[CLI_ALLOW_PIN], NULL,             \
                                "Although another release is pinned" },                                     \
                        { "allow-expired", 0, OPTION_FLAG, &(wanted).flags[CLI_ALLOW_EXPIRED], NULL,        \
                                "Believe metadata that has expired" },                                      \
        {                                                                                                   \
                "reinstall", 0, OPTION_FLAG, &(wanted).flags[CLI_REINSTALL], NULL,                          \
                                "Although the other slot holds it already"                                  \
        }

/* As the bus takes them; a new reference. */
json_t *cli_plan_options_json(const CliPlanOptions *options);
