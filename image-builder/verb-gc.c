/* SPDX-License-Identifier: Apache-2.0 */
#include "cache-gc.h"
#include "file.h"
#include "options.h"
#include "verbs.h"

#include <jansson.h>

typedef struct Arguments {
        const char *cache;
        CacheGcOptions gc;
        bool json;
} Arguments;

static int run(const Arguments *arguments, Error *error)
{
        _cleanup_cache_ Cache *cache = NULL;
        char removed[SIZE_TEXT_MAX], kept[SIZE_TEXT_MAX];
        CacheGcReport report;
        int r;

        if (arguments->gc.max_bytes == UINT64_MAX && arguments->gc.max_age_seconds == UINT64_MAX)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "say what may stay: --max-size SIZE, --max-age SPAN, or both");
        r = cache_open(arguments->cache, &cache, error);
        if (r >= 0)
                r = cache_gc(cache, &arguments->gc, &report, error);
        if (r < 0)
                return r;
        if (arguments->json)
                printf("{\"removed\":%zu,\"removed-bytes\":%llu,\"kept\":%zu,\"kept-bytes\":%llu}\n",
                                report.removed_count, (unsigned long long)report.removed_bytes,
                                report.kept_count, (unsigned long long)report.kept_bytes);
        else
                printf("%s: %zu items, %s %s; %zu items, %s stay\n", cache_folder(cache),
                                report.removed_count, size_format(report.removed_bytes, removed),
                                arguments->gc.dry_run ? "would go" : "removed", report.kept_count,
                                size_format(report.kept_bytes, kept));
        return 0;
}

int verb_gc(int argc, char **argv)
{
        Arguments a = { .gc = { .max_bytes = UINT64_MAX, .max_age_seconds = UINT64_MAX } };
        const Option options[] = {
                { "max-size", 0, OPTION_SIZE, &a.gc.max_bytes, "SIZE",
                                "Let so much stay, what was used last" },
                { "max-age", 0, OPTION_SECONDS, &a.gc.max_age_seconds, "SPAN",
                                "Remove what was not used for so long" },
                { "dry-run", 'n', OPTION_FLAG, &a.gc.dry_run, NULL, "Only tell what would go" },
                { "cache", 0, OPTION_STRING, &a.cache, "DIR", "The cache (~/.cache/bascule)" },
                { "json", 0, OPTION_FLAG, &a.json, NULL, "Report in JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "gc [OPTION...]",
                "Bounds the cache: what was used longest ago goes first. Builds may run meanwhile.", 0, 0 };
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0)
                r = run(&a, &error);
        return program_exit(PROGRAM_NAME, r, &error, a.json);
}
