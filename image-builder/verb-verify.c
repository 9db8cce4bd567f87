/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"
#include "repository.h"
#include "utc.h"
#include "verbs.h"

#include <stdio.h>

static int run(const char *path, const char *time_text, bool json, Error *error)
{
        int64_t now = 0;
        size_t targets;
        int r;

        if (time_text && utc_parse(time_text, &now) < 0)
                return error_set(error, ERROR_USAGE, EINVAL, "--time takes YYYY-MM-DDTHH:MM:SSZ, not \"%s\"",
                                time_text);
        r = repository_verify(path, now, &targets, error);
        if (r < 0)
                return r;
        if (json)
                printf("{\"repository\":\"ok\",\"targets\":%zu}\n", targets);
        else
                printf("%s: good, from every root it has; %zu targets\n", path, targets);
        return 0;
}

int verb_verify(int argc, char **argv)
{
        const char *time_text = NULL;
        bool json = false;
        const Option options[] = {
                { "time", 0, OPTION_STRING, &time_text, "TIME", "As seen at that time instead of now" },
                { "json", 0, OPTION_FLAG, &json, NULL, "Report in JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "verify REPO [OPTION...]",
                "Checks a whole repository as a client would, from every root that it has, and every target "
                "file.",
                1, 1 };
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0)
                r = run(arguments[0], time_text, json, &error);
        return program_exit(PROGRAM_NAME, r, &error, json);
}
