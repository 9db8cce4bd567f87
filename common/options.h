/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Command lines: one const table per verb gives parsing, --help and the "did you mean" of every program.
 * Long options take `--name VALUE` or `--name=VALUE`; "--" ends options; options and arguments may mix. */

#include "error.h"

typedef enum OptionKind {
        OPTION_FLAG,    /* bool *     */
        OPTION_STRING,  /* const char ** (points into argv) */
        OPTION_LIST,    /* char *** strv, appended (owned by the caller) */
        OPTION_NUMBER,  /* uint64_t * plain decimal */
        OPTION_SIZE,    /* uint64_t * bytes, K M G T */
        OPTION_SECONDS, /* uint64_t * "90", "15min", "2d" */
} OptionKind;

typedef struct Option {
        const char *name; /* long name without dashes; NULL ends the table */
        char letter;      /* short form or 0 */
        OptionKind kind;
        void *value;
        const char *argument; /* its name in --help, NULL for flags */
        const char *help;
} Option;

/* A verb of a program. `run` gets argv from the verb on (argv[0] is the verb) and returns an exit status. */
typedef struct Verb {
        const char *name; /* NULL ends the table */
        const char *arguments;
        const char *help;
        int (*run)(int argc, char **argv);
} Verb;

/* Parses argv[1..]; moves the plain arguments to *ret_arguments (NULL-terminated, points into argv, which is
 * reordered) and their number to *ret_count. --help is answered by the caller: *ret_help becomes true.
 * A mistake is -EINVAL with ERROR_USAGE. */
int options_parse(int argc, char **argv, const Option *options, char ***ret_arguments, int *ret_count,
                bool *ret_help, Error *error);

/* What a program or a verb takes, for --help. */
typedef struct Usage {
        const char *program;
        const char *line; /* what follows the program's name: "verify REPO [OPTION...]" */
        const char *summary;
        int arguments_min, arguments_max;
} Usage;

/* options_parse() and what nearly every verb does next: --help is answered, and too few or too many
 * arguments are a mistake. 0; 1 when nothing is left to do after --help; negative like options_parse(). */
int options_take(int argc, char **argv, const Option *options, const Usage *usage, char ***ret_arguments,
                Error *error);

/* Prints "Usage: PROGRAM USAGE", the summary and the options table to standard output. */
void options_print_help(const char *program, const char *usage, const char *summary, const Option *options);

/* Runs the verb named by argv[1]. Answers --help, --version and an unknown verb by itself. */
int verbs_run(const char *program, const char *summary, const Verb *verbs, int argc, char **argv);

/* The usual end of a verb: prints the Error, if set, as "PROGRAM: sentence" (or as {"error":{...}} on
 * standard output when json) and returns the exit status that belongs to it; r >= 0 gives 0. */
int program_exit(const char *program, int r, const Error *error, bool json);
