/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "tuf-metadata-internal.h"

#include <string.h>

int tuf_parse_signers(const json_t *object, TufSigners *ret, Error *error)
{
        json_t *keyids;
        uint64_t threshold;
        const char **strings;
        int r = json_get_array(object, "keyids", &keyids, error);

        if (r >= 0)
                r = tuf_get_positive(object, "threshold", &threshold, error);
        if (r >= 0)
                r = tuf_collect_distinct(keyids, NULL, TUF_KEYS_MAX, "keyid", &strings, error);
        if (r < 0)
                return r;
        *ret = (TufSigners){ .keyids = strings, .count = json_array_size(keyids), .threshold = threshold };
        return 0;
}

int tuf_parse_keys(const json_t *object, TufKeys *ret, Error *error)
{
        json_t *keys;
        int r = json_get_object(object, "keys", &keys, error);

        if (r < 0)
                return r;
        if (json_object_size(keys) > TUF_KEYS_MAX)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "more than %d keys", TUF_KEYS_MAX);
        ret->entries = calloc(json_object_size(keys) + 1, sizeof(*ret->entries));
        if (!ret->entries)
                return error_oom(error);
        for (void *i = json_object_iter(keys); i; i = json_object_iter_next(keys, i)) {
                TufKeyEntry *entry = &ret->entries[ret->count];

                entry->keyid = json_object_iter_key(i);
                r = tuf_key_parse(entry->keyid, json_object_iter_value(i), &entry->key, error);
                if (r < 0)
                        return r;
                ret->count++;
        }
        return 0;
}

const TufKey *tuf_keys_find(const TufKeys *keys, const char *keyid)
{
        for (size_t i = 0; i < keys->count; i++)
                if (strcmp(keys->entries[i].keyid, keyid) == 0)
                        return keys->entries[i].key;
        return NULL;
}

bool tuf_signers_lost_key(const TufSigners *before, const TufSigners *after)
{
        for (size_t i = 0; i < before->count; i++) {
                bool is_there = false;

                for (size_t j = 0; j < after->count && !is_there; j++)
                        is_there = strcmp(before->keyids[i], after->keyids[j]) == 0;
                if (!is_there)
                        return true;
        }
        return false;
}

static int parse_roles(TufMetadata *metadata, Error *error)
{
        json_t *roles;
        int r = json_get_object(metadata->signed_part, "roles", &roles, error);

        for (unsigned role = 0; role < TUF_ROLE_MAX && r >= 0; role++) {
                json_t *object;

                r = json_get_object(roles, tuf_role_name((TufRole)role), &object, error);
                if (r >= 0)
                        r = tuf_parse_signers(object, &metadata->signers[role], error);
                if (r < 0)
                        return error_prefix(error, r, "role %s", tuf_role_name((TufRole)role));
        }
        return r;
}

int tuf_parse_root(TufMetadata *metadata, Error *error)
{
        const json_t *consistent = json_object_get(metadata->signed_part, "consistent_snapshot");
        int r;

        if (consistent && !json_is_boolean(consistent))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "member \"consistent_snapshot\" is not a boolean");
        metadata->is_consistent_snapshot = json_is_true(consistent);
        r = tuf_parse_keys(metadata->signed_part, &metadata->keys, error);
        return r < 0 ? r : parse_roles(metadata, error);
}
