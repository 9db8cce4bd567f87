/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "hex.h"
#include "tuf-client-internal.h"

#include <string.h>

/* At most TUF_DELEGATIONS_MAX roles are visited, so of each role's delegations only so many can matter. */
#define CHILDREN_MAX (TUF_DELEGATIONS_MAX + 1)
#define STACK_MAX (CHILDREN_MAX * (TUF_DELEGATIONS_MAX + 1))

/* A role yet to be visited, and the metadata that delegates to it. */
typedef struct Visit {
        const TufDelegation *delegation;
        const TufMetadata *delegator;
} Visit;

typedef struct Search {
        TufClient *client;
        const char *path;
        const char *visited[TUF_DELEGATIONS_MAX];
        size_t visited_count;
        Visit stack[STACK_MAX];
        size_t stack_size;
} Search;

void tuf_client_forget_delegated(TufClient *client)
{
        for (size_t i = 0; i < client->delegated_count; i++) {
                free(client->delegated[i].name);
                tuf_metadata_free(client->delegated[i].metadata);
        }
        client->delegated_count = 0;
}

/* A role that an earlier search brought need not be read again, but what makes it trusted is the delegation
 * that leads to it now, not the one that led to it then. */
static int load_delegated(TufClient *client, const Visit *visit, TufMetadata **ret, Error *error)
{
        const TufDelegation *delegation = visit->delegation;
        TufDelegated *slot;
        int r;

        for (size_t i = 0; i < client->delegated_count; i++) {
                slot = &client->delegated[i];
                if (strcmp(slot->name, delegation->name) != 0)
                        continue;
                *ret = slot->metadata;
                return tuf_verify(delegation->name, slot->metadata, &visit->delegator->keys,
                                &delegation->signers, error);
        }
        slot = &client->delegated[client->delegated_count];
        slot->name = strdup(delegation->name);
        if (!slot->name)
                return error_oom(error);
        r = tuf_client_load_targets(client, delegation->name, &visit->delegator->keys, &delegation->signers,
                        &slot->metadata, error);
        if (r < 0) {
                free(slot->name);
                return r;
        }
        client->delegated_count++;
        *ret = slot->metadata;
        return 0;
}

static bool is_visited(const Search *search, const char *name)
{
        for (size_t i = 0; i < search->visited_count; i++)
                if (strcmp(search->visited[i], name) == 0)
                        return true;
        return false;
}

/* Puts the delegations of a role that are for the target on the stack, the first on top. Below a terminating
 * one nothing else counts, neither of this role nor of those before it. */
static void push_delegations(Search *search, const TufMetadata *delegator)
{
        const TufDelegation *children[CHILDREN_MAX];
        size_t count = 0;

        for (size_t i = 0; i < delegator->delegation_count && count < CHILDREN_MAX; i++) {
                const TufDelegation *delegation = &delegator->delegations[i];

                if (!tuf_delegation_matches(delegation, search->path))
                        continue;
                if (!is_visited(search, delegation->name))
                        children[count++] = delegation;
                if (delegation->is_terminating) {
                        search->stack_size = 0;
                        break;
                }
        }
        while (count > 0)
                search->stack[search->stack_size++] = (Visit){ children[--count], delegator };
}

