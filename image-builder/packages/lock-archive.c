/* SPDX-License-Identifier: Apache-2.0 */
#include "deb.h"
#include "file.h"
#include "hex.h"
#include "lock.h"

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

/* Whether fields of the control file say what the lock says. */
static bool has_field(const char *control, const char *name, const char *value)
{
        size_t name_length = strlen(name), value_length = strlen(value);

        for (const char *line = control; *line;) {
                size_t length = strcspn(line, "\n");

                if (length >= name_length + 1 && strncasecmp(line, name, name_length) == 0 &&
                                line[name_length] == ':') {
                        const char *text = line + name_length + 1;

                        text += strspn(text, " \t");
                        return (size_t)(line + length - text) == value_length &&
                               strncmp(text, value, value_length) == 0;
                }
                line += length + (line[length] ? 1 : 0);
        }
        return false;
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

static int add_package(const LockPackage *package, const char *from_path, const char *folder,
                const char *hex, Buffer *index, Error *error)
{
        _cleanup_free_ char *path = string_format("%s/%s.deb", folder, hex), *control = NULL;
        _cleanup_fd_ int from = open(from_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), to = -1;
        uint8_t hash[SHA256_SIZE];
        struct stat status;
        int r;

        if (!path)
                return error_oom(error);
        if (from < 0 || fstat(from, &status) < 0)
                return failed("read", from_path, -errno, error);
        if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != package->size_bytes)
                return spoilt(from_path, package, error);
        to = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        r = to < 0 ? -errno : copy(from, to, package->size_bytes, hash);
        if (r < 0)
                return failed("copy a package to", path, r, error);
        if (memcmp(hash, package->sha256, SHA256_SIZE) != 0)
                return spoilt(from_path, package, error);
        r = deb_read_control(to, &control, error);
        if (r < 0)
                return error_prefix(error, r, "the package %s", package->name);
        r = check_control(package, control, error);
        if (r < 0)
                return r;
        r = buffer_printf(index, "%sFilename: ./%s.deb\nSize: %llu\nSHA256: %s\n\n", control, hex,
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

        for (size_t i = 0; r >= 0 && i < lock->package_count; i++) {
                const LockPackage *package = &lock->packages[i];
                _cleanup_free_ char *path = lock_cached_path(cache_folder, package);
                char hex[SHA256_HEX_SIZE];

                hex_encode(package->sha256, SHA256_SIZE, hex);
                r = path ? add_package(package, path, folder, hex, &index, error) : error_oom(error);
        }
        return r < 0 ? r : write_index(folder, suite, &index, error);
}
