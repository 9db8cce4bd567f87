/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "json.h"
#include "repository-internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

const TufMetadata *repository_root(const Repository *repository)
{
        return repository->roots[repository->root_count - 1];
}

int repository_check_root(const TufMetadata *present, const TufMetadata *next, Error *error)
{
        int r;

        if (next->version != present->version + 1)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "root %llu does not follow root %llu",
                                (unsigned long long)next->version, (unsigned long long)present->version);
        r = tuf_verify("root", next, &present->keys, &present->signers[TUF_ROLE_ROOT], error);
        if (r < 0)
                return error_prefix(
                                error, r, "by the keys of root %llu", (unsigned long long)present->version);
        r = tuf_verify("root", next, &next->keys, &next->signers[TUF_ROLE_ROOT], error);
        return r < 0 ? error_prefix(error, r, "by its own keys") : 0;
}

static int read_metadata(
                const Repository *repository, const char *name, char **ret, size_t *ret_size, Error *error)
{
        _cleanup_free_ char *path = path_join(repository->metadata_path, name);
        int r;

        if (!path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, TUF_METADATA_MAX, ret, ret_size);
        if (r < 0 && r != -ENOENT)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r));
        return r;
}

/* The lowest and highest N of the N.ROLE.json in the folder; both 0 when there is none. */
static void find_versions(const char *folder, TufRole role, uint64_t *ret_first, uint64_t *ret_last)
{
        _cleanup_free_ char *rest = string_format(".%s.json", tuf_role_name(role));
        DIR *handle = opendir(folder);

        *ret_first = *ret_last = 0;
        for (struct dirent *entry; handle && rest && (entry = readdir(handle));) {
                unsigned long long version;
                int length = 0;

                if (sscanf(entry->d_name, "%llu%n", &version, &length) != 1 ||
                                strcmp(entry->d_name + length, rest) != 0)
                        continue;
                *ret_first = *ret_first == 0 ? version : MIN_OF(*ret_first, (uint64_t)version);
                *ret_last = MAX_OF(*ret_last, (uint64_t)version);
        }
        if (handle)
                (void)closedir(handle);
}

static uint64_t first_root(const char *folder)
{
        uint64_t first, last;

        find_versions(folder, TUF_ROLE_ROOT, &first, &last);
        return first;
}

/* A first publication that was cut short leaves version 1 of some files, and is begun again. */
static int check_never_published(const Repository *repository, Error *error)
{
        uint64_t first, last;

        find_versions(repository->metadata_path, TUF_ROLE_SNAPSHOT, &first, &last);
        if (last > 1)
                return error_set(error, ERROR_CORRUPT, EIO,
                                "its timestamp.json is gone though it was published before; put it back");
        return 0;
}

static int add_root(Repository *repository, uint64_t version, Error *error)
{
        _cleanup_free_ char *name = string_format("%llu.root.json", (unsigned long long)version),
                            *text = NULL;
        _cleanup_(tuf_metadata_freep) TufMetadata *root = NULL;
        size_t size;
        int r;

        if (!name)
                return error_oom(error);
        r = read_metadata(repository, name, &text, &size, error);
        if (r >= 0)
                r = tuf_metadata_parse(name, TUF_ROLE_ROOT, text, size, &root, error);
        if (r < 0)
                return r;
        if (repository->root_count > 0)
                r = repository_check_root(repository_root(repository), root, error);
        else
                r = tuf_verify("root", root, &root->keys, &root->signers[TUF_ROLE_ROOT], error);
        if (r >= 0 && root->version != version)
                r = error_set(error, ERROR_UNTRUSTED, EBADMSG, "it has version %llu",
                                (unsigned long long)root->version);
        if (r < 0)
                return error_prefix(error, r, "%s", name);
        repository->roots[repository->root_count++] = TAKE_PTR(root);
        return 0;
}

static int open_roots(Repository *repository, Error *error)
{
        uint64_t first = first_root(repository->metadata_path);
        int r = 0;

        if (first == 0)
                return error_set(error, ERROR_FAILED, ENOENT,
                                "%s is not a release repository: it has no root metadata", repository->path);
        repository->roots = calloc(REPOSITORY_ROOTS_MAX, sizeof(*repository->roots));
        if (!repository->roots)
                return error_oom(error);
        for (uint64_t i = 0; i < REPOSITORY_ROOTS_MAX && r >= 0; i++)
                r = add_root(repository, first + i, error);
        if (r == -ENOENT)
                return 0;
        return r < 0 ? r : error_set(error, ERROR_FAILED, E2BIG, "too many roots");
}

