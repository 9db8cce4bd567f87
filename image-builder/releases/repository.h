/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writing a release repository: a folder of static files that is a TUF repository (specification 1.0.34,
 * section 6; docs/formats-metadata.md) with consistent snapshots:
 *
 *     metadata/N.root.json  metadata/N.targets.json  metadata/N.snapshot.json  metadata/timestamp.json
 *     targets/DIR/SHA256.NAME
 *
 * A client that reads while it is written sees either what was there or what comes, whole: files are put
 * beside the old ones under names that nobody asks for yet, in the order targets, targets.json,
 * snapshot.json, timestamp.json, and the last of these is the one step that publishes. Nothing that a reader
 * of an earlier snapshot could still ask for is removed, but by repository_prune().
 *
 * What is in the folder is believed only as far as its signatures go: opening verifies the whole chain of
 * metadata from the first root that is in the folder (or a given one) with the client's own code. Expired
 * metadata can be opened, as that is when it must be signed again. */

#include "keys.h"

/* Default lifetimes in seconds, from the moment of signing. */
#define REPOSITORY_ROOT_LIFETIME (UINT64_C(365) * 86400)
#define REPOSITORY_TARGETS_LIFETIME (UINT64_C(90) * 86400)
#define REPOSITORY_SNAPSHOT_LIFETIME (UINT64_C(30) * 86400)
#define REPOSITORY_TIMESTAMP_LIFETIME (UINT64_C(7) * 86400)

typedef struct Repository Repository;

/* When signatures are made and how long they hold. */
typedef struct RepositoryPolicy {
        int64_t now;                             /* seconds since 1970; 0: the clock */
        uint64_t lifetime_seconds[TUF_ROLE_MAX]; /* 0: the default above */
        bool resign_revoked; /* sign anew what only revoked keys vouch for; look at what it lists first */
} RepositoryPolicy;

/* Makes the folder with nothing in it but the root metadata of a key folder (every N.root.json). -EEXIST
 * when it already is a repository. The first repository_publish() makes the rest. */
int repository_create(const char *path, const char *keys_folder, Error *error);

/* Opens a repository to read or change it. At most one process can have it open to write: -EBUSY with
 * ERROR_BUSY. -ENOENT with ERROR_FAILED when there is none. */
int repository_open(const char *path, bool for_writing, Repository **ret, Error *error);

/* Unlocks. Changes that were not published leave at most files that no metadata names. */
Repository *repository_free(Repository *repository);
DEFINE_CLEANUP(Repository *, repository_free)

/* Puts a target in, or replaces it: hashed, then hard-linked where possible (so leave the source as it is),
 * else copied. `target_path` is relative, with '/' between, without empty, "." or ".." parts. Replacing a
 * target by the same bytes is no change. */
int repository_add_file(
                Repository *repository, const char *target_path, const char *source_path, Error *error);

/* The same from memory. */
int repository_add_data(Repository *repository, const char *target_path, const void *data, size_t size,
                Error *error);

/* Takes a target out of the list; its file stays for readers of the present snapshot. -ENOENT when it is not
 * listed. */
int repository_remove_target(Repository *repository, const char *target_path, Error *error);

/* Reads a target as it would be published now, length and hash checked. -ENOENT with ERROR_FAILED when it is
 * not listed; -E2BIG when longer than cap_bytes. *ret is NUL-terminated and freed by the caller. */
int repository_read_target(const Repository *repository, const char *target_path, size_t cap_bytes,
                char **ret, size_t *ret_size, Error *error);

/* What the (changed) targets.json lists, in byte order of the path. */
typedef struct RepositoryTarget {
        const char *path; /* borrowed */
        uint64_t size_bytes;
        uint8_t sha256[32];
        const char *file; /* relative to the repository: "targets/DIR/SHA256.NAME"; borrowed */
} RepositoryTarget;
size_t repository_target_count(const Repository *repository);
const RepositoryTarget *repository_target(const Repository *repository, size_t number);
/* NULL when it is not listed. */
const RepositoryTarget *repository_find_target(const Repository *repository, const char *target_path);

/* Whether the present root still vouches for a role's metadata. If it does not, since a root that revoked
 * keys was published, clients stand still until the role is signed anew with
 * RepositoryPolicy.resign_revoked. */
bool repository_is_revoked(const Repository *repository, TufRole role);

/* Version and time of expiry of a role's metadata as it is on disk. -ENOENT while it was never signed. */
int repository_role(const Repository *repository, TufRole role, uint64_t *ret_version, int64_t *ret_expires);

/* Whether repository_publish() could sign changed targets, for those who want to know before they do long
 * work: the same errors. Works on a repository that is open to read, too. */
int repository_can_publish(
                Repository *repository, KeyRing *keys, const RepositoryPolicy *policy, Error *error);

/* Signs what changed and publishes it. Needs enough keys in the ring to reach the thresholds of targets (if
 * targets changed, or were never signed), snapshot and timestamp: otherwise -ENOKEY with ERROR_UNTRUSTED,
 * and nothing is published. -EKEYREVOKED with ERROR_UNTRUSTED when a role must be signed anew and the policy
 * does not say so. `policy` may be NULL. Does nothing if nothing changed. */
int repository_publish(Repository *repository, KeyRing *keys, const RepositoryPolicy *policy, Error *error);

/* Signs a new timestamp, and a new snapshot when the present one is past half of its lifetime, whether or
 * not anything changed. What cron calls. */
int repository_refresh(Repository *repository, KeyRing *keys, const RepositoryPolicy *policy, Error *error);

/* Signs targets, snapshot and timestamp anew although nothing changed, to prolong them. */
int repository_resign_targets(
                Repository *repository, KeyRing *keys, const RepositoryPolicy *policy, Error *error);

/* Publishes the next root (from the ceremony: `keys root-next`, `sign`): verified against the present one,
 * and its own keys, then put in as metadata/N.root.json. */
int repository_add_root(Repository *repository, const void *data, size_t size, Error *error);

/* Removes metadata and target files that the present metadata does not name and that are older than
 * `grace_seconds`, so that readers of an earlier snapshot are done. Roots stay for ever. */
int repository_prune(Repository *repository, uint64_t grace_seconds, size_t *ret_removed, Error *error);

/* Opens, then checks as a client would, starting from each root that is in the folder in turn, at time `now`
 * (0: the clock): the whole chain, expiry, and length and hash of every target file. */
int repository_verify(const char *path, int64_t now, size_t *ret_targets, Error *error);
