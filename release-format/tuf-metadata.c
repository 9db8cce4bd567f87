/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf-metadata.h"

#include "canonical-json.h"
#include "json.h"
#include "tuf-metadata-internal.h"
#include "utc.h"

#include <string.h>

int tuf_get_positive(const json_t *object, const char *name, uint64_t *ret, Error *error)
{
        uint64_t value;
        int r = json_get_u64(object, name, &value, error);

        if (r < 0)
                return r;
        if (value == 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "member \"%s\" is 0", name);
        *ret = value;
        return 0;
}

/* "1.N" or "1.N.N": the same major version. */
static bool is_known_spec_version(const char *text)
{
        unsigned parts = 1;

        if (strncmp(text, "1.", 2) != 0)
                return false;
        for (const char *p = text; *p; p++) {
                if (*p == '.')
                        parts++;
                else if (*p < '0' || *p > '9')
                        return false;
                if (*p == '.' && (p[1] < '0' || p[1] > '9'))
                        return false;
        }
        return parts <= 3;
}

static int parse_common(TufMetadata *metadata, Error *error)
{
        const json_t *part = metadata->signed_part;
        const char *type, *spec, *expires;
        int r = json_get_string(part, "_type", &type, error);

        if (r >= 0 && strcmp(type, tuf_role_name(metadata->role)) != 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "its type is \"%.32s\", not \"%s\"", type,
                                tuf_role_name(metadata->role));
        if (r >= 0)
                r = json_get_string(part, "spec_version", &spec, error);
        if (r >= 0 && !is_known_spec_version(spec))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "specification version \"%.32s\" is not 1.x", spec);
        if (r >= 0)
                r = tuf_get_positive(part, "version", &metadata->version, error);
        if (r >= 0)
                r = json_get_string(part, "expires", &expires, error);
        if (r >= 0 && utc_parse(expires, &metadata->expires) < 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "expires \"%.32s\", which is not a time",
                                expires);
        return r;
}

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int tuf_collect_distinct(const json_t *array, const char *member, size_t max, const char *kind,
                const char ***ret, Error *error)
{
        size_t count = json_array_size(array);
        _cleanup_free_ const char **strings = NULL;

        if (count > max)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "more than %zu %ss", max, kind);
        strings = calloc(count + 1, sizeof(*strings));
        if (!strings)
                return error_oom(error);
        for (size_t i = 0; i < count; i++) {
                const json_t *item = json_array_get(array, i);
                const json_t *value = member ? json_object_get(item, member) : item;

                if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
                        return error_set(error, ERROR_UNTRUSTED, EBADMSG, "a %s is not a string", kind);
                strings[i] = json_string_value(value);
        }
        qsort(strings, count, sizeof(*strings), compare_strings);
        for (size_t i = 1; i < count; i++)
                if (strcmp(strings[i - 1], strings[i]) == 0)
                        return error_set(error, ERROR_UNTRUSTED, EBADMSG, "%s \"%.64s\" is there twice",
                                        kind, strings[i]);
        *ret = TAKE_PTR(strings);
        return 0;
}

static int parse_signatures(TufMetadata *metadata, Error *error)
{
        _cleanup_free_ const char **keyids = NULL;
        json_t *signatures;
        int r = json_get_array(metadata->document, "signatures", &signatures, error);

        if (r >= 0)
                r = tuf_collect_distinct(signatures, "keyid", TUF_SIGNATURES_MAX, "signature's keyid",
                                &keyids, error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_array_size(signatures); i++) {
                const char *text;

                r = json_get_string(json_array_get(signatures, i), "sig", &text, error);
                if (r < 0)
                        return r;
        }
        metadata->signatures = signatures;
        return 0;
}

static int parse_envelope(TufMetadata *metadata, const void *data, size_t size, Error *error)
{
        json_t *part;
        int r = json_parse(data, size, TUF_METADATA_MAX, "the file", &metadata->document, error);

        if (r >= 0)
                r = json_get_object(metadata->document, "signed", &part, error);
        if (r >= 0)
                r = parse_signatures(metadata, error);
        if (r < 0)
                return r;
        metadata->signed_part = part;
        metadata->canonical = BUFFER_WITH_CAP(TUF_METADATA_MAX);
        return canonical_json_append(&metadata->canonical, part, error);
}

int tuf_metadata_parse(const char *what, TufRole role, const void *data, size_t size, TufMetadata **ret,
                Error *error)
{
        static int (*const parse_body[TUF_ROLE_MAX])(TufMetadata *, Error *) = {
                [TUF_ROLE_ROOT] = tuf_parse_root,
                [TUF_ROLE_TIMESTAMP] = tuf_parse_timestamp,
                [TUF_ROLE_SNAPSHOT] = tuf_parse_snapshot,
                [TUF_ROLE_TARGETS] = tuf_parse_targets,
        };
        _cleanup_(tuf_metadata_freep) TufMetadata *metadata = calloc(1, sizeof(*metadata));
        int r;

        if (!metadata)
                return error_oom(error);
        metadata->role = role;
        r = parse_envelope(metadata, data, size, error);
        if (r >= 0)
                r = parse_common(metadata, error);
        if (r >= 0)
                r = parse_body[role](metadata, error);
        if (r < 0)
                return error_prefix(error, r, "%s", what);
        *ret = TAKE_PTR(metadata);
        return 0;
}

TufMetadata *tuf_metadata_free(TufMetadata *metadata)
{
        if (!metadata)
                return NULL;
        for (size_t i = 0; i < metadata->keys.count; i++)
                tuf_key_free(metadata->keys.entries[i].key);
        free(metadata->keys.entries);
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++)
                free(metadata->signers[role].keyids);
        for (size_t i = 0; i < metadata->delegation_count; i++)
                free(metadata->delegations[i].signers.keyids);
        free(metadata->delegations);
        json_decref(metadata->document);
        buffer_done(&metadata->canonical);
        free(metadata);
        return NULL;
}
