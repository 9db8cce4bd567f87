/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "json-text.h"
#include "options.h"
#include "size-report.h"
#include "verbs.h"

#include <fcntl.h>
#include <string.h>

#define PICTURE_MAX (64 * MIB)
#define ROWS_MAX 20

typedef struct Arguments {
        const char *repository, *architecture, *picture;
        bool json, all;
} Arguments;

static int draw(const SizeReport *report, const char *name, const char *path, Error *error)
{
        _cleanup_buffer_ Buffer picture = BUFFER_WITH_CAP(PICTURE_MAX);
        int r = size_report_svg(report, name, &picture);

        if (r >= 0)
                r = file_replace(AT_FDCWD, path, picture.data, picture.size, 0644);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

static int run(const char *name, const Arguments *arguments, Error *error)
{
        _cleanup_diff_image_ DiffImage image = DIFF_IMAGE_CLOSED;
        _cleanup_(size_report_done) SizeReport report = { 0 };
        json_t *json;
        const DiffSource source = {
                .name = name, .repository = arguments->repository, .architecture = arguments->architecture
        };
        int r = diff_image_open(&source, &image, error);

        if (r >= 0)
                r = size_report_make(&image, &report, error);
        if (r >= 0 && arguments->picture)
                r = draw(&report, name, arguments->picture, error);
        if (r < 0)
                return r;
        json = size_report_json(&report, arguments->json || arguments->all ? 0 : ROWS_MAX);
        if (!json)
                return error_oom(error);
        if (arguments->json)
                r = json_print(stdout, json);
        else
                json_print_text(stdout, json);
        json_decref(json);
        return r;
}

int verb_size(int argc, char **argv)
{
        Arguments a = { .architecture = "x86-64" };
        const Option options[] = {
                { "svg", 0, OPTION_STRING, &a.picture, "FILE", "Draw the packages by their size" },
                { "all", 0, OPTION_FLAG, &a.all, NULL, "Print lists in full" },
                { "repo", 'r', OPTION_STRING, &a.repository, "DIR",
                                "IMAGE is a version of a release in this repository" },
                { "architecture", 'a', OPTION_STRING, &a.architecture, "NAME", "Of that release (x86-64)" },
                { "json", 0, OPTION_FLAG, &a.json, NULL, "Report in JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "size IMAGE [OPTION...]",
                "Shows what takes the room in a root image: packages and files, the largest first.", 1, 1 };
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0)
                r = run(arguments[0], &a, &error);
        return program_exit(PROGRAM_NAME, r, &error, a.json);
}
