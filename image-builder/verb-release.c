/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "json-text.h"
#include "json.h"
#include "key-options.h"
#include "release.h"
#include "strv.h"
#include "verbs.h"

#include <fcntl.h>
#include <string.h>

/* Each delta's sizes; an image without one that is worth it costs its hosts the full payload. */
static json_t *deltas_json(const ReleaseReport *report)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < report->delta_count; i++) {
                const ReleaseDeltaReport *delta = &report->deltas[i];
                const uint64_t *bytes = delta->payload_bytes, *full = report->full_payload_bytes;
                uint64_t root = bytes[IMAGE_ROOT] > 0 ? bytes[IMAGE_ROOT] : full[IMAGE_ROOT],
                         uki = bytes[IMAGE_UKI] > 0 ? bytes[IMAGE_UKI] : full[IMAGE_UKI];
                json_t *row = json_pack("{s:s, s:I, s:I, s:I, s:I}", "from", delta->version,
                                "root-payload-size", (json_int_t)root, "uki-payload-size", (json_int_t)uki,
                                "download-size", (json_int_t)(root + uki), "full-download-size",
                                (json_int_t)(full[IMAGE_ROOT] + full[IMAGE_UKI]));

                if (json_array_append_new(array, row) < 0)
                        return json_decref(array), NULL;
        }
        return array;
}

static int print_report(const ReleaseReport *report, const char *channel, bool json, Error *error)
{
        _cleanup_json_ json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:I, s:b}",
                        "id", report->image_id, "version", report->version, "architecture",
                        report->architecture, "channel", channel, "root-size",
                        (json_int_t)report->image_bytes[IMAGE_ROOT], "root-payload-size",
                        (json_int_t)report->full_payload_bytes[IMAGE_ROOT], "uki-size",
                        (json_int_t)report->image_bytes[IMAGE_UKI], "uki-payload-size",
                        (json_int_t)report->full_payload_bytes[IMAGE_UKI], "deltas", deltas_json(report),
                        "decoder-memory", (json_int_t)report->decoder_memory_bytes, "published-before",
                        report->was_published);

        if (!object)
                return error_oom(error);
        if (json)
                return json_print(stdout, object);
        json_print_text(stdout, object);
        return 0;
}

/* What both verbs take, and what either needs besides. */
typedef struct ReleaseOptions {
        KeyOptions keys;
        const char *repository, *channel, *notes, *reason;
        const char *cache;
        char **from;
        uint64_t wave_seconds, level, threads, deltas;
        bool is_floor, has_no_pieces, json;
} ReleaseOptions;

static int fill_request(const ReleaseOptions *options, KeyRing *ring, const char *notes, ReleaseRequest *ret,
                Error *error)
{
        if (!options->repository || !options->channel)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "name the repository and the channel: --repo DIR "
                                "--channel NAME");
        if (options->level > 22)
                return error_set(error, ERROR_USAGE, EINVAL, "--level takes 1 to 22");
        if (options->deltas >= MANIFEST_PAYLOADS_MAX)
                return error_set(error, ERROR_USAGE, EINVAL, "--deltas takes at most %d",
                                MANIFEST_PAYLOADS_MAX - 1);
        *ret = (ReleaseRequest){
                .repository = options->repository,
                .keys_folder = options->keys.folder,
                .keys = ring,
                .channel = options->channel,
                .from = options->from,
                .delta_count = (size_t)options->deltas,
                .cache = options->cache,
                .notes = notes,
                .is_floor = options->is_floor,
                .has_no_pieces = options->has_no_pieces,
                .wave_seconds = options->wave_seconds,
                .level = (int)options->level,
                .threads = (unsigned)MIN_OF(options->threads, UINT64_C(1024)),
        };
        return 0;
}

static int read_notes(const char *path, char **ret, Error *error)
{
        size_t size;
        int r = file_read(AT_FDCWD, path, MANIFEST_NOTES_MAX, ret, &size);

        if (r >= 0 && strlen(*ret) != size)
                r = -EINVAL;
        return r < 0 ? error_set(error, ERROR_USAGE, -r, "cannot take the notes from \"%s\": %s", path,
                                       strerror(-r))
                     : 0;
}

