/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What tests of clients begin with: a repository that the producer made, with one target, and a folder of
 * trusted metadata. */

#include "ceremony.h"
#include "file.h"
#include "repository.h"

#include <fcntl.h>

typedef struct Place {
        char folder[64], keys[80], repo[80], metadata[96], trusted[80];
        Repository *repository;
        KeyRing *ring;
} Place;

static inline void place_done(Place *place)
{
        repository_free(place->repository);
        key_ring_free(place->ring);
        (void)tree_remove(AT_FDCWD, place->folder);
}

static inline int copy_root(const Place *place)
{
        _cleanup_free_ char *from = path_join(place->keys, "1.root.json"),
                            *to = path_join(place->trusted, "root.json");
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = file_read(AT_FDCWD, from, TUF_ROOT_MAX, &text, &size);

        return r < 0 ? r : file_replace(AT_FDCWD, to, text, size, 0644);
}

/* A published repository with the target "dir/a", and a folder of trusted metadata with root 1. */
static inline int place_make(Place *place)
{
        const CeremonyOptions options = { 0 };
        int r;

        *place = (Place){ 0 };
        (void)snprintf(place->folder, sizeof(place->folder), "/tmp/test-tuf-XXXXXX");
        if (!mkdtemp(place->folder))
                return -errno;
        (void)snprintf(place->keys, sizeof(place->keys), "%s/keys", place->folder);
        (void)snprintf(place->repo, sizeof(place->repo), "%s/repo", place->folder);
        (void)snprintf(place->metadata, sizeof(place->metadata), "%s/repo/metadata", place->folder);
        (void)snprintf(place->trusted, sizeof(place->trusted), "%s/trusted", place->folder);
        r = ceremony_init(place->keys, &options, NULL);
        if (r >= 0)
                r = repository_create(place->repo, place->keys, NULL);
        if (r >= 0)
                r = repository_open(place->repo, true, &place->repository, NULL);
        if (r >= 0)
                r = key_ring_load(place->keys, NULL, &place->ring, NULL);
        if (r >= 0)
                r = repository_add_data(place->repository, "dir/a", "one", 3, NULL);
        if (r >= 0)
                r = repository_publish(place->repository, place->ring, NULL, NULL);
        if (r >= 0)
                r = directory_make(AT_FDCWD, place->trusted, 0755);
        return r < 0 ? r : copy_root(place);
}

/* A second root, so that one is fetched; if told so, with another timestamp key, by which the timestamp is
 * not signed. */
static inline int add_root(Place *place, bool has_new_timestamp_key)
{
        const CeremonyOptions options = { 0 };
        _cleanup_free_ char *path = path_join(place->keys, CEREMONY_DRAFT), *text = NULL;
        _cleanup_(root_draft_freep) RootDraft *draft = NULL;
        SigningState state;
        size_t size;
        int r = root_draft_open(place->keys, &options, &draft, NULL);

        if (r >= 0 && has_new_timestamp_key)
                r = root_draft_make_key(draft, TUF_ROLE_TIMESTAMP, &options, NULL);
        if (r >= 0 && has_new_timestamp_key)
                r = root_draft_remove_old_keys(draft, TUF_ROLE_TIMESTAMP, NULL);
        if (r >= 0)
                r = root_draft_save(draft, NULL);
        if (r >= 0)
                r = root_file_sign(path, place->ring, &state, NULL);
        if (r >= 0)
                r = root_draft_publish(place->keys, &text, &size, NULL);
        return r < 0 ? r : repository_add_root(place->repository, text, size, NULL);
}
