/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf-document.h"

#include "canonical-json.h"
#include "json.h"
#include "utc.h"

#include <string.h>

#define SPEC_VERSION "1.0.34"

int tuf_document_new(TufRole role, uint64_t version, int64_t expires, json_t **ret, Error *error)
{
        char text[UTC_TEXT_MAX];
        json_t *part;

        if (utc_format(expires, text) < 0)
                return error_set(error, ERROR_CONFIG, ERANGE, "the time of expiry is beyond the year 9999");
        part = json_pack("{s:s, s:s, s:I, s:s}", "_type", tuf_role_name(role), "spec_version", SPEC_VERSION,
                        "version", (json_int_t)version, "expires", text);
        if (!part)
                return error_oom(error);
        *ret = part;
        return 0;
}

int tuf_document_can_sign(TufRole role, const TufSigners *signers, const KeyRing *ring, Error *error)
{
        uint64_t count = 0;

        for (size_t i = 0; i < signers->count; i++)
                count += key_ring_has(ring, signers->keyids[i]) ? 1 : 0;
        if (count < signers->threshold)
                return error_set(error, ERROR_UNTRUSTED, ENOKEY,
                                "%s metadata needs %llu signatures, but only %llu of its keys are here",
                                tuf_role_name(role), (unsigned long long)signers->threshold,
                                (unsigned long long)count);
        return 0;
}

static void remove_signature(json_t *signatures, const char *keyid)
{
        for (size_t i = 0; i < json_array_size(signatures); i++) {
                const char *other =
                                json_string_value(json_object_get(json_array_get(signatures, i), "keyid"));

                if (other && strcmp(other, keyid) == 0)
                        (void)json_array_remove(signatures, i--);
        }
}

int tuf_document_add_signature(json_t *document, const char *keyid, KeyRing *ring, Error *error)
{
        _cleanup_buffer_ Buffer canonical = BUFFER_WITH_CAP(TUF_METADATA_MAX);
        json_t *signatures = json_object_get(document, "signatures");
        _cleanup_free_ char *signature = NULL;
        int r = canonical_json_append(&canonical, json_object_get(document, "signed"), error);

        if (r >= 0)
                r = key_ring_sign(ring, keyid, canonical.data, canonical.size, &signature, error);
        if (r < 0)
                return r;
        remove_signature(signatures, keyid);
        if (json_array_append_new(signatures, json_pack("{s:s, s:s}", "keyid", keyid, "sig", signature)) < 0)
                return error_oom(error);
        return 0;
}

int tuf_document_text(const json_t *document, char **ret, size_t *ret_size, Error *error)
{
        char *text = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);

        if (!text)
                return error_oom(error);
        *ret = text;
        *ret_size = strlen(text);
        return 0;
}

int tuf_document_sign(json_t *signed_part, TufRole role, const TufSigners *signers, KeyRing *ring,
                char **ret, size_t *ret_size, Error *error)
{
        _cleanup_json_ json_t *document = NULL;
        int r = tuf_document_can_sign(role, signers, ring, error);

        if (r < 0)
                return r;
        document = json_pack("{s:O, s:[]}", "signed", signed_part, "signatures");
        if (!document)
                return error_oom(error);
        for (size_t i = 0; i < signers->count && r >= 0; i++)
                if (key_ring_has(ring, signers->keyids[i]))
                        r = tuf_document_add_signature(document, signers->keyids[i], ring, error);
        return r < 0 ? r : tuf_document_text(document, ret, ret_size, error);
}
