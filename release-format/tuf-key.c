/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf-key.h"

#include "canonical-json.h"
#include "hex.h"
#include "json.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#define KEY_OBJECT_MAX (64 * KIB)
#define ED25519_KEY_SIZE 32
#define RSA_BITS_MIN 2048

struct TufKey {
        EVP_PKEY *public; /* NULL: verifies nothing */
        bool is_pss;
};

typedef struct Scheme {
        const char *keytype;
        const char *scheme;
        EVP_PKEY *(*read)(const char *text);
        bool is_pss;
} Scheme;

static void bio_freep(BIO **bio)
{
        BIO_free(*bio);
}

static void md_ctx_freep(EVP_MD_CTX **context)
{
        EVP_MD_CTX_free(*context);
}

static EVP_PKEY *read_ed25519(const char *text)
{
        uint8_t raw[ED25519_KEY_SIZE];

        if (hex_decode(text, raw, sizeof(raw)) < 0)
                return NULL;
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, sizeof(raw));
}

/* OpenSSL would ask on the terminal for the passphrase of a PEM block that says it is encrypted. */
static int no_passphrase(_unused_ char *buffer, _unused_ int size, _unused_ int writing, _unused_ void *data)
{
        return -1;
}

static EVP_PKEY *read_pem(const char *text)
{
        _cleanup_(bio_freep) BIO *bio = BIO_new_mem_buf(text, -1);

        return bio ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;
}

static EVP_PKEY *read_ecdsa(const char *text)
{
        EVP_PKEY *key = read_pem(text);
        char group[32] = "";

        if (key && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) &&
                        strcmp(group, "prime256v1") == 0)
                return key;
        EVP_PKEY_free(key);
        return NULL;
}

static EVP_PKEY *read_rsa(const char *text)
{
        EVP_PKEY *key = read_pem(text);

        if (key && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= RSA_BITS_MIN)
                return key;
        EVP_PKEY_free(key);
        return NULL;
}

static const Scheme schemes[] = {
        { "ed25519", "ed25519", read_ed25519, false },
        { "ecdsa", "ecdsa-sha2-nistp256", read_ecdsa, false },
        { "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", read_ecdsa, false },
        { "rsa", "rsassa-pss-sha256", read_rsa, true },
};

static const Scheme *find_scheme(const char *keytype, const char *scheme)
{
        for (size_t i = 0; i < ELEMENTS(schemes); i++)
                if (strcmp(schemes[i].keytype, keytype) == 0 && strcmp(schemes[i].scheme, scheme) == 0)
                        return &schemes[i];
        return NULL;
}

int tuf_key_id(const json_t *object, char ret[static SHA256_HEX_SIZE], Error *error)
{
        _cleanup_buffer_ Buffer buffer = BUFFER_WITH_CAP(KEY_OBJECT_MAX);
        int r = canonical_json_append(&buffer, object, error);

        if (r < 0)
                return r;
        sha256_hex_of(buffer.data, buffer.size, ret);
        return 0;
}

static int check_keyid(const char *keyid, const json_t *object, Error *error)
{
        char own[SHA256_HEX_SIZE];
        int r = tuf_key_id(object, own, error);

        if (r < 0)
                return r;
        if (strcmp(own, keyid) != 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "keyid %.64s is not the hash of its key, %s", keyid, own);
        return 0;
}

int tuf_key_parse(const char *keyid, const json_t *object, TufKey **ret, Error *error)
{
        const char *keytype, *name, *public;
        const Scheme *scheme;
        json_t *value;
        TufKey *key;
        int r;

        if (!json_is_object(object))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "key %.64s is not an object", keyid);
        r = json_get_string(object, "keytype", &keytype, error);
        if (r >= 0)
                r = json_get_string(object, "scheme", &name, error);
        if (r >= 0)
                r = json_get_object(object, "keyval", &value, error);
        if (r >= 0)
                r = check_keyid(keyid, object, error);
        if (r < 0)
                return r;
        key = calloc(1, sizeof(*key));
        if (!key)
                return error_oom(error);
        scheme = find_scheme(keytype, name);
        if (scheme && json_get_string(value, "public", &public, NULL) >= 0) {
                key->public = scheme->read(public);
                key->is_pss = scheme->is_pss;
        }
        *ret = key;
        return 0;
}

