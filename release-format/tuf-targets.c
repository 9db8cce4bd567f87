/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "path-pattern.h"
#include "tuf-metadata-internal.h"

#include <string.h>
#include <strings.h>

static int parse_target(const json_t *object, uint64_t *ret_size_bytes, TufHashes *ret_hashes, Error *error)
{
        json_t *hashes;
        int r = json_get_u64(object, "length", ret_size_bytes, error);

        if (r >= 0)
                r = json_get_object(object, "hashes", &hashes, error);
        return r < 0 ? r : tuf_parse_hashes(hashes, ret_hashes, error);
}

static int check_targets(const TufMetadata *metadata, Error *error)
{
        json_t *targets;
        int r = json_get_object(metadata->signed_part, "targets", &targets, error);

        if (r < 0)
                return r;
        for (void *i = json_object_iter(targets); i; i = json_object_iter_next(targets, i)) {
                uint64_t size_bytes;
                TufHashes hashes;

                r = parse_target(json_object_iter_value(i), &size_bytes, &hashes, error);
                if (r < 0)
                        return error_prefix(error, r, "target \"%.128s\"", json_object_iter_key(i));
        }
        return 0;
}

/* An array of strings. */
static int check_strings(const json_t *array, const char *name, Error *error)
{
        if (!json_is_array(array))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "member \"%s\" is not an array", name);
        for (size_t i = 0; i < json_array_size(array); i++) {
                const json_t *item = json_array_get(array, i);

                if (!json_is_string(item) || strlen(json_string_value(item)) != json_string_length(item))
                        return error_set(error, ERROR_UNTRUSTED, EBADMSG, "member \"%s\" holds no string",
                                        name);
        }
        return 0;
}

static int parse_reach(const json_t *object, TufDelegation *ret, Error *error)
{
        const json_t *terminating = json_object_get(object, "terminating");

        /* The specification's own example leaves it out. */
        if (terminating && !json_is_boolean(terminating))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "member \"terminating\" is not a boolean");
        ret->is_terminating = json_is_true(terminating);
        ret->paths = json_object_get(object, "paths");
        ret->hash_prefixes = json_object_get(object, "path_hash_prefixes");
        if (!ret->paths == !ret->hash_prefixes)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "exactly one of \"paths\" and \"path_hash_prefixes\" must be there");
        return ret->paths ? check_strings(ret->paths, "paths", error)
                          : check_strings(ret->hash_prefixes, "path_hash_prefixes", error);
}

static int parse_delegation(const json_t *object, TufDelegation *ret, Error *error)
{
        TufRole role;
        int r = json_get_string(object, "name", &ret->name, error);

        if (r < 0)
                return r;
        /* Stored under its name, such a role would replace a top-level one. */
        if (!ret->name[0] || tuf_role_from_name(ret->name, &role) >= 0)
                return error_set(
                                error, ERROR_UNTRUSTED, EBADMSG, "a role cannot be named \"%s\"", ret->name);
        r = parse_reach(object, ret, error);
        if (r >= 0)
                r = tuf_parse_signers(object, &ret->signers, error);
        return r < 0 ? error_prefix(error, r, "delegation to \"%.64s\"", ret->name) : 0;
}

static int parse_delegations(TufMetadata *metadata, const json_t *delegations, Error *error)
{
        _cleanup_free_ const char **names = NULL;
        json_t *roles;
        int r = tuf_parse_keys(delegations, &metadata->keys, error);

        if (r >= 0)
                r = json_get_array(delegations, "roles", &roles, error);
        if (r >= 0)
                r = tuf_collect_distinct(roles, "name", SIZE_MAX, "delegated role", &names, error);
        if (r < 0)
                return r;
        metadata->delegations = calloc(json_array_size(roles) + 1, sizeof(*metadata->delegations));
        if (!metadata->delegations)
                return error_oom(error);
        for (size_t i = 0; i < json_array_size(roles); i++) {
                metadata->delegation_count = i + 1;
                r = parse_delegation(json_array_get(roles, i), &metadata->delegations[i], error);
                if (r < 0)
                        return r;
        }
        return 0;
}

int tuf_parse_targets(TufMetadata *metadata, Error *error)
{
        const json_t *delegations = json_object_get(metadata->signed_part, "delegations");
        int r = check_targets(metadata, error);

        if (r < 0 || !delegations)
                return r;
        if (!json_is_object(delegations))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "member \"delegations\" is not an object");
        return parse_delegations(metadata, delegations, error);
}

int tuf_targets_find(const TufMetadata *targets, const char *path, uint64_t *ret_size_bytes,
                TufHashes *ret_hashes)
{
        const json_t *target = json_object_get(json_object_get(targets->signed_part, "targets"), path);

        return target ? parse_target(target, ret_size_bytes, ret_hashes, NULL) : -ENOENT;
}

bool tuf_delegation_matches(const TufDelegation *delegation, const char *path)
{
        char digest[SHA256_HEX_SIZE];

        for (size_t i = 0; i < json_array_size(delegation->paths); i++)
                if (path_pattern_matches(json_string_value(json_array_get(delegation->paths, i)), path))
                        return true;
        sha256_hex_of(path, strlen(path), digest);
        for (size_t i = 0; i < json_array_size(delegation->hash_prefixes); i++) {
                const char *prefix = json_string_value(json_array_get(delegation->hash_prefixes, i));

                if (strncasecmp(digest, prefix, strlen(prefix)) == 0)
                        return true;
        }
        return false;
}
