/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "hex.h"
#include "json.h"
#include "tuf-metadata-internal.h"

#include <openssl/evp.h>
#include <string.h>

static int parse_hash(const char *name, const json_t *value, TufHashes *ret, Error *error)
{
        const char *digits = json_string_value(value);

        if (!digits)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "hash \"%.32s\" is not a string", name);
        if (strcmp(name, "sha256") == 0)
                ret->has_sha256 = hex_decode(digits, ret->sha256, sizeof(ret->sha256)) >= 0;
        else if (strcmp(name, "sha512") == 0)
                ret->has_sha512 = hex_decode(digits, ret->sha512, sizeof(ret->sha512)) >= 0;
        else {
                ret->has_unknown = true;
                return 0;
        }
        if (name[3] == '2' ? !ret->has_sha256 : !ret->has_sha512)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "hash \"%s\" is not hexadecimal of its length", name);
        return 0;
}

int tuf_parse_hashes(const json_t *object, TufHashes *ret, Error *error)
{
        TufHashes hashes = { 0 };
        json_t *unconst = (json_t *)object;

        if (json_object_size(object) == 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "an empty list of hashes");
        for (void *i = json_object_iter(unconst); i; i = json_object_iter_next(unconst, i)) {
                int r = parse_hash(json_object_iter_key(i), json_object_iter_value(i), &hashes, error);

                if (r < 0)
                        return r;
        }
        *ret = hashes;
        return 0;
}

static bool digest_matches(const char *algorithm, const void *data, size_t size, const uint8_t *expected)
{
        uint8_t digest[EVP_MAX_MD_SIZE];
        size_t length = 0;

        return EVP_Q_digest(NULL, algorithm, NULL, data, size, digest, &length) == 1 &&
               memcmp(digest, expected, length) == 0;
}

bool tuf_hashes_match(const TufHashes *hashes, const void *data, size_t size)
{
        if (hashes->has_unknown || (!hashes->has_sha256 && !hashes->has_sha512))
                return false;
        return (!hashes->has_sha256 || digest_matches("SHA256", data, size, hashes->sha256)) &&
               (!hashes->has_sha512 || digest_matches("SHA512", data, size, hashes->sha512));
}

int tuf_parse_file_info(const json_t *object, TufFileInfo *ret, Error *error)
{
        TufFileInfo info = { .has_size = json_object_get(object, "length") != NULL,
                .has_hashes = json_object_get(object, "hashes") != NULL };
        json_t *hashes;
        int r = tuf_get_positive(object, "version", &info.version, error);

        if (r >= 0 && info.has_size)
                r = tuf_get_positive(object, "length", &info.size_bytes, error);
        if (r >= 0 && info.has_hashes) {
                r = json_get_object(object, "hashes", &hashes, error);
                if (r >= 0)
                        r = tuf_parse_hashes(hashes, &info.hashes, error);
        }
        if (r >= 0)
                *ret = info;
        return r;
}

int tuf_file_info_check(
                const char *what, const TufFileInfo *info, const void *data, size_t size, Error *error)
{
        if (info->has_size && size != info->size_bytes)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "%s is %zu bytes long where %llu are signed for", what, size,
                                (unsigned long long)info->size_bytes);
        if (info->has_hashes && !tuf_hashes_match(&info->hashes, data, size))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "%s does not have the hashes that are signed for it", what);
        return 0;
}

int tuf_parse_timestamp(TufMetadata *metadata, Error *error)
{
        json_t *meta, *object;
        int r = json_get_object(metadata->signed_part, "meta", &meta, error);

        if (r >= 0)
                r = json_get_object(meta, "snapshot.json", &object, error);
        if (r < 0)
                return r;
        if (json_object_size(meta) != 1)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "it describes more than snapshot.json");
        return tuf_parse_file_info(object, &metadata->snapshot, error);
}

int tuf_parse_snapshot(TufMetadata *metadata, Error *error)
{
        json_t *meta, *targets;
        int r = json_get_object(metadata->signed_part, "meta", &meta, error);

        if (r >= 0)
                r = json_get_object(meta, "targets.json", &targets, error);
        if (r < 0)
                return r;
        for (void *i = json_object_iter(meta); i; i = json_object_iter_next(meta, i)) {
                TufFileInfo info;

                r = tuf_parse_file_info(json_object_iter_value(i), &info, error);
                if (r < 0)
                        return error_prefix(error, r, "\"%.64s\"", json_object_iter_key(i));
        }
        return 0;
}

int tuf_snapshot_find(const TufMetadata *snapshot, const char *name, TufFileInfo *ret)
{
        _cleanup_free_ char *file = string_format("%s.json", name);
        const json_t *info;

        if (!file)
                return -ENOMEM;
        info = json_object_get(json_object_get(snapshot->signed_part, "meta"), file);
        return info ? tuf_parse_file_info(info, ret, NULL) : -ENOENT;
}
