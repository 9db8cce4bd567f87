/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "ini.h"
#include "strv.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#define MEMBER(type, data, key) ((type *)(void *)((char *)(data) + (key)->offset))

int ini_set_string(void *data, const IniKey *key, const char *value, IniPlace place _unused_, Error *error)
{
        char **member = MEMBER(char *, data, key);
        char *copy = strdup(value);

        if (!copy)
                return error_oom(error);
        free(*member);
        *member = copy;
        return 0;
}

int ini_set_bool(void *data, const IniKey *key, const char *value, IniPlace place _unused_, Error *error)
{
        static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no", "false", "off",
                "0" };

        for (size_t i = 0; i < ELEMENTS(yes); i++) {
                if (strcasecmp(value, yes[i]) != 0 && strcasecmp(value, no[i]) != 0)
                        continue;
                *MEMBER(bool, data, key) = strcasecmp(value, yes[i]) == 0;
                return 0;
        }
        return error_set(error, ERROR_CONFIG, EINVAL, "\"%.100s\" is neither yes nor no", value);
}

int ini_set_size(void *data, const IniKey *key, const char *value, IniPlace place _unused_, Error *error)
{
        if (size_parse(value, MEMBER(uint64_t, data, key)) < 0)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "\"%.100s\" is not a size such as 4096, 512K, 64M or 2G", value);
        return 0;
}

int ini_set_unsigned(void *data, const IniKey *key, const char *value, IniPlace place _unused_, Error *error)
{
        unsigned long number;
        char *end;

        errno = 0;
        number = strtoul(value, &end, 10);
        if (value[0] < '0' || value[0] > '9' || *end || errno != 0 || number > UINT_MAX)
                return error_set(error, ERROR_CONFIG, EINVAL, "\"%.100s\" is not a whole number", value);
        *MEMBER(unsigned, data, key) = (unsigned)number;
        return 0;
}

static int seconds_of_unit(const char *unit, size_t length, uint64_t *ret)
{
        static const struct {
                const char *name;
                uint64_t seconds;
        } units[] = {
                { "", 1 },
                { "s", 1 },
                { "sec", 1 },
                { "m", 60 },
                { "min", 60 },
                { "h", 3600 },
                { "hour", 3600 },
                { "hours", 3600 },
                { "d", 86400 },
                { "day", 86400 },
                { "days", 86400 },
                { "w", 604800 },
                { "week", 604800 },
                { "weeks", 604800 },
        };

        for (size_t i = 0; i < ELEMENTS(units); i++)
                if (strlen(units[i].name) == length && strncmp(units[i].name, unit, length) == 0) {
                        *ret = units[i].seconds;
                        return 0;
                }
        return -EINVAL;
}

int seconds_parse(const char *text, uint64_t *ret)
{
        static const char blank[] = " \t";
        uint64_t total = 0;

        if (!*text)
                return -EINVAL;
        while (*text) {
                uint64_t number, factor, part;
                size_t length;
                char *end;

                if (*text < '0' || *text > '9')
                        return -EINVAL;
                errno = 0;
                number = strtoull(text, &end, 10);
                end += strspn(end, blank);
                length = strcspn(end, " \t0123456789");
                if (errno != 0 || seconds_of_unit(end, length, &factor) < 0 ||
                                MUL_OVERFLOWS(number, factor, &part) || ADD_OVERFLOWS(total, part, &total))
                        return -EINVAL;
                text = end + length;
                text += strspn(text, blank);
        }
        *ret = total;
        return 0;
}

int ini_set_seconds(void *data, const IniKey *key, const char *value, IniPlace place _unused_, Error *error)
{
        uint64_t seconds;

        if (seconds_parse(value, &seconds) < 0)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "\"%.100s\" is not a time span such as 90, 15min or \"1h 30min\"", value);
        *MEMBER(uint64_t, data, key) = seconds;
        return 0;
}

int ini_set_words(void *data, const IniKey *key, const char *value, IniPlace place _unused_, Error *error)
{
        char ***member = MEMBER(char **, data, key);

        if (!*value) {
                *member = strv_free(*member);
                return 0;
        }
        return strv_append_words(member, value) < 0 ? error_oom(error) : 0;
}

int ini_ignore(void *data, const IniKey *key, const char *value, IniPlace place, Error *error)
{
        return 0;
}
