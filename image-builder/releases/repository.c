/* SPDX-License-Identifier: Apache-2.0 */
#include "repository.h"

#include "file.h"
#include "repository-internal.h"
#include "strv.h"
#include "tuf-client.h"
#include "tuf-store-memory.h"
#include "tuf-transport-folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define ROOT_PATTERN "[1-9]*.root.json"

static int list_roots(const char *folder, char ***ret, Error *error)
{
        DIR *handle = opendir(folder);
        int r = 0;

        if (!handle)
                return error_set(error, ERROR_CONFIG, errno, "cannot read %s: %s", folder, strerror(errno));
        for (struct dirent *entry; r >= 0 && (entry = readdir(handle));)
                if (fnmatch(ROOT_PATTERN, entry->d_name, 0) == 0)
                        r = strv_append(ret, entry->d_name);
        (void)closedir(handle);
        return r < 0 ? error_oom(error) : 0;
}

static int copy_root(const char *from_folder, const char *to_folder, const char *name, Error *error)
{
        _cleanup_free_ char *from = path_join(from_folder, name), *to = path_join(to_folder, name),
                            *text = NULL;
        size_t size;
        int r;

        if (!from || !to)
                return error_oom(error);
        r = file_read(AT_FDCWD, from, TUF_ROOT_MAX, &text, &size);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", from, strerror(-r));
        r = file_replace(AT_FDCWD, to, text, size, 0644);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s: %s", to, strerror(-r)) : 0;
}

int repository_create(const char *path, const char *keys_folder, Error *error)
{
        _cleanup_free_ char *metadata = path_join(path, "metadata"), *targets = path_join(path, "targets");
        _cleanup_(repository_freep) Repository *check = NULL;
        _cleanup_strv_ char **names = NULL, **present = NULL;
        int r;

        if (!metadata || !targets)
                return error_oom(error);
        if (list_roots(metadata, &present, NULL) >= 0 && present)
                return error_set(error, ERROR_NOTHING_TO_DO, EEXIST, "%s already is a release repository",
                                path);
        r = list_roots(keys_folder, &names, error);
        if (r < 0)
                return r;
        if (!names)
                return error_set(error, ERROR_CONFIG, ENOENT,
                                "there is no root metadata in %s; make it with \"keys init\"", keys_folder);
        r = directory_make(AT_FDCWD, metadata, 0755);
        if (r >= 0)
                r = directory_make(AT_FDCWD, targets, 0755);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot make %s: %s", path, strerror(-r));
        for (char **name = names; r >= 0 && *name; name++)
                r = copy_root(keys_folder, metadata, *name, error);
        return r < 0 ? r : repository_open(path, false, &check, error);
}

int repository_add_root(Repository *repository, const void *data, size_t size, Error *error)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *root = NULL;
        _cleanup_free_ char *name = NULL;
        int r = tuf_metadata_parse("root", TUF_ROLE_ROOT, data, size, &root, error);

        if (r >= 0)
                r = repository_check_root(repository_root(repository), root, error);
        if (r < 0)
                return r;
        if (repository->root_count >= REPOSITORY_ROOTS_MAX - 1)
                return error_set(error, ERROR_FAILED, E2BIG, "too many roots");
        name = string_format("%llu.root.json", (unsigned long long)root->version);
        if (!name)
                return error_oom(error);
        r = repository_write_metadata(repository, name, data, size, error);
        if (r < 0)
                return r;
        for (unsigned role = TUF_ROLE_TIMESTAMP; role < TUF_ROLE_MAX; role++)
                if (repository->roles[role])
                        repository->is_revoked[role] = tuf_verify("", repository->roles[role], &root->keys,
                                                                       &root->signers[role], NULL) < 0;
        repository->roots[repository->root_count++] = TAKE_PTR(root);
        return 0;
}

/* Whether the present metadata names a file; `file` is relative to the repository. */
static bool is_named(const Repository *repository, const char *file)
{
        unsigned long long version;
        char role_name[32] = "";
        TufRole role;

        if (strncmp(file, "targets/", 8) == 0) {
                for (size_t i = 0; i < repository->list_count; i++)
                        if (strcmp(repository->list[i].file, file) == 0)
                                return true;
                return false;
        }
        /* Anything that is not an old snapshot or targets file is none of our business. */
        if (sscanf(file, "metadata/%llu.%31[a-z].json", &version, role_name) != 2 ||
                        tuf_role_from_name(role_name, &role) < 0 ||
                        (role != TUF_ROLE_SNAPSHOT && role != TUF_ROLE_TARGETS))
                return true;
        return !repository->roles[role] || repository->roles[role]->version <= version;
}

