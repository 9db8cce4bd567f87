/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "json-text.h"
#include "json.h"
#include "options.h"
#include "output-file.h"
#include "payload-inspect.h"
#include "payload-make.h"
#include "progress.h"
#include "strv.h"
#include "verbs.h"

#include <fcntl.h>
#include <string.h>

typedef struct PayloadOptions {
        char **from; /* old root, old UKI, new root */
        const char *output;
        uint64_t level, threads, group_size, history;
        bool json, help;
} PayloadOptions;

static int open_image(const char *path, int *ret_fd, uint64_t *ret_size, Error *error)
{
        int r;

        *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (*ret_fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s", path, strerror(errno));
        r = fd_size(*ret_fd, ret_size);
        if (r >= 0 && *ret_size == 0)
                r = -ENODATA;
        return r < 0 ? error_set(error, ERROR_IO, -r, "\"%s\" is not an image: %s", path, strerror(-r)) : 0;
}

/* Opens what --from named, in order of PayloadSourceKind; the caller closes. */
static int open_sources(char *const *from, PayloadSource *sources, Error *error)
{
        for (size_t i = 0; i < strv_length(from); i++) {
                int r = open_image(from[i], &sources[i].fd, &sources[i].size_bytes, error);

                if (r < 0)
                        return r;
        }
        return 0;
}

typedef struct Sources {
        PayloadSource list[PAYLOAD_SOURCES_MAX];
} Sources;

#define SOURCES_CLOSED ((Sources){ .list = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 }, { .fd = -1 } } })

static void sources_done(Sources *sources)
{
        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX; i++)
                sources->list[i].fd = fd_close(sources->list[i].fd);
}

static void show_progress(void *data, uint64_t done_bytes)
{
        progress_update(data, done_bytes);
}

static int print_report(const PayloadReport *report, bool json, Error *error)
{
        _cleanup_json_ json_t *object = json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "target-size",
                        (json_int_t)report->target_size_bytes, "payload-size",
                        (json_int_t)report->size_bytes, "index-size", (json_int_t)report->index_size_bytes,
                        "decoder-memory", (json_int_t)report->memory_bytes, "groups",
                        (json_int_t)report->group_count, "ops",
                        payload_ops_json(NULL, report->target_bytes, report->blob_bytes), "streams",
                        payload_streams_json(&report->streams), "dearest-files",
                        payload_dearest_json(&report->dearest));

        if (!object)
                return error_oom(error);
        if (json)
                return json_print(stdout, object);
        json_print_text(stdout, object);
        return 0;
}

static int make(const PayloadOptions *options, const char *image, Error *error)
{
        _cleanup_(progress_freep) Progress *progress = progress_new();
        _cleanup_(sources_done) Sources sources = SOURCES_CLOSED;
        const PayloadMakeOptions how = { .group_size_bytes = options->group_size,
                .history_bytes = options->history,
                .threads = (unsigned)options->threads,
                .progress = show_progress,
                .progress_data = progress };
        PayloadInputs inputs = { .level = (int)options->level };
        _cleanup_fd_ int fd = -1;
        PayloadReport report;
        uint64_t size;
        int r = open_image(image, &fd, &size, error);

        if (r >= 0)
                r = open_sources(options->from, sources.list, error);
        if (r < 0)
                return r;
        inputs.target_fd = fd;
        memcpy(inputs.sources, sources.list, sizeof(inputs.sources));
        progress_begin(progress, "payload", size);
        r = payload_make(&inputs, &how, options->output, &report, error);
        progress_end(progress, r < 0 ? "failed" : "proved");
        return r < 0 ? r : print_report(&report, options->json, error);
}

