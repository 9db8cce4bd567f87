/* SPDX-License-Identifier: Apache-2.0 */
#include "diff.h"
#include "json-text.h"
#include "json.h"
#include "options.h"
#include "verbs.h"

#define ROWS_DEFAULT 30

typedef struct DiffArguments {
        const char *repository, *architecture;
        bool all, download, json;
} DiffArguments;

static int run(const DiffArguments *arguments, char **names, Error *error)
{
        const DiffOptions options = { .rows_max = arguments->all || arguments->json ? 0 : ROWS_DEFAULT,
                .makes_delta = arguments->download };
        _cleanup_diff_image_ DiffImage old = DIFF_IMAGE_CLOSED, new = DIFF_IMAGE_CLOSED;
        _cleanup_json_ json_t *report = NULL;
        DiffSource source = { names[0], arguments->repository, arguments->architecture, false };
        int r = diff_image_open(&source, &old, error);

        /* The newer changelogs have what the older ones say. */
        source.name = names[1];
        source.with_fixes = true;
        if (r >= 0)
                r = diff_image_open(&source, &new, error);
        if (r >= 0)
                r = diff_images(&old, &new, &options, &report, error);
        if (r < 0)
                return r;
        if (arguments->json)
                return json_print(stdout, report);
        json_print_text(stdout, report);
        return 0;
}

int verb_diff(int argc, char **argv)
{
        DiffArguments values = { .architecture = "x86-64" };
        const Option options[] = {
                { "repo", 'r', OPTION_STRING, &values.repository, "DIR",
                                "OLD and NEW may be versions of releases in this repository" },
                { "architecture", 'a', OPTION_STRING, &values.architecture, "NAME",
                                "Of those releases (x86-64)" },
                { "all", 0, OPTION_FLAG, &values.all, NULL, "Print lists in full" },
                { "download", 0, OPTION_FLAG, &values.download, NULL,
                                "Make a delta of images that are not released, to tell its size" },
                { "json", 0, OPTION_FLAG, &values.json, NULL, "Print JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "diff OLD NEW [OPTION...]",
                "Shows what changed between two images: root images, folders that `build` made, or "
                "releases.",
                2, 2 };
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0)
                r = run(&values, arguments, &error);
        return program_exit(PROGRAM_NAME, r, &error, values.json);
}