static int prune_folder(const Repository *repository, const char *folder, int64_t before,
                size_t *ret_removed, Error *error)
{
        _cleanup_free_ char *path = path_join(repository->path, folder);
        DIR *handle = path ? opendir(path) : NULL;
        int r = 0;

        if (!handle)
                return error_set(error, ERROR_IO, errno, "cannot read %s/%s: %s", repository->path, folder,
                                strerror(errno));
        for (struct dirent *entry; r >= 0 && (entry = readdir(handle));) {
                _cleanup_free_ char *file = string_format("%s/%s", folder, entry->d_name);
                struct stat status;

                if (!file)
                        r = error_oom(error);
                else if (entry->d_name[0] == '.' ||
                                fstatat(dirfd(handle), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                else if (S_ISDIR(status.st_mode))
                        r = prune_folder(repository, file, before, ret_removed, error);
                else if (status.st_mtime < before && !is_named(repository, file) &&
                                unlinkat(dirfd(handle), entry->d_name, 0) == 0)
                        (*ret_removed)++;
        }
        (void)closedir(handle);
        return r;
}

int repository_prune(Repository *repository, uint64_t grace_seconds, size_t *ret_removed, Error *error)
{
        int64_t before = (int64_t)time(NULL) - (int64_t)MIN_OF(grace_seconds, (uint64_t)INT32_MAX);
        size_t removed = 0;
        int r;

        if (repository->is_changed)
                return error_set(error, ERROR_FAILED, EBUSY, "publish the changes first");
        r = prune_folder(repository, "metadata", before, &removed, error);
        if (r >= 0)
                r = prune_folder(repository, "targets", before, &removed, error);
        *ret_removed = removed;
        return r;
}

/* As a client would that knows nothing but this root. */
static int verify_from_root(const Repository *repository, const TufMetadata *root, int64_t now, Error *error)
{
        _cleanup_free_ char *name = string_format("%llu.root.json", (unsigned long long)root->version);
        _cleanup_free_ char *path = name ? path_join(repository->metadata_path, name) : NULL, *text = NULL;
        TufTransport transport = tuf_transport_folder(repository->metadata_path);
        _cleanup_(tuf_store_memory_freep) TufStoreMemory *memory = NULL;
        _cleanup_(tuf_client_freep) TufClient *client = NULL;
        TufStore store;
        size_t size;
        int r;

        if (!path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, TUF_ROOT_MAX, &text, &size);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r));
        r = tuf_store_memory_new(text, size, &memory, error);
        if (r < 0)
                return r;
        store = tuf_store_memory(memory);
        r = tuf_client_new(&transport, &store, now, &client, error);
        if (r >= 0)
                r = tuf_client_refresh(client, error);
        for (size_t i = 0; r >= 0 && i < repository->list_count; i++) {
                _cleanup_(tuf_target_freep) TufTarget *target = NULL;

                r = tuf_client_find_target(client, repository->list[i].path, &target, error);
        }
        return r < 0 ? error_prefix(error, r, "from root %llu", (unsigned long long)root->version) : 0;
}

static int verify_target_file(const Repository *repository, const RepositoryTarget *target, Error *error)
{
        _cleanup_free_ char *path = path_join(repository->path, target->file);
        _cleanup_fd_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        uint8_t digest[SHA256_SIZE];
        uint64_t size;
        int r;

        if (fd < 0)
                return error_set(error, ERROR_CORRUPT, errno, "cannot read %s: %s", target->file,
                                strerror(errno));
        r = fd_size(fd, &size);
        if (r >= 0 && size == target->size_bytes)
                r = sha256_of_fd(fd, 0, size, digest);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", target->file, strerror(-r));
        if (size != target->size_bytes || memcmp(digest, target->sha256, sizeof(digest)) != 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "%s is not what the metadata lists",
                                target->file);
        return 0;
}

int repository_verify(const char *path, int64_t now, size_t *ret_targets, Error *error)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        RepositoryPolicy policy = { .now = now };
        int r = repository_open(path, false, &repository, error);

        if (r < 0)
                return r;
        for (size_t i = 0; i < repository->root_count && r >= 0; i++)
                r = verify_from_root(repository, repository->roots[i], repository_now(&policy), error);
        for (size_t i = 0; i < repository->list_count && r >= 0; i++)
                r = verify_target_file(repository, &repository->list[i], error);
        if (r >= 0)
                *ret_targets = repository->list_count;
        return r;
}
