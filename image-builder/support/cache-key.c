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

/* The hash that was just made becomes a part of the key, and is remembered with its path. */
static int add_input(CacheKey *key, const char *name, const char *path,
                const uint8_t sha256[static SHA256_SIZE], Error *error)
{
        CacheInput *inputs = reallocarray(key->inputs, key->input_count + 1, sizeof(*inputs));
        CacheInput *input;

        if (!inputs)
                return error_oom(error);
        key->inputs = inputs;
        input = &inputs[key->input_count++];
        *input = (CacheInput){ .part = strdup(name), .path = strdup(path) };
        memcpy(input->sha256, sha256, SHA256_SIZE);
        cache_key_add(key, name, sha256, SHA256_SIZE);
        return input->part && input->path ? 0 : error_oom(error);
}

static int hash_file(CacheKey *key, const char *path, bool *ret_executable, uint8_t ret[static SHA256_SIZE],
                Error *error)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat status;
        int r;

        if (fd < 0 || fstat(fd, &status) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot read %s: %s", path, strerror(errno));
        if (!S_ISREG(status.st_mode))
                return error_set(error, ERROR_CONFIG, EINVAL, "%s is not a regular file", path);
        note_touched(key, &status);
        r = sha256_of_fd(fd, 0, (uint64_t)status.st_size, ret);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r));
        *ret_executable = status.st_mode & S_IXUSR;
        return 0;
}

int cache_key_add_file(CacheKey *key, const char *name, const char *path, Error *error)
{
        uint8_t hash[SHA256_SIZE];
        bool is_executable;
        int r = hash_file(key, path, &is_executable, hash, error);

        if (r < 0)
                return r;
        cache_key_add_number(key, name, is_executable ? 1 : 0);
        return add_input(key, name, path, hash, error);
}

/* ---- folders ---- */

typedef struct FolderWalk {
        CacheKey *key;
        Sha256 *hash;
        size_t prefix; /* of paths, that is no part of records */
} FolderWalk;

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_real(const struct dirent *entry)
{
        return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* `sha256` is NULL for a folder. */
static void add_record(FolderWalk *walk, char kind, const uint8_t *sha256, const char *path)
{
        char hex[SHA256_HEX_SIZE];

        sha256_update(walk->hash, (const char[]){ kind, ' ' }, 2);
        if (sha256) {
                hex_encode(sha256, SHA256_SIZE, hex);
                sha256_update(walk->hash, hex, strlen(hex));
                sha256_update(walk->hash, " ", 1);
        }
        sha256_update(walk->hash, path + walk->prefix, strlen(path + walk->prefix) + 1);
}

static int walk_folder(FolderWalk *walk, const char *path, unsigned depth, Error *error);

static int walk_any(FolderWalk *walk, const char *path, unsigned depth, Error *error)
{
        uint8_t hash[SHA256_SIZE];
        char target[LINK_MAX_BYTES];
        struct stat status;
        bool is_executable;
        ssize_t length;
        int r;

        if (lstat(path, &status) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot read %s: %s", path, strerror(errno));
        note_touched(walk->key, &status);
        if (S_ISDIR(status.st_mode)) {
                add_record(walk, 'd', NULL, path);
                return walk_folder(walk, path, depth + 1, error);
        }
        if (!S_ISLNK(status.st_mode)) {
                r = hash_file(walk->key, path, &is_executable, hash, error);
                if (r >= 0)
                        add_record(walk, is_executable ? 'x' : 'f', hash, path);
                return r;
        }
        length = readlink(path, target, sizeof(target));
        if (length < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot read %s: %s", path, strerror(errno));
        sha256_of(target, (size_t)length, hash);
        add_record(walk, 'l', hash, path);
        return 0;
}

static int walk_folder(FolderWalk *walk, const char *path, unsigned depth, Error *error)
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

                if (r >= 0)
                        r = child ? walk_any(walk, child, depth, error) : error_oom(error);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int cache_key_add_folder(CacheKey *key, const char *name, const char *path, Error *error)
{
        _cleanup_sha256_ Sha256 *hash = sha256_new();
        size_t length = strlen(path);
        FolderWalk walk = {
                .key = key, .hash = hash, .prefix = length + (length == 0 || path[length - 1] != '/')
        };
        uint8_t sha256[SHA256_SIZE];
        int r = hash ? walk_folder(&walk, path, 0, error) : error_oom(error);

        if (r < 0)
                return r;
        sha256_finish(hash, sha256);
        return add_input(key, name, path, sha256, error);
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
        for (size_t i = 0; i < key->input_count; i++) {
                free(key->inputs[i].part);
                free(key->inputs[i].path);
        }
        free(key->inputs);
        key->inputs = NULL;
        key->input_count = 0;
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
