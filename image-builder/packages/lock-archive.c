/* SPDX-License-Identifier: Apache-2.0 */
#include "deb.h"
#include "file.h"
#include "hex.h"
#include "lock.h"
#include "stanza.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define COPY_STEP (1 * MIB)
#define INDEX_MAX (64 * MIB)

static int failed(const char *what, const char *path, int r, Error *error)
{
        return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot %s %s: %s", what, path,
                        strerror(-r));
}

/* Copies and hashes in one go, so that what is installed is what was looked at. */
static int copy(int from, int to, uint64_t size, uint8_t ret_hash[static SHA256_SIZE])
{
        _cleanup_sha256_ Sha256 *hash = sha256_new();
        _cleanup_free_ uint8_t *chunk = malloc(COPY_STEP);
        int r = 0;

        if (!hash || !chunk)
                return -ENOMEM;
        for (uint64_t at = 0; r >= 0 && at < size;) {
                size_t step = (size_t)MIN_OF((uint64_t)COPY_STEP, size - at);

                r = pread_full(from, chunk, step, at);
                if (r >= 0)
                        r = write_full(to, chunk, step);
                sha256_update(hash, chunk, step);
                at += step;
        }
        sha256_finish(hash, ret_hash);
        return r;
}

static bool has_field(const char *control, const char *name, const char *value)
{
        _cleanup_free_ char *found = stanza_field(control, NULL, name);

        return found && strcmp(found, value) == 0;
}

static int check_control(const LockPackage *package, const char *control, Error *error)
{
        if (has_field(control, "Package", package->name) &&
                        has_field(control, "Version", package->version) &&
                        has_field(control, "Architecture", package->architecture))
                return 0;
        return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                        "the package that the lock calls %s %s (%s) calls itself something else; make the "
                        "lock anew",
                        package->name, package->version, package->architecture);
}

static int spoilt(const char *path, const LockPackage *package, Error *error)
{
        (void)unlink(path);
        return error_set(error, ERROR_CORRUPT, EBADMSG,
                        "the package %s in the cache was damaged and has been removed; run this again",
                        package->name);
}

static int take(const LockPackage *package, const char *cached, int to, Error *error)
{
        _cleanup_fd_ int from = open(cached, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        uint8_t hash[SHA256_SIZE];
        struct stat status;
        int r;

        if (from < 0 || fstat(from, &status) < 0)
                return failed("read", cached, -errno, error);
        if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != package->size_bytes)
                return spoilt(cached, package, error);
        r = copy(from, to, package->size_bytes, hash);
        if (r < 0)
                return failed("copy", cached, r, error);
        return memcmp(hash, package->sha256, SHA256_SIZE) == 0 ? 0 : spoilt(cached, package, error);
}

int lock_take_package(const LockPackage *package, const char *cache_folder, int to, Tree **ret_control,
                char **ret_stanza, Error *error)
{
        _cleanup_free_ char *cached = lock_cached_path(cache_folder, package), *stanza = NULL;
        _cleanup_tree_ Tree *control = NULL;
        int r = cached ? take(package, cached, to, error) : error_oom(error);

        if (r < 0)
                return r;
        r = deb_read_control_files(to, &control, error);
        if (r >= 0)
                r = deb_control_text(control, &stanza, error);
        if (r < 0)
                return error_prefix(error, r, "the package %s", package->name);
        r = check_control(package, stanza, error);
        if (r < 0)
                return r;
        if (ret_control)
                *ret_control = TAKE_PTR(control);
        *ret_stanza = TAKE_PTR(stanza);
        return 0;
}

static int add_package(const LockPackage *package, const char *cache_folder, const char *folder,
                Buffer *index, Error *error)
{
        _cleanup_free_ char *path = NULL, *stanza = NULL;
        _cleanup_fd_ int to = -1;
        char hex[SHA256_HEX_SIZE];
        int r;

        hex_encode(package->sha256, SHA256_SIZE, hex);
        path = string_format("%s/%s.deb", folder, hex);
        if (!path)
                return error_oom(error);
        to = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (to < 0)
                return failed("make", path, -errno, error);
        r = lock_take_package(package, cache_folder, to, NULL, &stanza, error);
        if (r < 0)
                return r;
        r = buffer_printf(index, "%sFilename: ./%s.deb\nSize: %llu\nSHA256: %s\n\n", stanza, hex,
                        (unsigned long long)package->size_bytes, hex);
        return r < 0 ? error_oom(error) : 0;
}

static int put(const char *folder, const char *name, const void *data, size_t size, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, name);
        int r = path ? file_replace(AT_FDCWD, path, data, size, 0644) : -ENOMEM;

        return r < 0 ? failed("write", path ? path : name, r, error) : 0;
}

static int write_index(const char *folder, const char *suite, const Buffer *index, Error *error)
{
        _cleanup_buffer_ Buffer release = BUFFER_WITH_CAP(64 * KIB);
        char hex[SHA256_HEX_SIZE];
        int r;

        sha256_hex_of(index->data, index->size, hex);
        r = buffer_printf(&release, "Suite: %s\nCodename: %s\nSHA256:\n %s %zu Packages\n", suite, suite,
                        hex, index->size);
        if (r < 0)
                return error_oom(error);
        r = put(folder, "Packages", index->data, index->size, error);
        return r < 0 ? r : put(folder, "Release", release.data, release.size, error);
}

int lock_make_archive(const Lock *lock, const char *cache_folder, const char *suite, const char *folder,
                Error *error)
{
        _cleanup_buffer_ Buffer index = BUFFER_WITH_CAP(INDEX_MAX);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < lock->package_count; i++)
                r = add_package(&lock->packages[i], cache_folder, folder, &index, error);
        return r < 0 ? r : write_index(folder, suite, &index, error);
}
