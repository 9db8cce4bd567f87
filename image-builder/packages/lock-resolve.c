/* SPDX-License-Identifier: Apache-2.0 */
#include "apt-root.h"
#include "file.h"
#include "hex.h"
#include "lock.h"
#include "process.h"
#include "strv.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#define URIS_MAX (16 * MIB)
#define TARGETS_MAX (1 * MIB)
#define RELEASE_MAX (4 * MIB)
#define INDEX_NAME_MAX 256

/* Stands in for usrmerge, and all of perl behind it, on a tree that begins with /usr merged. */
#define MERGED_USR_PACKAGE "usr-is-merged"

static int ask_apt(const AptRoot *root, const char *const *argv, int log_fd, size_t cap_bytes, char **ret,
                Error *error)
{
        const char *const environment[] = { root->environment, NULL };
        ProcessOptions options = { .environment = environment, .log_fd = log_fd };
        size_t size;

        return process_capture(argv, &options, cap_bytes, ret, &size, error);
}

/* ---- the indexes ---- */

static int update(const AptRoot *root, int log_fd, Error *error)
{
        _cleanup_free_ char *output = NULL;
        int r = ask_apt(root, (const char *const[]){ "apt-get", "update", "-q", "--error-on=any", NULL },
                        log_fd, URIS_MAX, &output, error);

        if (r == -EIO || r == -ENOSPC)
                apt_explain(log_fd, "the archive's indexes cannot be used", NULL, ERROR_NETWORK, error);
        return r;
}

static int hash_file(const char *path, uint8_t ret[static SHA256_SIZE], Error *error)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        uint64_t size;
        int r = fd < 0 ? -errno : fd_size(fd, &size);

        if (r >= 0)
                r = sha256_of_fd(fd, 0, size, ret);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

/* The InRelease file that an index of apt's lists came with: the index is called as it is, but for the end.
 */
static int read_release(LockSource *source, const char *index_path, size_t name_length, Error *error)
{
        size_t length = strlen(index_path);
        _cleanup_free_ char *path = NULL, *text = NULL;
        size_t size;
        int r;

        if (length <= name_length)
                return error_set(error, ERROR_FAILED, EBADMSG, "apt has an index without a name");
        path = string_format("%.*sInRelease", (int)(length - name_length), index_path);
        if (!path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, RELEASE_MAX, &text, &size);
        if (r >= 0)
                r = sources_parse_date(text, &source->time);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r,
                                "cannot read the InRelease file of %s that apt fetched: %s", source->suite,
                                strerror(-r));
        sha256_of(text, size, source->sha256);
        return 0;
}

static int add_index(LockSource *source, const char *path, const char *name, Error *error)
{
        LockIndex *grown = reallocarray(source->indexes, source->index_count + 1, sizeof(*grown));

        if (!grown)
                return error_oom(error);
        source->indexes = grown;
        grown[source->index_count] = (LockIndex){ .name = strdup(name) };
        if (!grown[source->index_count].name)
                return error_oom(error);
        return hash_file(path, grown[source->index_count++].sha256, error);
}

/* A line PATH|NAME|MIRROR|SUITE of `apt-get indextargets`, which is cut up. */
static int take_target(Lock *lock, char *line, Error *error)
{
        const char *path = strsep(&line, "|"), *name = strsep(&line, "|"), *mirror = strsep(&line, "|");
        size_t length = mirror ? strlen(mirror) : 0;

        if (!line || strlen(name) > INDEX_NAME_MAX)
                return error_set(error, ERROR_FAILED, EBADMSG, "apt lists its indexes in an unknown way");
        while (length > 0 && mirror[length - 1] == '/')
                length--;
        for (size_t i = 0; i < lock->source_count; i++) {
                LockSource *source = &lock->sources[i];
                int r;

                if (strcmp(source->suite, line) != 0 || strlen(source->mirror) != length ||
                                strncmp(source->mirror, mirror, length) != 0)
                        continue;
                r = read_release(source, path, strlen(name), error);
                return r < 0 || access(path, F_OK) < 0 ? r : add_index(source, path, name, error);
        }
        return 0;
}