/* Which root vouches for the metadata: the present one, or one before it whose keys were revoked since. */
static int find_voucher(Repository *repository, TufRole role, const TufMetadata *metadata, Error *error)
{
        for (size_t i = repository->root_count; i-- > 0;) {
                const TufMetadata *root = repository->roots[i];

                if (tuf_verify("", metadata, &root->keys, &root->signers[role], NULL) >= 0) {
                        repository->is_revoked[role] = i + 1 < repository->root_count;
                        return 0;
                }
        }
        return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                        "no root of the repository ever vouched for its %s metadata", tuf_role_name(role));
}

static int open_role(Repository *repository, TufRole role, const TufFileInfo *info, Error *error)
{
        const char *role_name = tuf_role_name(role);
        _cleanup_free_ char *name =
                        info ? string_format("%llu.%s.json", (unsigned long long)info->version, role_name)
                             : string_format("%s.json", role_name);
        _cleanup_(tuf_metadata_freep) TufMetadata *metadata = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        if (!name)
                return error_oom(error);
        r = read_metadata(repository, name, &text, &size, error);
        if (r < 0)
                return r;
        if (info)
                r = tuf_file_info_check(name, info, text, size, error);
        if (r >= 0)
                r = tuf_metadata_parse(name, role, text, size, &metadata, error);
        if (r >= 0)
                r = find_voucher(repository, role, metadata, error);
        if (r >= 0 && info && metadata->version != info->version)
                r = error_set(error, ERROR_UNTRUSTED, EBADMSG, "%s has version %llu", name,
                                (unsigned long long)metadata->version);
        if (r >= 0)
                repository->roles[role] = TAKE_PTR(metadata);
        return r;
}

/* An old timestamp put back would have us publish versions that hosts have seen with other content. One
 * snapshot more than the timestamp names is what a publication that was cut short leaves. */
static int check_newest(const Repository *repository, Error *error)
{
        uint64_t first, last, present = repository->roles[TUF_ROLE_SNAPSHOT]->version;

        find_versions(repository->metadata_path, TUF_ROLE_SNAPSHOT, &first, &last);
        if (last > present + 1)
                return error_set(error, ERROR_CORRUPT, EIO,
                                "its timestamp.json names snapshot %llu, but there is a snapshot %llu; put "
                                "back the one "
                                "that belongs to it",
                                (unsigned long long)present, (unsigned long long)last);
        return 0;
}

static int open_roles(Repository *repository, Error *error)
{
        TufFileInfo info;
        int r = open_role(repository, TUF_ROLE_TIMESTAMP, NULL, error);

        if (r == -ENOENT)
                return check_never_published(repository, error);
        if (r >= 0)
                r = open_role(repository, TUF_ROLE_SNAPSHOT,
                                &repository->roles[TUF_ROLE_TIMESTAMP]->snapshot, error);
        if (r >= 0)
                r = check_newest(repository, error);
        if (r >= 0)
                r = tuf_snapshot_find(repository->roles[TUF_ROLE_SNAPSHOT], "targets", &info);
        if (r >= 0)
                r = open_role(repository, TUF_ROLE_TARGETS, &info, error);
        if (r == -ENOENT)
                return error_set(error, ERROR_CORRUPT, EIO, "%s lacks a file that its metadata names",
                                repository->path);
        return r;
}

