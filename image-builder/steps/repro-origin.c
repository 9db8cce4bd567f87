/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "file.h"
#include "normalise.h"
#include "repro.h"
#include "tar.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#define INFO_FOLDER "var/lib/dpkg/info"
#define SCRIPT_MAX (1 * MIB)
#define SCRIPTS_BYTES_MAX (64 * MIB) /* of one archive */
#define ORIGIN_TEXT_MAX (4 * KIB)

/* The likeliest first. */
static const char *const kinds[] = { "postinst", "triggers", "preinst", "config" };

typedef struct Search {
        const char *path; /* with its leading slash, as scripts see it */
        ReproScripts found;
        size_t length; /* of what was found to be named: the path, or so much of it */
} Search;

void repro_scripts_done(ReproScripts *scripts)
{
        for (size_t i = 0; i < scripts->count; i++)
                free(scripts->list[i].package);
        free(scripts->named);
        *scripts = (ReproScripts){ 0 };
}

/* ---- does a text name a path ---- */

static bool is_of_name(char c)
{
        return isalnum((unsigned char)c) || (c && strchr("_-+.", c));
}

/* "/etc/x" begins there, but not in "/opt/etc/x"; it does in "$DPKG_ROOT/etc/x". */
static bool begins_path(const char *text, const char *at)
{
        const char *p = at;

        if (p == text || !(p[-1] == '/' || is_of_name(p[-1])))
                return true;
        while (p > text && (isalnum((unsigned char)p[-1]) || p[-1] == '_'))
                p--;
        return p < at && p > text && p[-1] == '$';
}

/* The first `length` bytes of the path: of a folder above it, also what else is in that. */
static bool names_exactly(const char *text, size_t size, const char *path, size_t length)
{
        const char *end = text + size;
        const bool is_whole = !path[length];

        for (const char *at = text; (at = memmem(at, (size_t)(end - at), path, length)); at++)
                if (begins_path(text, at) &&
                                (at + length == end || !(is_of_name(at[length]) ||
                                                                       (is_whole && at[length] == '/'))))
                        return true;
        return false;
}

/* Scripts may call it as before /usr was merged: "/bin/x" for "/usr/bin/x". */
static bool names(const char *text, size_t size, const char *path, size_t length)
{
        static const char *const merged[] = { "/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/lib64/" };
        const size_t skipped = strlen("/usr");

        if (names_exactly(text, size, path, length))
                return true;
        for (size_t i = 0; i < ELEMENTS(merged); i++)
                if (length > strlen(merged[i]) && strncmp(path, merged[i], strlen(merged[i])) == 0)
                        return names_exactly(text, size, path + skipped, length - skipped);
        return false;
}

/* So much of the path as is the folder above; 0 when that is one that every other script names, such as /etc
 * and /usr/lib. */
static size_t folder_length(const char *path, size_t length)
{
        const size_t least = strncmp(path, "/usr/", 5) == 0 || strncmp(path, "/var/", 5) == 0 ? 3 : 2;
        size_t components = 0;

        while (length > 0 && path[length - 1] != '/')
                length--;
        length -= length > 0;
        for (size_t i = 0; i < length; i++)
                components += path[i] == '/';
        return components >= least ? length : 0;
}

/* How much of the path a text names; 0: nothing that tells. Not less than what others name. */
static size_t named_length(const Search *search, const char *text, size_t size)
{
        for (size_t length = strlen(search->path); length > 0 && length >= search->length;
                        length = folder_length(search->path, length))
                if (names(text, size, search->path, length))
                        return length;
        return 0;
}

/* ---- the scripts ---- */

/* "libc6:amd64.postinst" is libc6's. Returns the place in kinds, or a negative errno. */
static int kind_of(const char *name, size_t *ret_package_length)
{
        const char *dot = strrchr(name, '.');

        for (size_t i = 0; dot && i < ELEMENTS(kinds); i++)
                if (strcmp(dot + 1, kinds[i]) == 0) {
                        *ret_package_length = MIN_OF((size_t)(dot - name), strcspn(name, ":"));
                        return (int)i;
                }
        return -ENOENT;
}

/* Both are pointers into kinds. */
static bool is_likelier(const char *kind, const char *other)
{
        for (size_t i = 0; i < ELEMENTS(kinds) && kinds[i] != other; i++)
                if (kinds[i] == kind)
                        return true;
        return false;
}

/* Keeps the likeliest, those of a kind in the order in which they come, and one of each package. */
static int keep(ReproScripts *found, const char *package, size_t package_length, const char *kind)
{
        size_t at = 0;

        for (size_t i = 0; i < found->count; i++)
                if (strncmp(found->list[i].package, package, package_length) == 0 &&
                                !found->list[i].package[package_length]) {
                        if (!is_likelier(kind, found->list[i].kind))
                                return 0;
                        free(found->list[i].package);
                        found->count--;
                        memmove(found->list + i, found->list + i + 1,
                                        (found->count - i) * sizeof(*found->list));
                        break;
                }
        while (at < found->count && !is_likelier(kind, found->list[at].kind))
                at++;
        if (at == REPRO_SCRIPTS_MAX)
                return 0;
        char *copy = strndup(package, package_length);
        if (!copy)
                return -ENOMEM;
        if (found->count == REPRO_SCRIPTS_MAX)
                free(found->list[--found->count].package);
        memmove(found->list + at + 1, found->list + at, (found->count - at) * sizeof(*found->list));
        found->list[at] = (ReproScript){ copy, kind };
        found->count++;
        return 0;
}

