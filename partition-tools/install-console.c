/* SPDX-License-Identifier: Apache-2.0 */
#include "install-console.h"

#include "file.h"
#include "json.h"
#include "printable.h"
#include "strv.h"

#include <string.h>
#include <termios.h>

#define WORD_MAX 64 /* bytes */

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash && slash[1] ? slash + 1 : path;
}

/* As much as leaves room on the screen for what else there is to read. */
static void print_word(const char *before, const char *word)
{
        if (*word)
                (void)fprintf(stderr, "%s%.*s", before, (int)printable_length(word, WORD_MAX), word);
}

void console_print_target(const InstallTarget *target)
{
        char size[SIZE_TEXT_MAX];

        (void)fprintf(stderr, "%s: %s (%ju bytes)", target->path, size_format(target->size_bytes, size),
                        (uintmax_t)target->size_bytes);
        print_word(", ", target->model);
        print_word(", serial ", target->serial);
        (void)fputc('\n', stderr);
        if (strv_length(target->contents) == 0)
                (void)fprintf(stderr, "  holds nothing that is known\n");
        for (char **sentence = target->contents; sentence && *sentence; sentence++)
                (void)fprintf(stderr, "  %s\n", *sentence);
}

static void drop_line(void)
{
        int letter;

        do
                letter = getchar();
        while (letter != '\n' && letter != EOF);
        clearerr(stdin);
}

void console_forget_typed(void)
{
        if (isatty(STDIN_FILENO) == 1)
                (void)tcflush(STDIN_FILENO, TCIFLUSH);
}

bool console_ask(const char *question, char ret[static CONSOLE_ANSWER_MAX])
{
        (void)fprintf(stderr, "%s", question);
        (void)fflush(stderr);
        ret[0] = 0;
        if (!fgets(ret, CONSOLE_ANSWER_MAX, stdin)) {
                clearerr(stdin);
                return false;
        }
        if (strlen(ret) == CONSOLE_ANSWER_MAX - 1 && !strchr(ret, '\n')) {
                drop_line();
                ret[0] = 0;
        }
        ret[strcspn(ret, "\r\n")] = 0;
        return true;
}

int console_confirm(const InstallTarget *target, const char *instead, Error *error)
{
        const char *name = base_name(target->path);
        _cleanup_free_ char *question = NULL;
        char answer[CONSOLE_ANSWER_MAX];

        if (isatty(STDIN_FILENO) != 1)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "there is no terminal to ask for confirmation; %s", instead);
        question = string_format("\nEverything on it will be lost. Type \"%s\" to overwrite it: ", name);
        if (!question)
                return error_oom(error);
        console_forget_typed();
        (void)console_ask(question, answer);
        if (strcmp(answer, name) != 0)
                return error_set(error, ERROR_CANCELLED, ECANCELED,
                                "that was not \"%s\"; nothing was written", name);
        return 0;
}

int console_print_result(const InstallTarget *target, const InstallResult *result, bool json, Error *error)
{
        _cleanup_json_ json_t *object = NULL;
        _cleanup_free_ char *path = NULL;
        char uuid[UUID_TEXT_SIZE], written[SIZE_TEXT_MAX], var[SIZE_TEXT_MAX];

        (void)uuid_format(result->disk_uuid, uuid);
        if (!json) {
                printf("%s: installed, %s of data; disk %s; var has %s\n", target->path,
                                size_format(result->written_bytes, written), uuid,
                                size_format(result->var_bytes, var));
                (void)fflush(stdout);
                return 0;
        }
        path = printable_copy(target->path);
        if (path)
                object = json_pack("{s:s,s:s,s:I,s:I}", "path", path, "uuid", uuid, "written_bytes",
                                (json_int_t)result->written_bytes, "var_bytes",
                                (json_int_t)result->var_bytes);
        if (!object)
                return error_oom(error);
        (void)json_dumpf(object, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        return 0;
}
