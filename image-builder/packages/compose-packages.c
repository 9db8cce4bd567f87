/* SPDX-License-Identifier: Apache-2.0 */
#include "compose.h"
#include "stanza.h"

#include <string.h>

#define STATUS_PATH "var/lib/dpkg/status"
#define STATUS_MAX (64 * MIB)
#define PACKAGES_MAX 100000

void compose_free_packages(ComposePackage *packages, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                free(packages[i].name);
                free(packages[i].version);
                free(packages[i].architecture);
                free(packages[i].source);
                free(packages[i].source_version);
        }
        free(packages);
}

/* "Source: NAME (VERSION)", each of which is the package's own where it is left out. */
static int take_source(ComposePackage *package, const char *stanza, const char *end)
{
        _cleanup_free_ char *source = stanza_field(stanza, end, "Source");
        size_t length = source ? strcspn(source, " ") : 0, version_length;
        const char *version = source && source[length] ? source + length + 1 : NULL;

        version_length = version && version[0] == '(' ? strcspn(version + 1, ") ") : 0;
        package->source = length > 0 ? strndup(source, length) : strdup(package->name);
        package->source_version =
                        version_length > 0 ? strndup(version + 1, version_length) : strdup(package->version);
        return package->source && package->source_version ? 0 : -ENOMEM;
}

static int by_name(const void *a, const void *b)
{
        const ComposePackage *left = a, *right = b;
        int order = strcmp(left->name, right->name);

        return order ? order : strcmp(left->architecture, right->architecture);
}

static int add(ComposePackage **packages, size_t *count, const char *stanza, const char *end, Error *error)
{
        _cleanup_free_ char *state = stanza_field(stanza, end, "Status"),
                            *size = stanza_field(stanza, end, "Installed-Size");
        ComposePackage *grown, package;

        if (!state || strcmp(state, "install ok installed") != 0)
                return 0;
        if (*count >= PACKAGES_MAX)
                return error_set(error, ERROR_FAILED, E2BIG, "the image has too many packages");
        grown = realloc(*packages, (*count + 1) * sizeof(**packages));
        if (!grown)
                return error_oom(error);
        *packages = grown;
        package = (ComposePackage){ .name = stanza_field(stanza, end, "Package"),
                .version = stanza_field(stanza, end, "Version"),
                .architecture = stanza_field(stanza, end, "Architecture"),
                .installed_bytes = size ? strtoull(size, NULL, 10) * KIB : 0 };
        grown[(*count)++] = package;
        if (package.name && package.version && package.architecture)
                return take_source(&grown[*count - 1], stanza, end) < 0 ? error_oom(error) : 0;
        return error_set(error, ERROR_CORRUPT, EBADMSG, "dpkg's list of packages is damaged");
}

int compose_parse_packages(const char *status, ComposePackage **ret, size_t *ret_count, Error *error)
{
        ComposePackage *packages = NULL;
        size_t count = 0;
        int r = 0;

        for (const char *stanza = status; r >= 0 && *stanza;) {
                const char *end = strstr(stanza, "\n\n");

                end = end ? end + 1 : stanza + strlen(stanza);
                r = add(&packages, &count, stanza, end, error);
                stanza = end + strspn(end, "\n");
        }
        if (r < 0) {
                compose_free_packages(packages, count);
                return r;
        }
        if (count > 0)
                qsort(packages, count, sizeof(*packages), by_name);
        *ret = packages;
        *ret_count = count;
        return 0;
}

/* The stanza of a package, which begins with its name; NULL when there is none. */
static char *find_stanza(char *status, const char *name)
{
        size_t length = strlen(name);

        for (char *line = status; (line = strstr(line, "Package: ")); line += 9)
                if ((line == status || line[-1] == '\n') && strncmp(line + 9, name, length) == 0 &&
                                line[9 + length] == '\n')
                        return line;
        return NULL;
}

int compose_drop_package(Tree *tree, const char *name, Error *error)
{
        _cleanup_free_ char *status = NULL;
        char *stanza;
        size_t size;
        bool is_changed = false;

        if (tree_read_file(tree, STATUS_PATH, STATUS_MAX, &status, &size) < 0)
                return 0;
        /* There is one for each architecture. */
        while ((stanza = find_stanza(status, name))) {
                char *end = strstr(stanza, "\n\n");

                end = end ? end + 2 : stanza + strlen(stanza);
                memmove(stanza, end, strlen(end) + 1);
                is_changed = true;
        }
        return is_changed ? tree_make_text(tree, STATUS_PATH, status, 0644, error) : 0;
}

int compose_drop_stand_in(Tree *tree, Error *error)
{
        return compose_drop_package(tree, COMPOSE_STAND_IN, error);
}