static int read_indexes(Lock *lock, const AptRoot *root, int log_fd, Error *error)
{
        _cleanup_free_ char *text = NULL;
        char *next;
        int r = ask_apt(root,
                        (const char *const[]){ "apt-get", "indextargets", "--format",
                                        "$(FILENAME)|$(METAKEY)|$(REPO_URI)|$(RELEASE)",
                                        "Created-By: Packages", NULL },
                        log_fd, TARGETS_MAX, &text, error);

        if (r < 0)
                return r;
        next = text;
        for (char *line; r >= 0 && (line = strsep(&next, "\n"));)
                if (*line)
                        r = take_target(lock, line, error);
        for (size_t i = 0; r >= 0 && i < lock->source_count; i++)
                if (lock->sources[i].time == 0)
                        return error_set(error, ERROR_NETWORK, ENOENT,
                                        "apt found no index of packages in %s %s", lock->sources[i].mirror,
                                        lock->sources[i].suite);
        return r;
}

/* ---- the packages ---- */

static int from_hex(char digit)
{
        if (digit >= '0' && digit <= '9')
                return digit - '0';
        digit |= 0x20;
        return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* "%3a" becomes ":", in new memory. NULL when out of memory. */
static char *unquote(const char *text, size_t length)
{
        char *ret = malloc(length + 1), *to = ret;

        for (size_t i = 0; ret && i < length; i++) {
                int high = text[i] == '%' && i + 2 < length ? from_hex(text[i + 1]) : -1;
                int low = high >= 0 ? from_hex(text[i + 2]) : -1;

                *to++ = low > 0 || (low == 0 && high > 0) ? (char)(high << 4 | low) : text[i];
                i += low > 0 || (low == 0 && high > 0) ? 2 : 0;
        }
        if (ret)
                *to = 0;
        return ret;
}

/* "NAME_VERSION_ARCHITECTURE.deb" */
static int take_file_name(const char *name, size_t length, LockPackage *package)
{
        const char *first = memchr(name, '_', length);
        const char *second = first ? memchr(first + 1, '_', (size_t)(name + length - first - 1)) : NULL;

        if (!second || length < 4 || second > name + length - 4 ||
                        strncmp(name + length - 4, ".deb", 4) != 0)
                return -EBADMSG;
        package->name = unquote(name, (size_t)(first - name));
        package->version = unquote(first + 1, (size_t)(second - first - 1));
        package->architecture = unquote(second + 1, (size_t)(name + length - 4 - second - 1));
        return package->name && package->version && package->architecture ? 0 : -ENOMEM;
}

/* The source with the longest mirror that the address begins with; several suites may share a mirror, and
 * then which of them is meant makes no difference. */
static int take_address(const char *url, size_t length, const Lock *lock, LockPackage *package)
{
        size_t best = 0;

        for (size_t i = 0; i < lock->source_count; i++) {
                size_t size = strlen(lock->sources[i].mirror);

                if (size > best && size + 1 < length && strncmp(url, lock->sources[i].mirror, size) == 0 &&
                                url[size] == '/') {
                        best = size;
                        package->source = i;
                }
        }
        if (best == 0)
                return -EBADMSG;
        package->path = strndup(url + best + 1, length - best - 1);
        return package->path ? 0 : -ENOMEM;
}

/* 'URL' FILE SIZE SHA256:HASH */
static int parse_uri(const char *line, const Lock *lock, LockPackage *package)
{
        const char *url = line + 1, *end = strchr(url, '\'');
        const char *name = end && end[1] == ' ' ? end + 2 : NULL, *hash;
        size_t length = name ? strcspn(name, " ") : 0;
        char *after;
        int r;

        if (!name || name[length] != ' ' || !isdigit((unsigned char)name[length + 1]))
                return -EBADMSG;
        errno = 0;
        package->size_bytes = strtoull(name + length + 1, &after, 10);
        hash = strncmp(after, " SHA256:", 8) == 0 ? after + 8 : NULL;
        if (errno != 0 || !hash || hex_decode(hash, package->sha256, SHA256_SIZE) < 0)
                return -EBADMSG;
        r = take_file_name(name, length, package);
        return r < 0 ? r : take_address(url, (size_t)(end - url), lock, package);
}

int lock_parse_uri(const char *line, const Lock *lock, LockPackage *ret)
{
        LockPackage package = { 0 };
        int r;

        if (line[0] != '\'')
                return 1;
        r = parse_uri(line, lock, &package);
        if (r < 0) {
                free(package.name);
                free(package.version);
                free(package.architecture);
                free(package.path);
                return r;
        }
        *ret = package;
        return 0;
}

static int take_uris(Lock *lock, char *text, Error *error)
{
        char *next = text;
        size_t count = 0;
        int r;

        for (const char *p = text; *p; p++)
                count += *p == '\n';
        lock->packages = calloc(count + 1, sizeof(*lock->packages));
        if (!lock->packages)
                return error_oom(error);
        for (char *line; lock->package_count < count && (line = strsep(&next, "\n"));) {
                r = lock_parse_uri(line, lock, &lock->packages[lock->package_count]);
                if (r == 0)
                        lock->package_count++;
                if (r < 0)
                        return error_set(error, ERROR_FAILED, -r,
                                        "apt tells of a package in an unknown way: %s", line);
        }
        return 0;
}

/* What there must be on an empty machine. */
static int append_minimum(const Recipe *recipe, char ***argv)
{
        const char *suite = recipe->suites[0];
        _cleanup_free_ char *pattern =
                        string_format("?narrow(?or(?archive(^%s$),?codename(^%s$)),?architecture(%s),"
                                      "?or(?essential,?priority(required)))",
                                        suite, suite, recipe_debian_architecture(recipe));
        int r = pattern ? strv_append(argv, pattern) : -ENOMEM;

        return r < 0 ? r : strv_append(argv, MERGED_USR_PACKAGE);
}

/* What mmdebstrap would choose in two steps, in one. */
static int make_question(const Recipe *recipe, const LockBase *base, char ***ret)
{
        static const char *const words[] = { "apt-get", "install", "--yes", "--no-remove", "-q",
                "--print-uris", "-o", "Acquire::ForceHash=SHA256" };
        _cleanup_strv_ char **argv = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(words); i++)
                r = strv_append(&argv, words[i]);
        if (r >= 0 && !base)
                r = append_minimum(recipe, &argv);
        for (char **package = recipe->packages; r >= 0 && package && *package; package++)
                r = strv_append(&argv, *package);
        if (r >= 0 && recipe->kernel_package)
                r = strv_append(&argv, recipe->kernel_package);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(argv);
        return 0;
}

