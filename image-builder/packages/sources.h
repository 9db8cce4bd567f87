/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where packages come from: one apt source for each suite of the recipe. A mirror is taken from the command
 * line, from the recipe, or from this machine's apt configuration, in this order; for a suite whose name
 * ends in "-security" the order is the recipe's SecurityMirror=, apt's source of such a suite, and the main
 * mirror with "-security" at its end. */

#include "recipe.h"

typedef struct AptSource {
        char *suite, *mirror;
        char *release_sha256; /* of its InRelease file, in hexadecimal; set by sources_fetch_releases() */
        int64_t release_time; /* Date: of that file */
} AptSource;

typedef struct AptSources {
        AptSource *items;
        size_t count;
        char *apt_suffix; /* "[signed-by=... check-valid-until=no]" or "": what stands between "deb" and the
                             mirror */
} AptSources;

/* `mirror` (may be NULL) is that of the command line. ERROR_CONFIG when no mirror is known for a suite. */
int sources_resolve(const Recipe *recipe, const char *mirror, AptSources **ret, Error *error);
AptSources *sources_free(AptSources *sources);
DEFINE_CLEANUP(AptSources *, sources_free)
#define _cleanup_sources_ _cleanup_(sources_freep)

/* Downloads the InRelease file of each suite into `folder` (scratch) with apt's own downloader, so that its
 * proxies and transports hold. Their signatures are apt's to check when it installs from them; here they
 * only tell whether anything changed. ERROR_NETWORK names the address. */
int sources_fetch_releases(AptSources *sources, const char *folder, int log_fd, Error *error);

/* The newest Date: of all. */
int64_t sources_newest_time(const AptSources *sources);

/* "deb [signed-by=...] MIRROR SUITE AREAS", newly allocated; NULL when out of memory. */
char *source_line(const AptSources *sources, size_t number, char *const *areas);

/* ---- for tests ---- */

/* The mirror of a suite out of what `apt-get indextargets` printed as ORIGIN|RELEASE|REPO-URI lines; newly
 * allocated in *ret, -ENOENT. A suite that is not in it gets the mirror of another of Debian's. */
int sources_choose_mirror(const char *targets, const char *suite, char **ret);
/* Date: of an InRelease file, in seconds; -EBADMSG. */
int sources_parse_date(const char *text, int64_t *ret);
