/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "hex.h"
#include "repository-internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define COPY_CHUNK (1 * MIB)

/* Relative, and every part a plain name, so that it can be a path below a folder and in a URL. */
static int check_target_path(const char *path, Error *error)
{
        for (const char *p = path;;) {
                size_t length = strcspn(p, "/");

                if (strlen(path) > TARGET_PATH_MAX || length == 0 ||
                                (length <= 2 && strspn(p, ".") >= length))
                        break;
                for (size_t i = 0; i < length; i++)
                        if ((unsigned char)p[i] <= ' ' || p[i] == 0x7f || p[i] == '\\')
                                return error_set(error, ERROR_USAGE, EINVAL,
                                                "\"%s\" cannot be a target's path: it holds a blank or "
                                                "control character",
                                                path);
                if (!p[length])
                        return 0;
                p += length + 1;
        }
        return error_set(error, ERROR_USAGE, EINVAL,
                        "\"%s\" cannot be a target's path: it must be relative, without empty parts, \".\" "
                        "and \"..\"",
                        path);
}

static int write_error(const char *path, int r, Error *error)
{
        return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot write %s: %s", path,
                        strerror(-r));
}

static int copy_hashing(int from, int to, Sha256 *hash, uint64_t *ret_size)
{
        _cleanup_free_ uint8_t *chunk = malloc(COPY_CHUNK);
        uint64_t total = 0;

        if (!chunk)
                return -ENOMEM;
        for (;;) {
                size_t size;
                int r = read_up_to(from, chunk, COPY_CHUNK, &size);

                if (r >= 0)
                        r = write_full(to, chunk, size);
                if (r < 0)
                        return r;
                sha256_update(hash, chunk, size);
                total += size;
                if (size < COPY_CHUNK)
                        break;
        }
        *ret_size = total;
        return fsync(to) < 0 ? -errno : 0;
}

static int set_target(Repository *repository, const char *target_path, uint64_t size, const char *sha256,
                Error *error)
{
        const RepositoryTarget *old = repository_find_target(repository, target_path);
        char old_sha256[SHA256_HEX_SIZE];
        json_t *value;

        if (old) {
                hex_encode(old->sha256, sizeof(old->sha256), old_sha256);
                if (old->size_bytes == size && strcmp(old_sha256, sha256) == 0)
                        return 0;
        }
        value = json_pack("{s:I, s:{s:s}}", "length", (json_int_t)size, "hashes", "sha256", sha256);
        if (!value || json_object_set_new(repository->targets, target_path, value) < 0)
                return error_oom(error);
        repository->is_changed = true;
        return repository_list_targets(repository, error);
}

static int sync_folder(const char *path)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Copies into a temporary file of the target's folder, then gives it the name of its hash. */
static int store_stream(Repository *repository, const char *target_path, int from, uint64_t *ret_size,
                char ret_sha256[static SHA256_HEX_SIZE], Error *error)
{
        _cleanup_free_ char *path = string_format("%s/targets/%s", repository->path, target_path);
        _cleanup_free_ char *folder = path ? strdup(path) : NULL, *temporary = NULL, *name = NULL,
                            *final = NULL;
        _cleanup_sha256_ Sha256 *hash = sha256_new();
        uint8_t digest[SHA256_SIZE];
        _cleanup_fd_ int to = -1;
        int r;

        if (!folder || !hash)
                return error_oom(error);
        *strrchr(folder, '/') = 0;
        temporary = string_format("%s/.incoming", folder);
        if (!temporary)
                return error_oom(error);
        r = directory_make(AT_FDCWD, folder, 0755);
        if (r < 0)
                return write_error(folder, r, error);
        to = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        r = to < 0 ? -errno : copy_hashing(from, to, hash, ret_size);
        if (r >= 0) {
                sha256_finish(hash, digest);
                hex_encode(digest, sizeof(digest), ret_sha256);
                name = repository_target_file(target_path, ret_sha256);
                final = name ? path_join(repository->path, name) : NULL;
                r = !final ? -ENOMEM : rename(temporary, final) < 0 ? -errno : sync_folder(folder);
        }
        if (r < 0) {
                (void)unlink(temporary);
                return write_error(path, r, error);
        }
        return 0;
}

static int must_be_writable(const Repository *repository, Error *error)
{
        if (repository->lock_fd >= 0)
                return 0;
        return error_set(error, ERROR_FAILED, EROFS, "the repository was opened to read only");
}

int repository_add_file(
                Repository *repository, const char *target_path, const char *source_path, Error *error)
{
        _cleanup_fd_ int from = open(source_path, O_RDONLY | O_CLOEXEC);
        char sha256[SHA256_HEX_SIZE];
        uint64_t size = 0;
        int r = must_be_writable(repository, error);

        if (r >= 0 && from < 0)
                r = error_set(error, ERROR_IO, errno, "cannot read %s: %s", source_path, strerror(errno));
        if (r >= 0)
                r = check_target_path(target_path, error);
        if (r >= 0)
                r = store_stream(repository, target_path, from, &size, sha256, error);
        return r < 0 ? r : set_target(repository, target_path, size, sha256, error);
}

int repository_add_data(
                Repository *repository, const char *target_path, const void *data, size_t size, Error *error)
{
        _cleanup_free_ char *path = string_format("%s/targets/%s", repository->path, target_path),
                            *name = NULL;
        _cleanup_free_ char *final = NULL;
        char sha256[SHA256_HEX_SIZE];
        int r = must_be_writable(repository, error);

        if (r >= 0)
                r = check_target_path(target_path, error);
        if (r < 0)
                return r;
        sha256_hex_of(data, size, sha256);
        name = repository_target_file(target_path, sha256);
        final = name ? path_join(repository->path, name) : NULL;
        if (!path || !final)
                return error_oom(error);
        *strrchr(path, '/') = 0;
        r = directory_make(AT_FDCWD, path, 0755);
        if (r >= 0)
                r = file_replace(AT_FDCWD, final, data, size, 0644);
        return r < 0 ? write_error(final, r, error)
                     : set_target(repository, target_path, size, sha256, error);
}

int repository_remove_target(Repository *repository, const char *target_path, Error *error)
{
        int r = must_be_writable(repository, error);

        if (r < 0)
                return r;
        if (json_object_del(repository->targets, target_path) < 0)
                return error_set(error, ERROR_FAILED, ENOENT, "the repository does not list \"%s\"",
                                target_path);
        repository->is_changed = true;
        return repository_list_targets(repository, error);
}

int repository_read_target(const Repository *repository, const char *target_path, size_t cap_bytes,
                char **ret, size_t *ret_size, Error *error)
{
        const RepositoryTarget *target = repository_find_target(repository, target_path);
        _cleanup_free_ char *path = NULL, *data = NULL;
        uint8_t digest[SHA256_SIZE];
        size_t size;
        int r;

        if (!target)
                return error_set(error, ERROR_FAILED, ENOENT, "the repository does not list \"%s\"",
                                target_path);
        path = path_join(repository->path, target->file);
        if (!path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, cap_bytes, &data, &size);
        if (r < 0)
                return error_set(error, ERROR_CORRUPT, r == -ENOENT ? EIO : -r, "cannot read %s: %s", path,
                                strerror(-r));
        sha256_of(data, size, digest);
        if (size != target->size_bytes || memcmp(digest, target->sha256, sizeof(digest)) != 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "%s is not what the metadata lists", path);
        *ret = TAKE_PTR(data);
        *ret_size = size;
        return 0;
}
