/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "json.h"
#include "repository-internal.h"
#include "tuf-document.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Metadata files made so far, kept in memory until all of them are signed: nothing is written before. */
typedef struct Made {
        char *text;
        size_t size;
        uint64_t version; /* 0: this role stays as it is */
} Made;

typedef struct Publication {
        Repository *repository;
        KeyRing *keys;
        const RepositoryPolicy *policy;
        Made made[TUF_ROLE_MAX];
} Publication;

static void publication_done(Publication *publication)
{
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++)
                free(publication->made[role].text);
}

int64_t repository_now(const RepositoryPolicy *policy)
{
        return policy && policy->now ? policy->now : (int64_t)time(NULL);
}

static uint64_t lifetime(const RepositoryPolicy *policy, TufRole role)
{
        static const uint64_t defaults[TUF_ROLE_MAX] = {
                [TUF_ROLE_ROOT] = REPOSITORY_ROOT_LIFETIME,
                [TUF_ROLE_TIMESTAMP] = REPOSITORY_TIMESTAMP_LIFETIME,
                [TUF_ROLE_SNAPSHOT] = REPOSITORY_SNAPSHOT_LIFETIME,
                [TUF_ROLE_TARGETS] = REPOSITORY_TARGETS_LIFETIME,
        };

        return policy && policy->lifetime_seconds[role] ? policy->lifetime_seconds[role] : defaults[role];
}

int repository_write_metadata(
                const Repository *repository, const char *name, const void *data, size_t size, Error *error)
{
        _cleanup_free_ char *path = path_join(repository->metadata_path, name);
        int r;

        if (!path)
                return error_oom(error);
        r = file_replace(AT_FDCWD, path, data, size, 0644);
        if (r < 0)
                return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot write %s: %s",
                                path, strerror(-r));
        return 0;
}

/* The present "signed" part of a role as a copy to change, with its version one up and a new time of expiry;
 * or a new one. Members that we do not know, and delegations, stay. */
static int next_part(const Publication *publication, TufRole role, json_t **ret, uint64_t *ret_version,
                Error *error)
{
        const TufMetadata *present = publication->repository->roles[role];
        int64_t expires = repository_now(publication->policy) + (int64_t)lifetime(publication->policy, role);
        uint64_t version = present ? present->version + 1 : 1;
        json_t *fresh, *part;
        int r = tuf_document_new(role, version, expires, &fresh, error);

        if (r < 0)
                return r;
        part = present ? json_deep_copy(present->signed_part) : json_object();
        r = part ? json_object_update(part, fresh) : -1;
        json_decref(fresh);
        if (r < 0) {
                json_decref(part);
                return error_oom(error);
        }
        *ret = part;
        *ret_version = version;
        return 0;
}

/* Takes over `body`, the value of `member`. */
static int make(Publication *publication, TufRole role, const char *member, json_t *body, Error *error)
{
        const TufMetadata *root = repository_root(publication->repository);
        Made *made = &publication->made[role];
        _cleanup_json_ json_t *part = NULL;
        uint64_t version = 0;
        int r;

        if (!body)
                return error_oom(error);
        r = next_part(publication, role, &part, &version, error);
        if (r < 0) {
                json_decref(body);
                return r;
        }
        if (json_object_set_new(part, member, body) < 0)
                return error_oom(error);
        r = tuf_document_sign(part, role, &root->signers[role], publication->keys, &made->text, &made->size,
                        error);
        if (r >= 0)
                made->version = version;
        return r;
}

/* The entry for a file of metadata that was just made. */
static json_t *describe(const Made *made)
{
        char sha256[SHA256_HEX_SIZE];

        sha256_hex_of(made->text, made->size, sha256);
        return json_pack("{s:I, s:I, s:{s:s}}", "version", (json_int_t)made->version, "length",
                        (json_int_t)made->size, "hashes", "sha256", sha256);
}

static int make_targets(Publication *publication, Error *error)
{
        return make(publication, TUF_ROLE_TARGETS, "targets",
                        json_deep_copy(publication->repository->targets), error);
}

static int make_snapshot(Publication *publication, Error *error)
{
        const TufMetadata *present = publication->repository->roles[TUF_ROLE_SNAPSHOT];
        const Made *targets = &publication->made[TUF_ROLE_TARGETS];
        json_t *meta = present ? json_deep_copy(json_object_get(present->signed_part, "meta"))
                               : json_object();

        if (meta && targets->version > 0 &&
                        json_object_set_new(meta, "targets.json", describe(targets)) < 0) {
                json_decref(meta);
                meta = NULL;
        }
        return make(publication, TUF_ROLE_SNAPSHOT, "meta", meta, error);
}

static int make_timestamp(Publication *publication, Error *error)
{
        const TufMetadata *present = publication->repository->roles[TUF_ROLE_TIMESTAMP];
        const Made *snapshot = &publication->made[TUF_ROLE_SNAPSHOT];
        json_t *meta;

        if (snapshot->version > 0)
                meta = json_pack("{s:o}", "snapshot.json", describe(snapshot));
        else
                meta = json_deep_copy(json_object_get(present->signed_part, "meta"));
        return make(publication, TUF_ROLE_TIMESTAMP, "meta", meta, error);
}