static int release(const ReleaseOptions *options, const char *folder, Error *error)
{
        _cleanup_(release_report_done) ReleaseReport report = { 0 };
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        _cleanup_(progress_freep) Progress *progress = progress_new();
        _cleanup_free_ char *notes = NULL;
        ReleaseRequest request;
        int r = options->notes ? read_notes(options->notes, &notes, error) : 0;

        if (r >= 0)
                r = key_options_ring(&options->keys, &ring, error);
        if (r >= 0)
                r = fill_request(options, ring, notes, &request, error);
        if (r < 0)
                return r;
        request.folder = folder;
        request.progress = progress;
        r = release_publish(&request, &report, error);
        return r < 0 ? r : print_report(&report, options->channel, options->json, error);
}

static int withdraw(const ReleaseOptions *options, const char *version, Error *error)
{
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        ReleaseRequest request;
        int r = key_options_ring(&options->keys, &ring, error);

        if (r >= 0)
                r = fill_request(options, ring, NULL, &request, error);
        if (r >= 0 && (!options->reason || !options->reason[0]))
                r = error_set(error, ERROR_USAGE, EINVAL,
                                "say why: --reason TEXT is what administrators will read");
        if (r >= 0)
                r = release_withdraw(&request, version, options->reason, error);
        if (r >= 0 && !options->json)
                printf("%s is withdrawn from channel \"%s\"\n", version, options->channel);
        return r;
}

typedef int (*ReleaseAction)(const ReleaseOptions *options, const char *argument, Error *error);

static int run_verb(int argc, char **argv, const Option *table, ReleaseOptions *options, const Usage *usage,
                ReleaseAction action)
{
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, table, usage, &arguments, &error);

        if (r == 0)
                r = action(options, arguments[0], &error);
        (void)strv_free(options->from);
        key_options_done(&options->keys);
        return program_exit(PROGRAM_NAME, r, &error, options->json);
}

int verb_release(int argc, char **argv)
{
        ReleaseOptions values = { .deltas = RELEASE_DELTAS_DEFAULT };
        const Option table[] = {
                { "repo", 'r', OPTION_STRING, &values.repository, "DIR",
                                "The repository; made if it is not there" },
                { "channel", 'c', OPTION_STRING, &values.channel, "NAME", "Which channel will offer it" },
                KEY_OPTIONS(values.keys),
                { "floor", 0, OPTION_FLAG, &values.is_floor, NULL,
                                "Older hosts must pass through this release" },
                { "wave", 0, OPTION_SECONDS, &values.wave_seconds, "SPAN",
                                "Let hosts in bit by bit over this time, such as 2d" },
                { "notes", 0, OPTION_STRING, &values.notes, "FILE", "Text for administrators" },
                { "deltas", 'd', OPTION_NUMBER, &values.deltas, "N",
                                "Make deltas from so many earlier releases (default 3)" },
                { "from", 'f', OPTION_LIST, &values.from, "DIR",
                                "Images of an earlier release, to make a delta from" },
                { "no-pieces", 0, OPTION_FLAG, &values.has_no_pieces, NULL,
                                "Let hosts without a delta fetch the full payload" },
                { "cache", 0, OPTION_STRING, &values.cache, "DIR",
                                "Keep finished deltas here (~/.cache/bascule)" },
                { "level", 'l', OPTION_NUMBER, &values.level, "N",
                                "Compression level, 1 to 22 (default 19)" },
                { "threads", 'j', OPTION_NUMBER, &values.threads, "N", "Threads (default: all processors)" },
                { "json", 0, OPTION_FLAG, &values.json, NULL, "Print a summary, or an error, as JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "release DIR --repo DIR --channel NAME --keys DIR [OPTION...]",
                "Publishes a built image as a signed release: payloads, manifest, channel. A run that was "
                "interrupted has published nothing, and can be repeated.",
                1, 1 };

        return run_verb(argc, argv, table, &values, &usage, release);
}

int verb_withdraw(int argc, char **argv)
{
        ReleaseOptions values = { 0 };
        const Option table[] = {
                { "repo", 'r', OPTION_STRING, &values.repository, "DIR", "The repository" },
                { "channel", 'c', OPTION_STRING, &values.channel, "NAME", "Which channel offers it" },
                { "reason", 0, OPTION_STRING, &values.reason, "TEXT", "Why; administrators will read it" },
                KEY_OPTIONS(values.keys),
                { "json", 0, OPTION_FLAG, &values.json, NULL, "Print an error as JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME,
                "withdraw VERSION --repo DIR --channel NAME --reason TEXT --keys DIR [OPTION...]",
                "Takes a release back: no host goes to it any more. Hosts that run it stay where they are.",
                1, 1 };

        return run_verb(argc, argv, table, &values, &usage, withdraw);
}
