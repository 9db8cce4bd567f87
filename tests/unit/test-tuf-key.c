/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "test.h"
#include "tuf-key.h"
#include "tuf-sign.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

static const char message[] = "what is signed";

static void pkey_freep(EVP_PKEY **key)
{
        EVP_PKEY_free(*key);
}

/* Both halves of a new key. */
static int make_pair(TufKeyType type, EVP_PKEY **ret_private, json_t **ret_object, TufKey **ret_public)
{
        char keyid[SHA256_HEX_SIZE];
        int r = tuf_key_generate(type, ret_private, NULL);

        if (r >= 0)
                r = tuf_key_object(*ret_private, ret_object, NULL);
        if (r >= 0)
                r = tuf_key_id(*ret_object, keyid, NULL);
        return r < 0 ? r : tuf_key_parse(keyid, *ret_object, ret_public, NULL);
}

TEST(verifies_its_own_signature_and_no_other)
{
        _cleanup_(pkey_freep) EVP_PKEY *other_private = NULL;
        _cleanup_(tuf_key_freep) TufKey *other = NULL;
        _cleanup_json_ json_t *other_object = NULL;

        CHECK_OK(make_pair(TUF_KEY_ED25519, &other_private, &other_object, &other));
        for (TufKeyType type = TUF_KEY_ED25519; type < TUF_KEY_TYPE_MAX; type++) {
                _cleanup_(pkey_freep) EVP_PKEY *private = NULL;
                _cleanup_(tuf_key_freep) TufKey *public = NULL;
                _cleanup_json_ json_t *object = NULL;
                _cleanup_free_ char *signature = NULL;

                CHECK_OK(make_pair(type, &private, &object, &public));
                CHECK_OK(tuf_sign(private, message, sizeof(message), &signature, NULL));
                CHECK(tuf_key_verify(public, message, sizeof(message), signature));
                CHECK(!tuf_key_verify(other, message, sizeof(message), signature));
                CHECK(!tuf_key_verify(public, message, sizeof(message) - 1, signature));
                CHECK(!tuf_key_verify(public, message, 0, signature));
                CHECK(tuf_key_equal(public, public));
                CHECK(!tuf_key_equal(public, other));
        }
}

TEST(takes_no_damaged_signature)
{
        _cleanup_(pkey_freep) EVP_PKEY *private = NULL;
        _cleanup_(tuf_key_freep) TufKey *public = NULL;
        _cleanup_json_ json_t *object = NULL;
        _cleanup_free_ char *signature = NULL;
        char huge[2 * TUF_SIGNATURE_MAX + 3];
        size_t length;

        CHECK_OK(make_pair(TUF_KEY_ED25519, &private, &object, &public));
        CHECK_OK(tuf_sign(private, message, sizeof(message), &signature, NULL));
        length = strlen(signature);
        for (size_t i = 0; i < length * 8; i++) {
                signature[i / 8] ^= (char)(1 << i % 8);
                CHECK(!tuf_key_verify(public, message, sizeof(message), signature));
                signature[i / 8] ^= (char)(1 << i % 8);
        }
        CHECK(tuf_key_verify(public, message, sizeof(message), signature));
        signature[length - 2] = 0;
        CHECK(!tuf_key_verify(public, message, sizeof(message), signature));
        CHECK(!tuf_key_verify(public, message, sizeof(message), ""));
        CHECK(!tuf_key_verify(public, message, sizeof(message), "0"));
        CHECK(!tuf_key_verify(public, message, sizeof(message), "zz"));
        memset(huge, '0', sizeof(huge) - 1);
        huge[sizeof(huge) - 1] = 0;
        CHECK(!tuf_key_verify(public, message, sizeof(message), huge));
}

