/* SPDX-License-Identifier: Apache-2.0 */
#include "hex.h"
#include "json.h"
#include "pcr-policy.h"
#include "test.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static const char stub[] = "MZ...#### LoaderInfo: systemd-stub 252.39-1~deb12u2 ####...";

static UkiParts sample_parts(void)
{
        return (UkiParts){ .stub = stub,
                .stub_size = sizeof(stub),
                .kernel = "a\n",
                .kernel_size = 2,
                .osrel = "b\n",
                .osrel_size = 2,
                .cmdline = "c\n",
                .cmdline_size = 2,
                .initrd = "d\n",
                .initrd_size = 2,
                .pcr_public_key = "key\n" };
}

/* What systemd-measure 252 says of the same five files, for the phases ":", "sysinit" and "sysinit:ready".
 */
static const char register_hex[] = "455033799c7d68df36875e9d7e90d4652ce44d1ea1f3096e1dbbbb301d145451";
static const char *const policies[] = { "791199f44bbcaf675723a77b9de4f7ae05dc2eb267a6ca5e037d857594dc55a4",
        "72be0301994e3b49d336185b1b1efc335df291df22db5ea10cbde1839b67c808",
        "609b6f6a84e2d4c743a984b7605c1c025f169d996bdb4bfe8872fb53d42dea72" };

TEST(the_register_is_what_systemd_measure_says)
{
        UkiParts parts = sample_parts();
        uint8_t value[SHA256_SIZE];
        char hex[SHA256_HEX_SIZE];

        CHECK_OK(pcr_policy_measure(&parts, value, NULL));
        hex_encode(value, SHA256_SIZE, hex);
        CHECK_STR(hex, register_hex);
        parts.release = "6.1.0"; /* a section that this stub does not measure */
        parts.pcr_signature = "{}";
        CHECK_OK(pcr_policy_measure(&parts, value, NULL));
        hex_encode(value, SHA256_SIZE, hex);
        CHECK_STR(hex, register_hex);
        parts.cmdline = "x\n";
        CHECK_OK(pcr_policy_measure(&parts, value, NULL));
        hex_encode(value, SHA256_SIZE, hex);
        CHECK(strcmp(hex, register_hex) != 0);
}

TEST(a_stub_that_is_not_known_is_refused)
{
        static const char *const bad[] = { "MZ", "#### LoaderInfo: systemd-stub 253.1 ####",
                "#### LoaderInfo: systemd-stub ", "#### LoaderInfo: systemd-stub 99999999999999999999 ####",
                "#### LoaderInfo: systemd-boot 252.1 ####" };
        UkiParts parts = sample_parts();
        uint8_t value[SHA256_SIZE];

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                Error error = { 0 };

                parts.stub = bad[i];
                parts.stub_size = strlen(bad[i]);
                if (pcr_policy_measure(&parts, value, &error) >= 0 || error.code != ERROR_INCOMPATIBLE)
                        TEST_FAIL("accepted number %zu", i);
        }
}

static bool is_signed(EVP_PKEY *key, const char *policy_hex, const char *signature_text)
{
        uint8_t policy[SHA256_SIZE], signature[1024];
        int size = EVP_DecodeBlock(signature, (const uint8_t *)signature_text, (int)strlen(signature_text));
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool is_good = size >= 256 && hex_decode(policy_hex, policy, SHA256_SIZE) >= 0 &&
                       EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                       EVP_DigestVerify(context, signature, 256, policy, SHA256_SIZE) == 1;

        EVP_MD_CTX_free(context);
        return is_good;
}

TEST(each_phase_is_signed)
{
        EVP_PKEY *key = EVP_RSA_gen(2048);
        _cleanup_free_ char *text = NULL, *again = NULL;
        _cleanup_json_ json_t *json = NULL;
        uint8_t first[SHA256_SIZE], *der = NULL;
        char key_hash[SHA256_HEX_SIZE];
        int size = i2d_PublicKey(key, &der);
        json_t *array;

        CHECK(size > 0);
        sha256_hex_of(der, (size_t)size, key_hash);
        OPENSSL_free(der);
        CHECK_OK(hex_decode(register_hex, first, SHA256_SIZE));
        CHECK_OK(pcr_policy_sign(key, first, &text, NULL));
        CHECK_OK(pcr_policy_sign(key, first, &again, NULL));
        CHECK_STR(text, again);
        CHECK_OK(json_parse(text, strlen(text), KIB * 64, "policy", &json, NULL));
        array = json_object_get(json, "sha256");
        CHECK_EQ(json_array_size(array), 3);
        for (size_t i = 0; i < 3; i++) {
                const json_t *item = json_array_get(array, i);

                CHECK_EQ(json_integer_value(json_array_get(json_object_get(item, "pcrs"), 0)), 11);
                CHECK_STR(json_string_value(json_object_get(item, "pkfp")), key_hash);
                CHECK_STR(json_string_value(json_object_get(item, "pol")), policies[i]);
                CHECK(is_signed(key, policies[i], json_string_value(json_object_get(item, "sig"))));
        }
        EVP_PKEY_free(key);
}

TEST(a_key_that_systemd_cannot_use_is_refused)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        uint8_t first[SHA256_SIZE] = { 0 };
        Error error = { 0 };
        char *text = NULL;

        CHECK_EQ(pcr_policy_sign(key, first, &text, &error), -ENOTSUP);
        CHECK_EQ(error.code, ERROR_CONFIG);
        EVP_PKEY_free(key);
}

TEST_MAIN