static int look_into(Search *search, const char *name, const char *text, size_t size, Error *error)
{
        size_t package_length, length;
        int kind = kind_of(name, &package_length);

        length = kind < 0 ? 0 : named_length(search, text, size);
        if (length == 0)
                return 0;
        if (length > search->length) {
                repro_scripts_done(&search->found);
                search->found.named = strndup(search->path, length);
                search->length = length;
        }
        return !search->found.named || keep(&search->found, name, package_length, kinds[kind]) < 0
                               ? error_oom(error)
                               : 0;
}

static int look_into_tree(Search *search, Tree *tree, Error *error)
{
        TreeNode *folder = tree_lookup(tree, INFO_FOLDER), *const *nodes = NULL;
        uint64_t sum = 0;
        size_t count = 0, unused;
        int r = 0;

        if (!folder || !S_ISDIR(folder->inode->mode))
                return 0;
        if (tree_children(folder, &nodes, &count) < 0)
                return error_oom(error);
        for (size_t i = 0; r >= 0 && i < count && sum < SCRIPTS_BYTES_MAX; i++) {
                const TreeInode *inode = nodes[i]->inode;
                const uint64_t size = S_ISREG(inode->mode) ? inode->content.size_bytes : 0;
                _cleanup_free_ char *text = NULL;

                if (size == 0 || size > SCRIPT_MAX || kind_of(nodes[i]->name, &unused) < 0)
                        continue;
                sum += size;
                text = malloc(size);
                r = text ? tree_read(tree, inode, 0, text, size) : -ENOMEM;
                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read /" INFO_FOLDER "/%s: %s",
                                        nodes[i]->name, strerror(-r));
                r = look_into(search, nodes[i]->name, text, size, error);
        }
        return r;
}

/* ---- the archives ---- */

static int look_into_archive(Search *search, const char *path, Error *error)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_tree_ Tree *tree = tree_new();
        int r;

        if (fd < 0)
                return errno == ENOENT ? 0
                                       : error_set(error, ERROR_IO, errno, "cannot open %s: %s", path,
                                                         strerror(errno));
        r = tree ? tar_read(tree, fd, &(TarOptions){ .allow_devices = true }, error) : error_oom(error);
        return r < 0 ? r : look_into_tree(search, tree, error);
}

/* Finished entries of a step: CACHE/STEP/KEY, of which names have no dot. */
static int look_into_step(Search *search, const char *cache, BuildStep step, Error *error)
{
        _cleanup_free_ char *path = path_join(cache, build_step_name(step));
        DIR *directory = path ? opendir(path) : NULL;
        int r = 0;

        if (!directory)
                return path ? 0 : error_oom(error);
        for (struct dirent *entry; r >= 0 && (entry = readdir(directory));) {
                _cleanup_free_ char *archive = string_format("%s/%s/" BASE_TREE_FILE, path, entry->d_name);

                if (!archive)
                        r = error_oom(error);
                else if (!strchr(entry->d_name, '.'))
                        r = look_into_archive(search, archive, error);
        }
        (void)closedir(directory);
        return r;
}

/* normalise.h moves things; scripts ran before that. */
static char *path_of_scripts(const char *path)
{
        static const struct {
                const char *moved, *original;
        } places[] = {
                { NORMALISE_DPKG_PATH "/", "/var/lib/dpkg/" },
                { NORMALISE_VAR_PATH "/roothome/", "/root/" },
                { NORMALISE_VAR_PATH "/home/", "/home/" },
                { NORMALISE_VAR_PATH "/srv/", "/srv/" },
                { NORMALISE_VAR_PATH "/", "/var/" },
                { "", "/" },
        };

        for (size_t i = 0; i < ELEMENTS(places); i++)
                if (strncmp(path, places[i].moved, strlen(places[i].moved)) == 0)
                        return string_format("%s%s", places[i].original, path + strlen(places[i].moved));
        return NULL;
}

int repro_find_scripts(const char *const caches[2], const char *path, ReproScripts *ret, Error *error)
{
        static const BuildStep steps[] = { BUILD_PACKAGES, BUILD_BASE };
        _cleanup_free_ char *searched = path_of_scripts(path);
        Search search = { .path = searched };
        int r = searched ? 0 : error_oom(error);

        for (size_t i = 0; r >= 0 && path[0] && i < 2; i++)
                for (size_t j = 0; r >= 0 && caches[i] && j < ELEMENTS(steps); j++)
                        r = look_into_step(&search, caches[i], steps[j], error);
        if (r < 0) {
                repro_scripts_done(&search.found);
                return r;
        }
        *ret = search.found;
        return 0;
}

/* ---- for people ---- */

char *repro_origin_text(const ReproReport *report)
{
        const ReproScripts *scripts = &report->scripts;
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(ORIGIN_TEXT_MAX);
        bool is_one = scripts->count == 1 && strcmp(scripts->list[0].kind, "triggers") != 0;
        int r;

        if (report->package)
                return string_format("of %s", report->package);
        if (scripts->count == 0)
                return strdup("of no package: a script makes it");
        r = buffer_append_string(&text, "of no package; ");
        for (size_t i = 0; r >= 0 && i < scripts->count; i++)
                r = buffer_printf(&text, "%sthe %s of %s",
                                i == 0                    ? ""
                                : i + 1 == scripts->count ? " and "
                                                          : ", ",
                                scripts->list[i].kind, scripts->list[i].package);
        if (r >= 0)
                r = buffer_printf(&text, " %s %s", is_one ? "names" : "name",
                                strcmp(scripts->named + 1, report->path) == 0 ? "it" : scripts->named);
        return r < 0 ? NULL : buffer_take(&text, NULL);
}
