/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "file.h"
#include "ini.h"
#include "strv.h"

#include <jansson.h>
#include <string.h>

#define NAMES_MAX 128

static int unknown_option(const char *word, const Option *options, Error *error)
{
        const char *names[NAMES_MAX];
        const char *suggestion;
        size_t count = 0;

        for (const Option *option = options; option->name && count < NAMES_MAX; option++)
                names[count++] = option->name;
        suggestion = ini_suggest(word, names, count);
        return error_set(error, ERROR_USAGE, EINVAL,
                        "unknown option \"--%s\"%s%s%s; --help lists what there is", word,
                        suggestion ? ", did you mean \"--" : "", suggestion ? suggestion : "",
                        suggestion ? "\"?" : "");
}

static int parse_number(const char *text, uint64_t *ret)
{
        unsigned long long number;
        char *end;

        errno = 0;
        number = strtoull(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end || errno != 0)
                return -EINVAL;
        *ret = number;
        return 0;
}

static int store(const Option *option, const char *value, Error *error)
{
        switch (option->kind) {
        case OPTION_FLAG:
                *(bool *)option->value = true;
                return 0;
        case OPTION_STRING:
                *(const char **)option->value = value;
                return 0;
        case OPTION_LIST:
                return strv_append(option->value, value) < 0 ? error_oom(error) : 0;
        case OPTION_NUMBER:
                if (parse_number(value, option->value) < 0)
                        return error_set(error, ERROR_USAGE, EINVAL, "--%s takes a whole number, not \"%s\"",
                                        option->name, value);
                return 0;
        case OPTION_SIZE:
                if (size_parse(value, option->value) < 0)
                        return error_set(error, ERROR_USAGE, EINVAL,
                                        "--%s takes a size such as 64M, not \"%s\"", option->name, value);
                return 0;
        case OPTION_SECONDS:
                if (seconds_parse(value, option->value) < 0)
                        return error_set(error, ERROR_USAGE, EINVAL,
                                        "--%s takes a time span such as 15min or 2d, not \"%s\"",
                                        option->name, value);
                return 0;
        }
        return -EINVAL;
}

/* One argument that starts with a dash. *index moves on when the next one is its value. */
static int parse_dashed(int argc, char **argv, int *index, const Option *options, Error *error)
{
        const char *word = argv[*index], *value = NULL;
        const Option *option = options;
        bool is_long = word[1] == '-';
        size_t length;

        word += is_long ? 2 : 1;
        length = is_long ? strcspn(word, "=") : 1;
        for (; option->name; option++)
                if (is_long ? strncmp(option->name, word, length) == 0 && !option->name[length]
                            : option->letter == *word)
                        break;
        if (!option->name && is_long)
                return unknown_option(word, options, error);
        if (!option->name)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "unknown option \"-%s\"; --help lists what there is", word);
        if (word[length])
                value = word + length + (is_long ? 1 : 0);
        if (option->kind == OPTION_FLAG) {
                if (value)
                        return error_set(error, ERROR_USAGE, EINVAL, "--%s takes no value", option->name);
        } else if (!value) {
                if (*index + 1 >= argc)
                        return error_set(error, ERROR_USAGE, EINVAL, "--%s needs a value", option->name);
                value = argv[++*index];
        }
        return store(option, value, error);
}

int options_parse(int argc, char **argv, const Option *options, char ***ret_arguments, int *ret_count,
                bool *ret_help, Error *error)
{
        int count = 0;
        bool only_arguments = false;

        *ret_help = false;
        for (int i = 1; i < argc; i++) {
                char *word = argv[i];
                int r;

                if (only_arguments || word[0] != '-' || !word[1]) {
                        argv[1 + count++] = word;
                        continue;
                }
                if (strcmp(word, "--") == 0) {
                        only_arguments = true;
                        continue;
                }
                if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
                        *ret_help = true;
                        continue;
                }
                r = parse_dashed(argc, argv, &i, options, error);
                if (r < 0)
                        return r;
        }
        argv[1 + count] = NULL;
        *ret_arguments = argv + 1;
        *ret_count = count;
        return 0;
}

