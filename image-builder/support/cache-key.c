/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "cache.h"
#include "file.h"
#include "hex.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 64
#define LINK_MAX_BYTES 4096

void cache_key_begin(CacheKey *key, const char *step)
{
        *key = (CacheKey){ .hash = sha256_new() };
        cache_key_add_text(key, "step", step);
}

static void add_sized(CacheKey *key, const void *data, size_t size)
{
        uint8_t length[8];

        write_le64(length, size);
        sha256_update(key->hash, length, sizeof(length));
        sha256_update(key->hash, data, size);
}

void cache_key_add(CacheKey *key, const char *name, const void *data, size_t size)
{
        if (!key->hash)
                return;
        add_sized(key, name, strlen(name));
        add_sized(key, data, size);
}

void cache_key_add_text(CacheKey *key, const char *name, const char *text)
{
        if (text)
                cache_key_add(key, name, text, strlen(text));
}

void cache_key_add_number(CacheKey *key, const char *name, uint64_t number)
{
        uint8_t bytes[8];

        write_le64(bytes, number);
        cache_key_add(key, name, bytes, sizeof(bytes));
}

void cache_key_add_list(CacheKey *key, const char *name, char *const *list)
{
        for (; list && *list; list++)
                cache_key_add_text(key, name, *list);
}

static void note_touched(CacheKey *key, const struct stat *status)
{
        const uint64_t numbers[] = { status->st_ino, (uint64_t)status->st_ctim.tv_sec,
                (uint64_t)status->st_ctim.tv_nsec };

        for (size_t i = 0; i < ELEMENTS(numbers); i++)
                key->touched = (key->touched ^ numbers[i]) * 0x100000001b3; /* FNV-1a, of numbers */
}

int cache_key_add_file(CacheKey *key, const char *name, const char *path, Error *error)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        uint8_t hash[SHA256_SIZE];
        struct stat status;
        int r;

        if (fd < 0 || fstat(fd, &status) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot read %s: %s", path, strerror(errno));
        if (!S_ISREG(status.st_mode))
                return error_set(error, ERROR_CONFIG, EINVAL, "%s is not a regular file", path);
        note_touched(key, &status);
        r = sha256_of_fd(fd, 0, (uint64_t)status.st_size, hash);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r));
        cache_key_add_number(key, name, status.st_mode & S_IXUSR ? 1 : 0);
        cache_key_add(key, name, hash, sizeof(hash));
        return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_real(const struct dirent *entry)
{
        return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int add_folder(CacheKey *key, const char *name, const char *path, unsigned depth, Error *error);

static int add_any(CacheKey *key, const char *name, const char *path, unsigned depth, Error *error)
{
        char target[LINK_MAX_BYTES];
        struct stat status;
        ssize_t length;

        if (lstat(path, &status) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot read %s: %s", path, strerror(errno));
        cache_key_add_number(key, name, status.st_mode & S_IFMT);
        note_touched(key, &status);
        if (S_ISDIR(status.st_mode))
                return add_folder(key, name, path, depth + 1, error);
        if (!S_ISLNK(status.st_mode))
                return cache_key_add_file(key, name, path, error);
        length = readlink(path, target, sizeof(target));
        if (length < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot read %s: %s", path, strerror(errno));
        cache_key_add(key, name, target, (size_t)length);
        return 0;
}

static int add_folder(CacheKey *key, const char *name, const char *path, unsigned depth, Error *error)
{
        struct dirent **entries = NULL;
        int count, r = 0;

        if (depth > DEPTH_MAX)
                return error_set(error, ERROR_CONFIG, ELOOP, "%s is nested too deeply", path);
        count = scandir(path, &entries, is_real, by_name);
        if (count < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot read the folder %s: %s", path,
                                strerror(errno));
        for (int i = 0; i < count; i++) {
                _cleanup_free_ char *child = r < 0 ? NULL : path_join(path, entries[i]->d_name);

                if (r >= 0 && !child)
                        r = error_oom(error);
                if (r >= 0) {
                        cache_key_add_text(key, name, entries[i]->d_name);
                        r = add_any(key, name, child, depth, error);
                }
                free(entries[i]);
        }
        free(entries);
        cache_key_add_text(key, name, "/"); /* the end of this folder */
        return r;
}

int cache_key_add_folder(CacheKey *key, const char *name, const char *path, Error *error)
{
        return add_folder(key, name, path, 0, error);
}

int cache_key_finish(CacheKey *key, Error *error)
{
        uint8_t hash[SHA256_SIZE];

        if (!key->hash)
                return error_oom(error);
        sha256_finish(key->hash, hash);
        hex_encode(hash, sizeof(hash), key->text);
        return 0;
}

void cache_key_done(CacheKey *key)
{
        key->hash = sha256_free(key->hash);
}

int cache_tool_hash(char ret[static SHA256_HEX_SIZE], Error *error)
{
        _cleanup_fd_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        uint8_t hash[SHA256_SIZE];
        uint64_t size;
        int r = fd < 0 ? -errno : fd_size(fd, &size);

        if (r >= 0)
                r = sha256_of_fd(fd, 0, size, hash);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read this program: %s", strerror(-r));
        hex_encode(hash, sizeof(hash), ret);
        return 0;
}
