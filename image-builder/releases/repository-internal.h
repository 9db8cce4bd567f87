/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the repository share. */

#include "repository.h"
#include "tuf-metadata.h"

#define REPOSITORY_ROOTS_MAX 1024
#define TARGET_PATH_MAX 512

struct Repository {
        char *path, *metadata_path;
        int lock_fd;
        TufMetadata **roots; /* the chain, oldest first; the last is the present one */
        size_t root_count;
        TufMetadata *roles[TUF_ROLE_MAX]; /* but root; NULL while never signed */
        bool is_revoked[TUF_ROLE_MAX];    /* vouched for by an earlier root only */
        json_t *targets;                  /* the "targets" object as it will be published */
        bool is_changed;                  /* it differs from what is published */
        RepositoryTarget *list;           /* of `targets`, sorted; file names owned */
        size_t list_count;
};

const TufMetadata *repository_root(const Repository *repository);

/* Fills `list` from `targets` again. */
int repository_list_targets(Repository *repository, Error *error);

/* metadata/NAME. */
int repository_write_metadata(
                const Repository *repository, const char *name, const void *data, size_t size, Error *error);

/* "targets/DIR/SHA256.NAME"; NULL when out of memory. */
char *repository_target_file(const char *target_path, const char *sha256);

/* The time the policy says it is. */
int64_t repository_now(const RepositoryPolicy *policy);

/* Checks new root metadata against the present root, and itself. */
int repository_check_root(const TufMetadata *present, const TufMetadata *next, Error *error);