static int apply(const PayloadOptions *options, const char *path, Error *error)
{
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        _cleanup_(progress_freep) Progress *progress = progress_new();
        _cleanup_(sources_done) Sources sources = SOURCES_CLOSED;
        _cleanup_output_file_ OutputFile output = OUTPUT_FILE_CLOSED;
        _cleanup_fd_ int fd = -1;
        uint64_t size;
        int r = open_image(path, &fd, &size, error);

        if (r >= 0)
                r = open_sources(options->from, sources.list, error);
        if (r >= 0)
                r = payload_file_open(fd, &index, NULL, error);
        if (r >= 0)
                r = output_file_open(options->output, 0644, &output, error);
        if (r < 0)
                return r;
        progress_begin(progress, "apply", payload_target_size_bytes(index));
        r = payload_file_apply(fd, index, sources.list, output.fd, show_progress, progress, error);
        progress_end(progress, r < 0 ? "failed" : "every group as signed");
        return r < 0 ? r : output_file_commit(&output, error);
}

static int inspect(const PayloadOptions *options, const char *path, Error *error)
{
        _cleanup_json_ json_t *object = NULL;
        _cleanup_fd_ int fd = -1;
        uint64_t size;
        int r = open_image(path, &fd, &size, error);

        if (r >= 0)
                r = payload_inspect(fd, &object, error);
        if (r < 0)
                return error_prefix(error, r, "\"%s\"", path);
        if (options->json)
                return json_print(stdout, object);
        json_print_text(stdout, object);
        return 0;
}

typedef struct Action {
        const char *name;
        bool needs_output;
        int (*run)(const PayloadOptions *options, const char *path, Error *error);
} Action;

static const Action actions[] = {
        { "make", true, make },
        { "apply", true, apply },
        { "inspect", false, inspect },
};

static int dispatch(const PayloadOptions *options, char **arguments, int count, Error *error)
{
        const Action *action = NULL;

        for (size_t i = 0; count == 2 && i < ELEMENTS(actions); i++)
                if (strcmp(arguments[0], actions[i].name) == 0)
                        action = &actions[i];
        if (!action)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "\"payload\" takes \"make IMAGE\", \"apply PAYLOAD\" or \"inspect "
                                "PAYLOAD\"");
        if (action->needs_output && !options->output)
                return error_set(error, ERROR_USAGE, EINVAL, "\"payload %s\" needs --output FILE",
                                action->name);
        if (strv_length(options->from) > PAYLOAD_SOURCE_TARGET)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "--from can be given %d times: old root, old UKI, new root",
                                (int)PAYLOAD_SOURCE_TARGET);
        if (options->level < 1 || options->level > 22)
                return error_set(error, ERROR_USAGE, EINVAL, "--level takes 1 to 22");
        if (options->group_size > PAYLOAD_GROUP_MAX || options->group_size % PAYLOAD_BLOCK_SIZE != 0)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "--group-size takes whole 4K blocks, 32M at most");
        return action->run(options, arguments[1], error);
}

int verb_payload(int argc, char **argv)
{
        PayloadOptions values = { .level = PAYLOAD_LEVEL_DEFAULT };
        const Option options[] = {
                { "from", 'f', OPTION_LIST, &values.from, "IMAGE",
                                "What a host has: old root, old UKI, new root, in this order" },
                { "output", 'o', OPTION_STRING, &values.output, "FILE", "Where the result goes" },
                { "level", 'l', OPTION_NUMBER, &values.level, "N",
                                "Compression level, 1 to 22 (default 19)" },
                { "threads", 'j', OPTION_NUMBER, &values.threads, "N", "Threads (default: all processors)" },
                { "group-size", 0, OPTION_SIZE, &values.group_size, "SIZE",
                                "Image bytes that are decoded at once" },
                { "history", 0, OPTION_SIZE, &values.history, "SIZE",
                                "Earlier image bytes that a group may use" },
                { "json", 0, OPTION_FLAG, &values.json, NULL, "Print JSON" },
                { 0 },
        };
        Error error = { 0 };
        char **arguments;
        int count, r;

        r = options_parse(argc, argv, options, &arguments, &count, &values.help, &error);
        if (r >= 0 && values.help)
                options_print_help(PROGRAM_NAME, "payload make|apply|inspect FILE [OPTION...]",
                                "Makes a payload that produces an image, makes the image of a payload, or "
                                "shows what "
                                "a payload holds.",
                                options);
        else if (r >= 0)
                r = dispatch(&values, arguments, count, &error);
        (void)strv_free(values.from);
        return program_exit(PROGRAM_NAME, r, &error, values.json);
}
