/* SPDX-License-Identifier: Apache-2.0 */
#include "sources.h"

#include "file.h"
#include "process.h"
#include "sha256.h"
#include "strv.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#define TARGETS_MAX (1 * MIB)
#define RELEASE_MAX (4 * MIB)
#define APT_HELPER "/usr/lib/apt/apt-helper"

AptSources *sources_free(AptSources *sources)
{
        if (!sources)
                return NULL;
        for (size_t i = 0; i < sources->count; i++) {
                free(sources->items[i].suite);
                free(sources->items[i].mirror);
                free(sources->items[i].release_sha256);
        }
        free(sources->items);
        free(sources->apt_suffix);
        free(sources);
        return NULL;
}

static bool is_security(const char *suite)
{
        size_t length = strlen(suite);

        return length >= 9 && strcmp(suite + length - 9, "-security") == 0;
}

/* Copies a URL without the slashes at its end. */
static char *copy_url(const char *url, size_t length, const char *suffix)
{
        while (length > 0 && url[length - 1] == '/')
                length--;
        return string_format("%.*s%s", (int)length, url, suffix);
}

int sources_choose_mirror(const char *targets, const char *suite, char **ret)
{
        const char *best = NULL;
        size_t best_length = 0;

        for (const char *line = targets; *line;) {
                size_t length = strcspn(line, "\n"), origin = strcspn(line, "|");
                const char *release = line + origin + 1;
                size_t release_length = origin < length ? strcspn(release, "|\n") : 0;
                const char *uri = release + release_length + 1;

                if (origin < length && uri < line + length) {
                        bool is_same = strlen(suite) == release_length &&
                                       strncmp(release, suite, release_length) == 0;
                        _cleanup_free_ char *name = strndup(release, release_length);

                        if (!name)
                                return -ENOMEM;
                        if (is_same || (!best && strncmp(line, "Debian|", 7) == 0 &&
                                                       is_security(name) == is_security(suite))) {
                                best = uri;
                                best_length = (size_t)(line + length - uri);
                        }
                        if (is_same)
                                break;
                }
                line += length + (line[length] ? 1 : 0);
        }
        if (!best)
                return -ENOENT;
        *ret = copy_url(best, best_length, "");
        return *ret ? 0 : -ENOMEM;
}

static int read_apt_targets(char **ret, Error *error)
{
        const char *const argv[] = { "apt-get", "indextargets", "--format",
                "$(ORIGIN)|$(RELEASE)|$(REPO_URI)", "Created-By: Packages", NULL };
        size_t size;

        return process_capture(argv, &(ProcessOptions){ .log_fd = -1 }, TARGETS_MAX, ret, &size, error);
}

static int no_mirror(const char *suite, Error *error)
{
        return error_set(error, ERROR_CONFIG, ENOENT,
                        "no mirror is known for the suite %s: give --mirror URL, or Mirror= in [Packages], "
                        "or let this "
                        "machine's apt have one",
                        suite);
}

/* The mirror of one suite; `given` is that of the command line or the recipe. */
static int mirror_of(const Recipe *recipe, const char *suite, const char *given, char **targets, char **ret,
                Error *error)
{
        int r;

        if (is_security(suite) && recipe->security_mirror)
                given = recipe->security_mirror;
        else if (is_security(suite) && given) {
                if (!*targets && read_apt_targets(targets, NULL) < 0)
                        *targets = strdup("");
                if (*targets && sources_choose_mirror(*targets, suite, ret) >= 0)
                        return 0;
                *ret = copy_url(given, strlen(given), "-security");
                return *ret ? 0 : error_oom(error);
        }
        if (given) {
                *ret = copy_url(given, strlen(given), "");
                return *ret ? 0 : error_oom(error);
        }
        r = *targets ? 0 : read_apt_targets(targets, error);
        if (r >= 0)
                r = sources_choose_mirror(*targets, suite, ret);
        return r == -ENOENT ? no_mirror(suite, error) : r;
}

