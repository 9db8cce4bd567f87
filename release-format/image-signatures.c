/* SPDX-License-Identifier: Apache-2.0 */
#include "image-signatures.h"

#include "hex.h"
#include "json.h"

#include <string.h>

int image_signatures_add(ImageSignatures *signatures, const void *data, size_t size)
{
        ImageSignature *item = &signatures->items[signatures->count];

        if (signatures->count >= IMAGE_SIGNATURES_MAX || size == 0 || size > IMAGE_SIGNATURE_MAX)
                return -E2BIG;
        item->data = malloc(size);
        if (!item->data)
                return -ENOMEM;
        memcpy(item->data, data, size);
        item->size = size;
        signatures->count++;
        return 0;
}

void image_signatures_done(ImageSignatures *signatures)
{
        for (size_t i = 0; i < signatures->count; i++)
                free(signatures->items[i].data);
        *signatures = (ImageSignatures){ 0 };
}

static int refuse(Error *error, const char *rule)
{
        return error_set(error, ERROR_UNTRUSTED, EBADMSG, "member \"secure-boot\": %s", rule);
}

static int parse_signature(const json_t *json, ImageSignatures *ret, Error *error)
{
        _cleanup_free_ uint8_t *data = NULL;
        const char *text = json_string_value(json);
        size_t size = text ? strlen(text) / 2 : 0;
        int r;

        if (size == 0 || size > IMAGE_SIGNATURE_MAX)
                return refuse(error, "a signature is no text, or has an impossible size");
        data = malloc(size);
        if (!data)
                return error_oom(error);
        if (hex_decode(text, data, size) < 0)
                return refuse(error, "a signature is not in hexadecimal");
        r = image_signatures_add(ret, data, size);
        return r == -ENOMEM ? error_oom(error) : r < 0 ? refuse(error, "there are too many signatures") : 0;
}

int image_signatures_parse(const json_t *json, ImageSignatures *ret, Error *error)
{
        _cleanup_(image_signatures_done) ImageSignatures signatures = { .is_known = true };
        json_t *array;
        int r = json_get_hex(json, "digest", signatures.digest, SHA256_SIZE, error);

        if (r >= 0)
                r = json_get_array(json, "signatures", &array, error);
        for (size_t i = 0; r >= 0 && i < json_array_size(array); i++)
                r = parse_signature(json_array_get(array, i), &signatures, error);
        if (r < 0)
                return r;
        *ret = signatures;
        signatures = (ImageSignatures){ 0 };
        return 0;
}

json_t *image_signatures_json(const ImageSignatures *signatures)
{
        json_t *array = json_array();
        char digest[SHA256_HEX_SIZE];

        for (size_t i = 0; array && i < signatures->count; i++) {
                const ImageSignature *item = &signatures->items[i];
                _cleanup_free_ char *hex = malloc(2 * item->size + 1);

                if (hex)
                        hex_encode(item->data, item->size, hex);
                if (!hex || json_array_append_new(array, json_string(hex)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        }
        hex_encode(signatures->digest, SHA256_SIZE, digest);
        return array ? json_pack("{s:s, s:o}", "digest", digest, "signatures", array) : NULL;
}
