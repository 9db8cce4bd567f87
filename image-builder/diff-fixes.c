/* SPDX-License-Identifier: Apache-2.0 */
#include "debian-version.h"
#include "diff.h"
#include "fixes.h"

#include <string.h>

static const char *const history_words[] = {
        [FIXES_CUT] = "the changelog begins later",
        [FIXES_UNKNOWN] = "no changelog",
};

/* The newest or the oldest version of a source that an image has packages of; NULL: it has none. */
static const char *find_version(const DiffImage *image, const char *source, bool newest)
{
        const char *found = NULL;

        for (size_t i = 0; i < image->package_count; i++) {
                const ComposePackage *package = &image->packages[i];
                int order;

                if (strcmp(package->source, source) != 0)
                        continue;
                order = found ? debian_version_compare(package->source_version, found) : 0;
                if (!found || (newest ? order > 0 : order < 0))
                        found = package->source_version;
        }
        return found;
}

static int add_source(const DiffImage *old, const DiffImage *new, const char *source, json_t *fixes,
                json_t *unknown)
{
        const char *before = find_version(old, source, false), *after = find_version(new, source, true);
        FixesHistory history;
        int r;

        if (!before || debian_version_compare(before, after) >= 0)
                return 0;
        r = fixes_list(new->fixes, source, before, after, fixes, &history);
        if (r < 0 || history == FIXES_WHOLE)
                return r;
        return json_array_append_new(
                        unknown, json_pack("{s:s, s:s, s:s, s:s}", "source", source, "old", before, "new",
                                                 after, "why", history_words[history]));
}

static int by_text(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A package may have another name in each release, as kernels do, so sources are what is compared. */
static int add_sources(const DiffImage *old, const DiffImage *new, json_t *fixes, json_t *unknown)
{
        _cleanup_free_ const char **sources = calloc(new->package_count + 1, sizeof(*sources));
        int r = sources ? 0 : -ENOMEM;

        for (size_t i = 0; sources && i < new->package_count; i++)
                sources[i] = new->packages[i].source;
        if (sources && new->package_count > 0)
                qsort(sources, new->package_count, sizeof(*sources), by_text);
        for (size_t i = 0; r >= 0 && i < new->package_count; i++)
                if (i == 0 || strcmp(sources[i], sources[i - 1]) != 0)
                        r = add_source(old, new, sources[i], fixes, unknown);
        return r;
}

int diff_fixes(const DiffImage *old, const DiffImage *new, json_t **ret_fixes, json_t **ret_unknown,
                Error *error)
{
        json_t *fixes = json_array(), *unknown = json_array();
        int r = fixes && unknown ? 0 : -ENOMEM;

        if (r >= 0 && new->fixes)
                r = add_sources(old, new, fixes, unknown);
        if (r < 0) {
                json_decref(fixes);
                json_decref(unknown);
                return error_oom(error);
        }
        *ret_fixes = fixes;
        *ret_unknown = unknown;
        return 0;
}
