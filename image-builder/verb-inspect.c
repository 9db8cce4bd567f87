/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect.h"
#include "json-text.h"
#include "json.h"
#include "options.h"
#include "verbs.h"

static int run(const char *path, bool json, Error *error)
{
        _cleanup_json_ json_t *object = NULL;
        int r = inspect_path(path, &object, error);

        if (r < 0)
                return r;
        if (json)
                return json_print(stdout, object);
        json_print_text(stdout, object);
        return 0;
}

int verb_inspect(int argc, char **argv)
{
        bool json = false;
        const Option options[] = {
                { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "inspect PATH [OPTION...]",
                "Explains a repository, an image folder, a release manifest, a channel, a payload, a root "
                "image, a disk image or an EFI program.",
                1, 1 };
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0)
                r = run(arguments[0], json, &error);
        return program_exit(PROGRAM_NAME, r, &error, json);
}
