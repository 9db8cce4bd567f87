/* SPDX-License-Identifier: Apache-2.0 */
#include "init-cmdline.h"

#include "hex.h"

#include <string.h>

#define PREFIX "bascule."
#define WORD_MAX 256

/* Decimal, at most `max`. */
static int parse_number(const char *text, unsigned max, unsigned *ret)
{
        unsigned value = 0;

        if (!*text)
                return -EINVAL;
        for (; *text; text++) {
                if (*text < '0' || *text > '9')
                        return -EINVAL;
                value = value * 10 + (unsigned)(*text - '0');
                if (value > max)
                        return -ERANGE;
        }
        *ret = value;
        return 0;
}

static int set_root_hash(const char *value, Cmdline *cmdline)
{
        int r = hex_decode(value, cmdline->root_hash, SHA256_SIZE);

        if (r >= 0)
                cmdline->has_root_hash = true;
        return r;
}

static int set_var(const char *value, Cmdline *cmdline)
{
        if (strcmp(value, "auto") != 0 && strcmp(value, "volatile") != 0)
                return -EINVAL;
        cmdline->is_var_volatile = strcmp(value, "volatile") == 0;
        return 0;
}

static int set_wait(const char *value, Cmdline *cmdline)
{
        return parse_number(value, 600, &cmdline->wait_seconds);
}

static int set_watchdog(const char *value, Cmdline *cmdline)
{
        return parse_number(value, 3600, &cmdline->watchdog_seconds);
}

static int set_debug(const char *value, Cmdline *cmdline)
{
        if (*value)
                return -EINVAL;
        cmdline->is_debug = true;
        return 0;
}

static const struct {
        const char *name;
        int (*set)(const char *value, Cmdline *cmdline);
} words[] = {
        { PREFIX "roothash=", set_root_hash },
        { PREFIX "var=", set_var },
        { PREFIX "wait=", set_wait },
        { PREFIX "watchdog=", set_watchdog },
        { PREFIX "debug", set_debug },
};

static int take_word(const char *word, Cmdline *cmdline, Error *error)
{
        if (strncmp(word, PREFIX, strlen(PREFIX)) != 0)
                return 0;
        for (size_t i = 0; i < ELEMENTS(words); i++) {
                size_t length = strlen(words[i].name);

                if (strncmp(word, words[i].name, length) != 0)
                        continue;
                if (words[i].set(word + length, cmdline) >= 0)
                        return 0;
                break;
        }
        return error_set(error, ERROR_CONFIG, EINVAL,
                        "the kernel command line has \"%s\", which means nothing to bascule-init", word);
}

/* Copies the next word without its quotes; returns what follows it, or NULL at the end. A word that is too
 * long for any of ours is cut, and so not taken for one. */
static const char *next_word(const char *text, char ret[static WORD_MAX])
{
        bool is_quoted = false;
        size_t length = 0;

        text += strspn(text, " \t\n");
        if (!*text)
                return NULL;
        for (; *text && (is_quoted || !strchr(" \t\n", *text)); text++) {
                if (*text == '"')
                        is_quoted = !is_quoted;
                else if (length + 1 < WORD_MAX)
                        ret[length++] = *text;
        }
        ret[length] = 0;
        return text;
}

int cmdline_parse(const char *text, Cmdline *ret, Error *error)
{
        char word[WORD_MAX];
        int r = 0;

        *ret = (Cmdline){ .wait_seconds = CMDLINE_WAIT_DEFAULT,
                .watchdog_seconds = CMDLINE_WATCHDOG_DEFAULT };
        while ((text = next_word(text, word))) {
                int step = take_word(word, ret, error);

                if (step < 0)
                        r = step;
        }
        return r;
}