static int read_packages(Lock *lock, const Recipe *recipe, const LockBase *base, const AptRoot *root,
                int log_fd, Error *error)
{
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *text = NULL;
        int r = make_question(recipe, base, &argv);

        if (r < 0)
                return error_oom(error);
        r = ask_apt(root, (const char *const *)argv, log_fd, URIS_MAX, &text, error);
        if (r == -EIO || r == -ENOSPC)
                apt_explain(log_fd, "apt cannot choose the packages", NULL, ERROR_FAILED, error);
        if (r >= 0)
                r = take_uris(lock, text, error);
        if (r >= 0 && lock->package_count == 0 && !base)
                r = error_set(error, ERROR_CONFIG, ENODATA,
                                "the recipe's suites have no packages to install");
        return r;
}

static int fill_sources(Lock *lock, const AptSources *sources)
{
        lock->sources = calloc(sources->count + 1, sizeof(*lock->sources));
        if (!lock->sources)
                return -ENOMEM;
        for (size_t i = 0; i < sources->count; i++) {
                LockSource *source = &lock->sources[lock->source_count++];

                source->suite = strdup(sources->items[i].suite);
                source->mirror = strdup(sources->items[i].mirror);
                if (!source->suite || !source->mirror)
                        return -ENOMEM;
        }
        return 0;
}

/* In a root of apt's that has what the base has. */
static int ask(Lock *lock, const Recipe *recipe, const LockBase *base, const AptSources *sources,
                const char *scratch, int log_fd, Error *error)
{
        _cleanup_apt_root_ AptRoot root = { 0 };
        int r = apt_root_make(recipe, base ? base->status : NULL, sources, scratch, &root, error);

        if (r >= 0)
                r = update(&root, log_fd, error);
        if (r >= 0)
                r = read_indexes(lock, &root, log_fd, error);
        return r < 0 ? r : read_packages(lock, recipe, base, &root, log_fd, error);
}

int lock_resolve(const Recipe *recipe, const LockBase *base, const AptSources *sources, const char *scratch,
                int log_fd, Lock **ret, Error *error)
{
        _cleanup_lock_ Lock *lock = lock_new();
        int r = 0;

        if (!lock || lock_make_request(recipe, base, &lock->request) < 0)
                return error_oom(error);
        if (recipe_installs_packages(recipe)) {
                if (fill_sources(lock, sources) < 0)
                        return error_oom(error);
                r = ask(lock, recipe, base, sources, scratch, log_fd, error);
        }
        if (r < 0)
                return r;
        lock_sort(lock);
        r = lock_check(lock, error);
        if (r < 0)
                return error_prefix(error, r, "what apt has chosen");
        *ret = TAKE_PTR(lock);
        return 0;
}