/* In this order, and the timestamp last: until it is replaced, no reader knows of the others. */
static int write_all(const Publication *publication, Error *error)
{
        static const TufRole order[] = { TUF_ROLE_TARGETS, TUF_ROLE_SNAPSHOT, TUF_ROLE_TIMESTAMP };

        for (size_t i = 0; i < ELEMENTS(order); i++) {
                const Made *made = &publication->made[order[i]];
                const char *name = tuf_role_name(order[i]);
                _cleanup_free_ char *file =
                                order[i] == TUF_ROLE_TIMESTAMP
                                                ? string_format("%s.json", name)
                                                : string_format("%llu.%s.json",
                                                                  (unsigned long long)made->version, name);
                int r;

                if (made->version == 0)
                        continue;
                if (!file)
                        return error_oom(error);
                r = repository_write_metadata(publication->repository, file, made->text, made->size, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What was written is now the present state. */
static int take_over(const Publication *publication, Error *error)
{
        Repository *repository = publication->repository;

        for (unsigned role = 0; role < TUF_ROLE_MAX; role++) {
                const Made *made = &publication->made[role];
                TufMetadata *metadata;
                int r;

                if (made->version == 0)
                        continue;
                r = tuf_metadata_parse(tuf_role_name((TufRole)role), (TufRole)role, made->text, made->size,
                                &metadata, error);
                if (r < 0)
                        return r;
                tuf_metadata_free(repository->roles[role]);
                repository->roles[role] = metadata;
                repository->is_revoked[role] = false;
        }
        repository->is_changed = false;
        return 0;
}

static int check_may_sign(const Publication *publication, const bool *is_wanted, Error *error)
{
        const Repository *repository = publication->repository;
        const TufMetadata *root = repository_root(repository);

        if (root->expires <= repository_now(publication->policy))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "the repository's root has expired, so that nobody would trust what it "
                                "vouches for; "
                                "publish the next root first");
        for (unsigned role = TUF_ROLE_TIMESTAMP; role < TUF_ROLE_MAX; role++) {
                int r;

                if (repository->is_revoked[role] &&
                                !(publication->policy && publication->policy->resign_revoked))
                        return error_set(error, ERROR_UNTRUSTED, EKEYREVOKED,
                                        "the keys that signed the %s metadata were revoked; look at what it "
                                        "lists, then "
                                        "sign it anew with --resign",
                                        tuf_role_name((TufRole)role));
                r = is_wanted[role] ? tuf_document_can_sign((TufRole)role, &root->signers[role],
                                                      publication->keys, error)
                                    : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int publish(Publication *publication, bool with_targets, bool with_snapshot, Error *error)
{
        const bool is_wanted[TUF_ROLE_MAX] = { [TUF_ROLE_TIMESTAMP] = true,
                [TUF_ROLE_SNAPSHOT] = with_snapshot,
                [TUF_ROLE_TARGETS] = with_targets };
        int r;

        if (publication->repository->lock_fd < 0)
                return error_set(error, ERROR_FAILED, EROFS, "the repository was opened to read only");
        r = check_may_sign(publication, is_wanted, error);
        if (r >= 0 && with_targets)
                r = make_targets(publication, error);
        if (r >= 0 && with_snapshot)
                r = make_snapshot(publication, error);
        if (r >= 0)
                r = make_timestamp(publication, error);
        if (r >= 0)
                r = write_all(publication, error);
        return r < 0 ? r : take_over(publication, error);
}

int repository_can_publish(
                Repository *repository, KeyRing *keys, const RepositoryPolicy *policy, Error *error)
{
        static const bool is_wanted[TUF_ROLE_MAX] = {
                [TUF_ROLE_TIMESTAMP] = true, [TUF_ROLE_SNAPSHOT] = true, [TUF_ROLE_TARGETS] = true
        };
        const Publication publication = { .repository = repository, .keys = keys, .policy = policy };

        return check_may_sign(&publication, is_wanted, error);
}

int repository_publish(Repository *repository, KeyRing *keys, const RepositoryPolicy *policy, Error *error)
{
        _cleanup_(publication_done) Publication publication = {
                .repository = repository, .keys = keys, .policy = policy
        };
        bool with_targets = repository->is_changed || !repository->roles[TUF_ROLE_TARGETS] ||
                            repository->is_revoked[TUF_ROLE_TARGETS];
        bool with_snapshot = with_targets || repository->is_revoked[TUF_ROLE_SNAPSHOT];

        if (!with_snapshot && !repository->is_revoked[TUF_ROLE_TIMESTAMP])
                return 0;
        return publish(&publication, with_targets, with_snapshot, error);
}

/* Whether less than half of the lifetime that the policy gives is left. */
static bool is_past_half(const Repository *repository, TufRole role, const RepositoryPolicy *policy)
{
        return repository->roles[role]->expires - repository_now(policy) <
               (int64_t)(lifetime(policy, role) / 2);
}

int repository_refresh(Repository *repository, KeyRing *keys, const RepositoryPolicy *policy, Error *error)
{
        _cleanup_(publication_done) Publication publication = {
                .repository = repository, .keys = keys, .policy = policy
        };
        bool with_targets, with_snapshot;

        if (!repository->roles[TUF_ROLE_TIMESTAMP])
                return repository_publish(repository, keys, policy, error);
        with_targets = repository->is_changed || repository->is_revoked[TUF_ROLE_TARGETS];
        with_snapshot = with_targets || repository->is_revoked[TUF_ROLE_SNAPSHOT] ||
                        is_past_half(repository, TUF_ROLE_SNAPSHOT, policy);
        return publish(&publication, with_targets, with_snapshot, error);
}

int repository_resign_targets(
                Repository *repository, KeyRing *keys, const RepositoryPolicy *policy, Error *error)
{
        _cleanup_(publication_done) Publication publication = {
                .repository = repository, .keys = keys, .policy = policy
        };

        return publish(&publication, true, true, error);
}