static int lock_repository(Repository *repository, Error *error)
{
        _cleanup_free_ char *path = path_join(repository->path, ".lock");

        if (!path)
                return error_oom(error);
        repository->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (repository->lock_fd < 0)
                return error_set(error, ERROR_PERMISSION, errno, "cannot write to the repository %s: %s",
                                repository->path, strerror(errno));
        if (flock(repository->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return error_set(error, ERROR_BUSY, EBUSY, "another process is writing to the repository %s",
                                repository->path);
        return 0;
}

int repository_open(const char *path, bool for_writing, Repository **ret, Error *error)
{
        _cleanup_(repository_freep) Repository *repository = calloc(1, sizeof(*repository));
        const json_t *targets;
        int r = 0;

        if (!repository)
                return error_oom(error);
        repository->lock_fd = -1;
        repository->path = strdup(path);
        repository->metadata_path = path_join(path, "metadata");
        if (!repository->path || !repository->metadata_path)
                return error_oom(error);
        if (for_writing && first_root(repository->metadata_path) > 0)
                r = lock_repository(repository, error);
        if (r >= 0)
                r = open_roots(repository, error);
        if (r >= 0)
                r = open_roles(repository, error);
        if (r < 0)
                return error_prefix(error, r, "%s", path);
        targets = repository->roles[TUF_ROLE_TARGETS]
                                  ? json_object_get(repository->roles[TUF_ROLE_TARGETS]->signed_part,
                                                    "targets")
                                  : NULL;
        repository->targets = targets ? json_deep_copy(targets) : json_object();
        if (!repository->targets)
                return error_oom(error);
        r = repository_list_targets(repository, error);
        if (r >= 0)
                *ret = TAKE_PTR(repository);
        return r;
}

static void free_list(Repository *repository)
{
        for (size_t i = 0; i < repository->list_count; i++)
                free((char *)repository->list[i].file);
        free(repository->list);
        repository->list = NULL;
        repository->list_count = 0;
}

Repository *repository_free(Repository *repository)
{
        if (!repository)
                return NULL;
        free_list(repository);
        for (size_t i = 0; i < repository->root_count; i++)
                tuf_metadata_free(repository->roots[i]);
        free(repository->roots);
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++)
                tuf_metadata_free(repository->roles[role]);
        json_decref(repository->targets);
        (void)fd_close(repository->lock_fd);
        free(repository->path);
        free(repository->metadata_path);
        free(repository);
        return NULL;
}

char *repository_target_file(const char *target_path, const char *sha256)
{
        const char *slash = strrchr(target_path, '/');
        const char *name = slash ? slash + 1 : target_path;

        return string_format("targets/%.*s%s.%s", (int)(name - target_path), target_path, sha256, name);
}

static int compare_targets(const void *a, const void *b)
{
        return strcmp(((const RepositoryTarget *)a)->path, ((const RepositoryTarget *)b)->path);
}

int repository_list_targets(Repository *repository, Error *error)
{
        free_list(repository);
        repository->list = calloc(json_object_size(repository->targets) + 1, sizeof(*repository->list));
        if (!repository->list)
                return error_oom(error);
        for (void *i = json_object_iter(repository->targets); i;
                        i = json_object_iter_next(repository->targets, i)) {
                RepositoryTarget *target = &repository->list[repository->list_count];
                const json_t *value = json_object_iter_value(i);
                json_t *hashes;
                int r = json_get_object(value, "hashes", &hashes, error);

                target->path = json_object_iter_key(i);
                if (r >= 0)
                        r = json_get_hex(hashes, "sha256", target->sha256, sizeof(target->sha256), error);
                if (r >= 0)
                        r = json_get_u64(value, "length", &target->size_bytes, error);
                if (r < 0)
                        return error_prefix(error, r, "target \"%s\"", target->path);
                target->file = repository_target_file(
                                target->path, json_string_value(json_object_get(hashes, "sha256")));
                if (!target->file)
                        return error_oom(error);
                repository->list_count++;
        }
        qsort(repository->list, repository->list_count, sizeof(*repository->list), compare_targets);
        return 0;
}

size_t repository_target_count(const Repository *repository)
{
        return repository->list_count;
}

const RepositoryTarget *repository_target(const Repository *repository, size_t number)
{
        return &repository->list[number];
}

const RepositoryTarget *repository_find_target(const Repository *repository, const char *target_path)
{
        RepositoryTarget wanted = { .path = target_path };

        return bsearch(&wanted, repository->list, repository->list_count, sizeof(wanted), compare_targets);
}

bool repository_is_revoked(const Repository *repository, TufRole role)
{
        return repository->is_revoked[role];
}

int repository_role(const Repository *repository, TufRole role, uint64_t *ret_version, int64_t *ret_expires)
{
        const TufMetadata *metadata =
                        role == TUF_ROLE_ROOT ? repository_root(repository) : repository->roles[role];

        if (!metadata)
                return -ENOENT;
        *ret_version = metadata->version;
        *ret_expires = metadata->expires;
        return 0;
}