TufKey *tuf_key_free(TufKey *key)
{
        if (key) {
                EVP_PKEY_free(key->public);
                free(key);
        }
        return NULL;
}

static bool verify_bytes(
                const TufKey *key, const void *data, size_t size, const uint8_t *signature, size_t length)
{
        _cleanup_(md_ctx_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool is_ed25519 = EVP_PKEY_is_a(key->public, "ED25519");
        EVP_PKEY_CTX *parameters;

        if (!context || EVP_DigestVerifyInit(context, &parameters, is_ed25519 ? NULL : EVP_sha256(), NULL,
                                        key->public) != 1)
                return false;
        if (key->is_pss && (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
                                           EVP_PKEY_CTX_set_rsa_pss_saltlen(
                                                           parameters, RSA_PSS_SALTLEN_AUTO) != 1))
                return false;
        return EVP_DigestVerify(context, signature, length, data, size) == 1;
}

bool tuf_key_equal(const TufKey *a, const TufKey *b)
{
        return a->public && b->public && EVP_PKEY_eq(a->public, b->public) == 1;
}

/* Only lower case, so that one signature has one form and not a bit of a file can change unnoticed. */
bool tuf_key_verify(const TufKey *key, const void *data, size_t size, const char *signature_hex)
{
        uint8_t signature[TUF_SIGNATURE_MAX];
        size_t digits = strlen(signature_hex);

        if (!key->public || digits == 0 || digits % 2 != 0 || digits / 2 > sizeof(signature) ||
                        strspn(signature_hex, "0123456789abcdef") != digits ||
                        hex_decode(signature_hex, signature, digits / 2) < 0)
                return false;
        return verify_bytes(key, data, size, signature, digits / 2);
}

static char *public_pem(EVP_PKEY *key)
{
        _cleanup_(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
        char *data;
        long size;

        if (!bio || PEM_write_bio_PUBKEY(bio, key) != 1)
                return NULL;
        size = BIO_get_mem_data(bio, &data);
        return size > 0 ? strndup(data, (size_t)size) : NULL;
}

static char *public_hex(EVP_PKEY *key)
{
        uint8_t raw[ED25519_KEY_SIZE];
        size_t size = sizeof(raw);
        char *text;

        if (EVP_PKEY_get_raw_public_key(key, raw, &size) != 1 || size != sizeof(raw))
                return NULL;
        text = malloc(2 * sizeof(raw) + 1);
        if (text)
                hex_encode(raw, sizeof(raw), text);
        return text;
}

int tuf_key_object(EVP_PKEY *key, json_t **ret, Error *error)
{
        static const struct {
                const char *algorithm, *keytype, *scheme;
        } kinds[] = {
                { "ED25519", "ed25519", "ed25519" },
                { "EC", "ecdsa", "ecdsa-sha2-nistp256" },
                { "RSA", "rsa", "rsassa-pss-sha256" },
        };

        for (size_t i = 0; i < ELEMENTS(kinds); i++) {
                _cleanup_free_ char *text = NULL;
                EVP_PKEY *check;

                if (!EVP_PKEY_is_a(key, kinds[i].algorithm))
                        continue;
                text = i == 0 ? public_hex(key) : public_pem(key);
                check = text ? find_scheme(kinds[i].keytype, kinds[i].scheme)->read(text) : NULL;
                if (!check)
                        break;
                EVP_PKEY_free(check);
                *ret = json_pack("{s:s, s:s, s:{s:s}}", "keytype", kinds[i].keytype, "scheme",
                                kinds[i].scheme, "keyval", "public", text);
                return *ret ? 0 : error_oom(error);
        }
        return error_set(error, ERROR_CONFIG, ENOTSUP,
                        "the key is not ed25519, ECDSA on curve P-256, or RSA with at least %d bits",
                        RSA_BITS_MIN);
}