static void print_option(const Option *option)
{
        char left[64];

        (void)snprintf(left, sizeof(left), "%c%c%s--%s%s%s", option->letter ? '-' : ' ',
                        option->letter ? option->letter : ' ', option->letter ? ", " : "  ", option->name,
                        option->argument ? " " : "", option->argument ? option->argument : "");
        printf("  %-30s %s\n", left, option->help);
}

void options_print_help(const char *program, const char *usage, const char *summary, const Option *options)
{
        static const Option help = { "help", 'h', OPTION_FLAG, NULL, NULL, "Show this help" };

        printf("Usage: %s %s\n\n%s\n\nOptions:\n", program, usage, summary);
        for (const Option *option = options; option->name; option++)
                print_option(option);
        print_option(&help);
}

int options_take(int argc, char **argv, const Option *options, const Usage *usage, char ***ret_arguments,
                Error *error)
{
        bool is_help;
        int count, r = options_parse(argc, argv, options, ret_arguments, &count, &is_help, error);

        if (r < 0)
                return r;
        if (is_help) {
                options_print_help(usage->program, usage->line, usage->summary, options);
                return 1;
        }
        if (count < usage->arguments_min || count > usage->arguments_max)
                return error_set(error, ERROR_USAGE, EINVAL, "%s; usage: %s %s",
                                count < usage->arguments_min ? "an argument is missing"
                                                             : "there are too many arguments",
                                usage->program, usage->line);
        return 0;
}

static void print_verbs(const char *program, const char *summary, const Verb *verbs)
{
        printf("Usage: %s VERB [OPTION...]\n\n%s\n\nVerbs:\n", program, summary);
        for (const Verb *verb = verbs; verb->name; verb++) {
                char left[64];

                (void)snprintf(left, sizeof(left), "%s%s%s", verb->name, verb->arguments[0] ? " " : "",
                                verb->arguments);
                printf("  %-30s %s\n", left, verb->help);
        }
        printf("\n\"%s VERB --help\" explains a verb; \"man %s\" has the whole manual.\n", program, program);
}

int verbs_run(const char *program, const char *summary, const Verb *verbs, int argc, char **argv)
{
        const char *names[NAMES_MAX];
        const char *suggestion;
        size_t count = 0;

        if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
                printf("%s %s\n", program, BASCULE_VERSION);
                return 0;
        }
        if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
                                         strcmp(argv[1], "help") == 0)) {
                print_verbs(program, summary, verbs);
                return 0;
        }
        if (argc < 2) {
                (void)fprintf(stderr, "%s: no verb given; \"%s --help\" lists them\n", program, program);
                return ERROR_USAGE;
        }
        for (const Verb *verb = verbs; verb->name; verb++) {
                if (strcmp(argv[1], verb->name) == 0)
                        return verb->run(argc - 1, argv + 1);
                if (count < NAMES_MAX)
                        names[count++] = verb->name;
        }
        suggestion = ini_suggest(argv[1], names, count);
        (void)fprintf(stderr, "%s: unknown verb \"%s\"%s%s%s\n", program, argv[1],
                        suggestion ? ", did you mean \"" : "", suggestion ? suggestion : "",
                        suggestion ? "\"?" : "");
        return ERROR_USAGE;
}

static void print_error_json(const Error *error)
{
        json_t *json = json_pack("{s:{s:s,s:i,s:s%}}", "error", "code", error_code_name(error->code),
                        "status", (int)error->code, "message", error->message, strlen(error->message));

        if (json)
                (void)json_dumpf(json, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(json);
}

int program_exit(const char *program, int r, const Error *error, bool json)
{
        Error generic = { 0 };

        if (r >= 0)
                return 0;
        if (!error_is_set(error)) {
                (void)error_set(&generic, ERROR_FAILED, -r, "%s", strerror(-r));
                error = &generic;
        }
        if (json)
                print_error_json(error);
        else
                (void)fprintf(stderr, "%s: %s\n", program, error->message);
        return (int)error->code;
}