static char *make_options(const Recipe *recipe)
{
        bool has_keyring = recipe->keyring && access(recipe->keyring, R_OK) == 0;
        const char *expired = recipe->with_expired ? "check-valid-until=no" : "";

        if (!has_keyring && !recipe->with_expired)
                return strdup("");
        return string_format("[%s%s%s%s] ", has_keyring ? "signed-by=" : "",
                        has_keyring ? recipe->keyring : "", has_keyring && *expired ? " " : "", expired);
}

static int fill(AptSources *sources, const Recipe *recipe, const char *mirror, Error *error)
{
        const char *given = mirror ? mirror : recipe->mirror;
        _cleanup_free_ char *targets = NULL;
        int r = 0;

        sources->items = calloc(strv_length(recipe->suites), sizeof(*sources->items));
        sources->apt_suffix = make_options(recipe);
        if (!sources->items || !sources->apt_suffix)
                return error_oom(error);
        for (char **suite = recipe->suites; r >= 0 && *suite; suite++) {
                AptSource *source = &sources->items[sources->count++];

                source->suite = strdup(*suite);
                if (!source->suite)
                        return error_oom(error);
                r = mirror_of(recipe, *suite, given, &targets, &source->mirror, error);
        }
        return r;
}

int sources_resolve(const Recipe *recipe, const char *mirror, AptSources **ret, Error *error)
{
        AptSources *sources = calloc(1, sizeof(*sources));
        int r;

        if (!sources)
                return error_oom(error);
        r = fill(sources, recipe, mirror, error);
        if (r < 0) {
                sources_free(sources);
                return r;
        }
        *ret = sources;
        return 0;
}

int sources_parse_date(const char *text, int64_t *ret)
{
        const char *line = strncmp(text, "Date:", 5) == 0 ? text : strstr(text, "\nDate:");
        struct tm date = { 0 };

        if (!line)
                return -EBADMSG;
        line = strchr(line, ':') + 1;
        line += strspn(line, " \t");
        if (!strptime(line, "%a, %d %b %Y %H:%M:%S", &date))
                return -EBADMSG;
        *ret = timegm(&date);
        return 0;
}

static int fetch_release(AptSource *source, const char *folder, int log_fd, Error *error)
{
        _cleanup_free_ char *url = string_format("%s/dists/%s/InRelease", source->mirror, source->suite);
        _cleanup_free_ char *path = path_join(folder, "InRelease");
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        if (!url || !path)
                return error_oom(error);
        (void)unlink(path);
        r = process_check((const char *const[]){ APT_HELPER, "download-file", url, path, NULL },
                        &(ProcessOptions){ .log_fd = log_fd }, error);
        if (r == -EIO && error) {
                error_clear(error);
                return error_set(error, ERROR_NETWORK, EIO,
                                "cannot fetch %s: is the mirror reachable, and does it have the suite %s?",
                                url, source->suite);
        }
        if (r < 0)
                return r;
        r = file_read(AT_FDCWD, path, RELEASE_MAX, &text, &size);
        (void)unlink(path);
        if (r >= 0)
                r = sources_parse_date(text, &source->release_time);
        if (r < 0)
                return error_set(error, ERROR_NETWORK, -r, "what %s answers is not an InRelease file", url);
        free(source->release_sha256);
        source->release_sha256 = malloc(SHA256_HEX_SIZE);
        if (!source->release_sha256)
                return error_oom(error);
        sha256_hex_of(text, size, source->release_sha256);
        return 0;
}

int sources_fetch_releases(AptSources *sources, const char *folder, int log_fd, Error *error)
{
        for (size_t i = 0; i < sources->count; i++) {
                int r = fetch_release(&sources->items[i], folder, log_fd, error);

                if (r < 0)
                        return r;
        }
        return 0;
}

int64_t sources_newest_time(const AptSources *sources)
{
        int64_t newest = 0;

        for (size_t i = 0; i < sources->count; i++)
                newest = MAX_OF(newest, sources->items[i].release_time);
        return newest;
}

char *source_line(const AptSources *sources, size_t number, char *const *areas)
{
        const AptSource *source = &sources->items[number];
        char *line = string_format("deb %s%s %s", sources->apt_suffix, source->mirror, source->suite);

        for (; line && *areas; areas++) {
                char *longer = string_format("%s %s", line, *areas);

                free(line);
                line = longer;
        }
        return line;
}
