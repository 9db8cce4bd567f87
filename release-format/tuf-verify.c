/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf-metadata.h"

#include <string.h>

static const char *find_signature(const TufMetadata *document, const char *keyid)
{
        for (size_t i = 0; i < json_array_size(document->signatures); i++) {
                const json_t *signature = json_array_get(document->signatures, i);

                if (strcmp(json_string_value(json_object_get(signature, "keyid")), keyid) == 0)
                        return json_string_value(json_object_get(signature, "sig"));
        }
        return NULL;
}

/* The same public key can be listed under two keyids, by way of members that we do not know. */
static bool is_counted(const TufKey *const *counted, uint64_t count, const TufKey *key)
{
        for (uint64_t i = 0; i < count; i++)
                if (tuf_key_equal(counted[i], key))
                        return true;
        return false;
}

int tuf_verify(const char *what, const TufMetadata *document, const TufKeys *keys, const TufSigners *signers,
                Error *error)
{
        _cleanup_free_ const TufKey **counted = calloc(signers->count + 1, sizeof(*counted));
        uint64_t good = 0;

        if (!counted)
                return error_oom(error);
        for (size_t i = 0; i < signers->count && good < signers->threshold; i++) {
                const TufKey *key = tuf_keys_find(keys, signers->keyids[i]);
                const char *signature = find_signature(document, signers->keyids[i]);

                if (key && signature && !is_counted(counted, good, key) &&
                                tuf_key_verify(key, document->canonical.data, document->canonical.size,
                                                signature))
                        counted[good++] = key;
        }
        /* A threshold of 0 cannot be parsed; should one get here, it must not mean "no signature needed". */
        if (signers->threshold == 0 || good < signers->threshold)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "%s is signed by %llu of its keys, but its threshold is %llu", what,
                                (unsigned long long)good, (unsigned long long)signers->threshold);
        return 0;
}