/* RFC 8032, section 7.1, test 2. */
TEST(agrees_with_the_published_vector_of_ed25519)
{
        static const char public[] = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        _cleanup_json_ json_t *object = json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ed25519", "scheme",
                        "ed25519", "keyval", "public", public);
        _cleanup_(tuf_key_freep) TufKey *key = NULL;
        char keyid[SHA256_HEX_SIZE];

        CHECK_OK(tuf_key_id(object, keyid, NULL));
        CHECK_OK(tuf_key_parse(keyid, object, &key, NULL));
        CHECK(tuf_key_verify(key, "\x72", 1,
                        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"));
}

TEST(insists_that_a_keyid_is_the_hash_of_its_key)
{
        _cleanup_(pkey_freep) EVP_PKEY *private = NULL;
        _cleanup_(tuf_key_freep) TufKey *public = NULL, *again = NULL;
        _cleanup_json_ json_t *object = NULL;
        char keyid[SHA256_HEX_SIZE];
        Error error = { 0 };

        CHECK_OK(make_pair(TUF_KEY_ED25519, &private, &object, &public));
        CHECK_OK(tuf_key_id(object, keyid, NULL));
        keyid[63] = keyid[63] == '0' ? '1' : '0';
        CHECK_EQ(tuf_key_parse(keyid, object, &again, &error), -EBADMSG);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK_OK(tuf_key_id(object, keyid, NULL));
        for (char *p = keyid; *p; p++)
                *p = (char)toupper(*p);
        CHECK_EQ(tuf_key_parse(keyid, object, &again, NULL), -EBADMSG);
        CHECK_EQ(tuf_key_parse("", object, &again, NULL), -EBADMSG);
}

/* Members that nobody knows are part of the key object and so of the keyid, but not of the key. */
TEST(counts_unknown_members_in_the_keyid_but_not_in_the_key)
{
        _cleanup_(pkey_freep) EVP_PKEY *private = NULL;
        _cleanup_(tuf_key_freep) TufKey *public = NULL, *again = NULL;
        _cleanup_json_ json_t *object = NULL;
        char before[SHA256_HEX_SIZE], after[SHA256_HEX_SIZE];

        CHECK_OK(make_pair(TUF_KEY_ED25519, &private, &object, &public));
        CHECK_OK(tuf_key_id(object, before, NULL));
        CHECK_EQ(json_object_set_new(object, "extra", json_integer(1)), 0);
        CHECK_OK(tuf_key_id(object, after, NULL));
        CHECK(strcmp(before, after) != 0);
        CHECK_EQ(tuf_key_parse(before, object, &again, NULL), -EBADMSG);
        CHECK_OK(tuf_key_parse(after, object, &again, NULL));
        CHECK(tuf_key_equal(public, again));
}

static json_t *key_object(const char *type, const char *scheme, const char *public)
{
        return json_pack("{s:s, s:s, s:{s:s}}", "keytype", type, "scheme", scheme, "keyval", "public",
                        public);
}

/* Such keys may be listed; they just never verify anything. */
TEST(a_key_it_cannot_use_verifies_nothing)
{
        static const char *const odd[][3] = {
                { "ed25519", "ed25519", "00" },
                { "ed25519", "ed25519", "" },
                { "ed25519", "other", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c" },
                { "other", "ed25519", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c" },
                { "rsa", "rsassa-pss-sha256", "not PEM" },
                { "rsa", "rsassa-pss-sha256",
                                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" },
                { "ecdsa", "ecdsa-sha2-nistp256",
                                "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
                                "AES-128-CBC,00\n\nAAAA\n-----END "
                                "PUBLIC KEY-----\n" },
        };

        for (size_t i = 0; i < ELEMENTS(odd); i++) {
                _cleanup_json_ json_t *object = key_object(odd[i][0], odd[i][1], odd[i][2]);
                _cleanup_(tuf_key_freep) TufKey *key = NULL;
                char keyid[SHA256_HEX_SIZE];

                CHECK_OK(tuf_key_id(object, keyid, NULL));
                CHECK_OK(tuf_key_parse(keyid, object, &key, NULL));
                CHECK(!tuf_key_verify(key, "\x72", 1,
                                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"));
                CHECK(!tuf_key_equal(key, key));
        }
}

static char *public_pem(EVP_PKEY *key)
{
        BIO *bio = BIO_new(BIO_s_mem());
        char *data, *text;
        long size;

        (void)PEM_write_bio_PUBKEY(bio, key);
        size = BIO_get_mem_data(bio, &data);
        text = strndup(data, (size_t)size);
        BIO_free(bio);
        return text;
}

TEST(takes_neither_short_rsa_nor_another_curve)
{
        _cleanup_(pkey_freep) EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
        _cleanup_(pkey_freep) EVP_PKEY *curve = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
        EVP_PKEY *keys[] = { rsa, curve };

        for (size_t i = 0; i < ELEMENTS(keys); i++) {
                _cleanup_free_ char *pem = public_pem(keys[i]), *signature = NULL;
                _cleanup_json_ json_t *listed = i == 0 ? key_object("rsa", "rsassa-pss-sha256", pem)
                                                       : key_object("ecdsa", "ecdsa-sha2-nistp256", pem);
                _cleanup_(tuf_key_freep) TufKey *key = NULL;
                char keyid[SHA256_HEX_SIZE];
                json_t *object = NULL;

                CHECK_EQ(tuf_key_object(keys[i], &object, NULL), -ENOTSUP);
                CHECK_OK(tuf_key_id(listed, keyid, NULL));
                CHECK_OK(tuf_key_parse(keyid, listed, &key, NULL));
                CHECK_OK(tuf_sign(keys[i], message, sizeof(message), &signature, NULL));
                CHECK(!tuf_key_verify(key, message, sizeof(message), signature));
        }
}

TEST(refuses_what_is_no_key_object)
{
        static const char *const bad[] = { "[]", "{}", "{\"keytype\":1,\"scheme\":\"a\",\"keyval\":{}}",
                "{\"keytype\":\"a\",\"keyval\":{}}",
                "{\"keytype\":\"a\",\"scheme\":\"a\",\"keyval\":\"\"}" };

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                _cleanup_json_ json_t *object = NULL;
                char keyid[SHA256_HEX_SIZE];
                TufKey *key;

                CHECK_OK(json_parse(bad[i], strlen(bad[i]), 100, "key", &object, NULL));
                CHECK_OK(tuf_key_id(object, keyid, NULL));
                CHECK_EQ(tuf_key_parse(keyid, object, &key, NULL), -EBADMSG);
        }
}

TEST_MAIN
