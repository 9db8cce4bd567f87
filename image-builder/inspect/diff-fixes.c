/* SPDX-License-Identifier: Apache-2.0 */
#include "debian-version.h"
#include "diff.h"
#include "fixes.h"

#include <string.h>

static const char *const history_words[] = {
        [FIXES_CUT] = "the changelog begins later",
        [FIXES_BEHIND] = "the changelog ends earlier",
        [FIXES_UNKNOWN] = "no changelog",
        [FIXES_FOREIGN] = "the list of fixes has a format that this program does not know",
};

/* The packages of an image, by source, and of each the oldest version first. */
typedef struct Sources {
        const ComposePackage **packages;
        size_t count;
} Sources;

static int by_source(const void *a, const void *b)
{
        const ComposePackage *left = *(const ComposePackage *const *)a,
                             *right = *(const ComposePackage *const *)b;
        int order = strcmp(left->source, right->source);

        return order ? order : debian_version_compare(left->source_version, right->source_version);
}

static void sources_done(Sources *sources)
{
        free(sources->packages);
}

static int sort_sources(const DiffImage *image, Sources *ret)
{
        ret->count = image->package_count;
        ret->packages = calloc(ret->count + 1, sizeof(*ret->packages));
        if (!ret->packages)
                return -ENOMEM;
        for (size_t i = 0; i < ret->count; i++)
                ret->packages[i] = &image->packages[i];
        qsort(ret->packages, ret->count, sizeof(*ret->packages), by_source);
        return 0;
}

/* The oldest version of the source, looked for from `at` on; what comes before it is passed over. NULL: it
 * is not there. */
static const char *take_oldest(const Sources *sources, const char *source, size_t *at)
{
        int order = -1;

        while (*at < sources->count && (order = strcmp(sources->packages[*at]->source, source)) < 0)
                (*at)++;
        return *at < sources->count && order == 0 ? sources->packages[*at]->source_version : NULL;
}

static int add_source(const DiffImage *new, const ComposePackage *package, const char *before, json_t *fixes,
                json_t *unknown)
{
        const char *source = package->source, *after = package->source_version;
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

/* A package may have another name in each release, as kernels do, so sources are what is compared. */
static int add_sources(const DiffImage *old, const DiffImage *new, json_t *fixes, json_t *unknown)
{
        _cleanup_(sources_done) Sources before = { 0 }, after = { 0 };
        size_t at = 0;
        int r = sort_sources(old, &before);

        if (r >= 0)
                r = sort_sources(new, &after);
        for (size_t i = 0; r >= 0 && i < after.count; i++) {
                const ComposePackage *package = after.packages[i];

                /* The last of a source is its newest. */
                if (i + 1 == after.count || strcmp(after.packages[i + 1]->source, package->source) != 0)
                        r = add_source(new, package, take_oldest(&before, package->source, &at), fixes,
                                        unknown);
        }
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