static int new_target(const Search *search, uint64_t size_bytes, const TufHashes *hashes, TufTarget **ret,
                Error *error)
{
        _cleanup_(tuf_target_freep) TufTarget *target = calloc(1, sizeof(*target));
        const char *slash = strrchr(search->path, '/');
        const char *name = slash ? slash + 1 : search->path;
        char digits[2 * TUF_SHA512_SIZE + 1];

        if (hashes->has_unknown)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "target \"%s\" is listed with a kind of hash that this version does not "
                                "know",
                                search->path);
        if (!target)
                return error_oom(error);
        *target = (TufTarget){
                .size_bytes = size_bytes, .has_sha256 = hashes->has_sha256, .has_sha512 = hashes->has_sha512
        };
        memcpy(target->sha256, hashes->sha256, sizeof(target->sha256));
        memcpy(target->sha512, hashes->sha512, sizeof(target->sha512));
        hex_encode(hashes->has_sha256 ? hashes->sha256 : hashes->sha512,
                        hashes->has_sha256 ? sizeof(hashes->sha256) : sizeof(hashes->sha512), digits);
        target->path = strdup(search->path);
        if (search->client->trusted[TUF_ROLE_ROOT]->is_consistent_snapshot)
                target->download_path = string_format(
                                "%.*s%s.%s", (int)(name - search->path), search->path, digits, name);
        else
                target->download_path = strdup(search->path);
        if (!target->path || !target->download_path)
                return error_oom(error);
        *ret = TAKE_PTR(target);
        return 0;
}

/* One role: its own list first, then its delegations. 1 when the target was found. */
static int visit_metadata(Search *search, const TufMetadata *metadata, TufTarget **ret, Error *error)
{
        uint64_t size_bytes;
        TufHashes hashes;
        int r = tuf_targets_find(metadata, search->path, &size_bytes, &hashes);

        if (r == -ENOENT) {
                push_delegations(search, metadata);
                return 0;
        }
        if (r >= 0)
                r = new_target(search, size_bytes, &hashes, ret, error);
        return r < 0 ? r : 1;
}

static int search_depth_first(Search *search, TufTarget **ret, Error *error)
{
        int r = visit_metadata(search, search->client->trusted[TUF_ROLE_TARGETS], ret, error);

        while (r == 0 && search->stack_size > 0 && search->visited_count < TUF_DELEGATIONS_MAX) {
                Visit visit = search->stack[--search->stack_size];
                TufMetadata *metadata = NULL;

                if (is_visited(search, visit.delegation->name))
                        continue;
                search->visited[search->visited_count++] = visit.delegation->name;
                r = load_delegated(search->client, &visit, &metadata, error);
                if (r < 0)
                        return error_prefix(error, r, "looking for target \"%s\"", search->path);
                r = visit_metadata(search, metadata, ret, error);
        }
        return r;
}

int tuf_client_find_target(TufClient *client, const char *path, TufTarget **ret, Error *error)
{
        _cleanup_free_ Search *search = NULL;
        int r;

        if (!client->trusted[TUF_ROLE_TARGETS])
                return error_set(
                                error, ERROR_UNTRUSTED, EBADMSG, "there is no trusted targets metadata yet");
        if (client->delegated_count > TUF_DELEGATIONS_MAX)
                tuf_client_forget_delegated(client);
        search = calloc(1, sizeof(*search));
        if (!search)
                return error_oom(error);
        search->client = client;
        search->path = path;
        r = search_depth_first(search, ret, error);
        if (r == 0)
                return error_set(error, ERROR_UNTRUSTED, ENOENT, "no trusted role lists the target \"%s\"",
                                path);
        return r < 0 ? r : 0;
}

TufTarget *tuf_target_free(TufTarget *target)
{
        if (target) {
                free(target->path);
                free(target->download_path);
                free(target);
        }
        return NULL;
}

int tuf_target_verify(const TufTarget *target, const void *data, size_t size, Error *error)
{
        TufHashes hashes = { .has_sha256 = target->has_sha256, .has_sha512 = target->has_sha512 };

        memcpy(hashes.sha256, target->sha256, sizeof(hashes.sha256));
        memcpy(hashes.sha512, target->sha512, sizeof(hashes.sha512));
        if (size != target->size_bytes)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "\"%s\" is %zu bytes long where %llu are signed for", target->path, size,
                                (unsigned long long)target->size_bytes);
        if (!tuf_hashes_match(&hashes, data, size))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "\"%s\" does not have the hashes that are signed for it", target->path);
        return 0;
}
