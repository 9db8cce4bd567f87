/* SPDX-License-Identifier: Apache-2.0 */
#include "pcr-policy.h"

#include "hex.h"

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#define PCR_NUMBER 11
#define STUB_MARK "#### LoaderInfo: systemd-stub "
#define STUB_VERSION 252
#define SIGNATURE_MAX 2048

static void extend(uint8_t value[static SHA256_SIZE], const void *data, size_t size)
{
        uint8_t pair[2 * SHA256_SIZE];

        memcpy(pair, value, SHA256_SIZE);
        sha256_of(data, size, pair + SHA256_SIZE);
        sha256_of(pair, sizeof(pair), value);
}

void pcr_policy_extend(uint8_t value[static SHA256_SIZE], const char *word)
{
        extend(value, word, strlen(word));
}

static int check_stub(const UkiParts *parts, Error *error)
{
        const char *mark = memmem(parts->stub, parts->stub_size, STUB_MARK, strlen(STUB_MARK));
        const char *end = (const char *)parts->stub + parts->stub_size;
        unsigned version = 0;

        if (mark)
                for (mark += strlen(STUB_MARK);
                                mark < end && *mark >= '0' && *mark <= '9' && version < 100000; mark++)
                        version = 10 * version + (unsigned)(*mark - '0');
        if (version == STUB_VERSION)
                return 0;
        return error_set(error, ERROR_INCOMPATIBLE, EPROTONOSUPPORT,
                        "what systemd-stub %u measures into register %d is not known here, only what %d "
                        "does; build "
                        "with that, or without a PCR key",
                        version, PCR_NUMBER, STUB_VERSION);
}

/* Of each section that is there its name, NUL included, and its bytes, in the stub's order, which is not
 * that of the file. It does not know .uname. */
int pcr_policy_measure(const UkiParts *parts, uint8_t ret[static SHA256_SIZE], Error *error)
{
        const struct {
                const char *name;
                const void *data;
                size_t size;
        } sections[] = {
                { ".linux", parts->kernel, parts->kernel_size },
                { ".osrel", parts->osrel, parts->osrel_size },
                { ".cmdline", parts->cmdline, parts->cmdline_size },
                { ".initrd", parts->initrd, parts->initrd_size },
                { ".pcrpkey", parts->pcr_public_key,
                                parts->pcr_public_key ? strlen(parts->pcr_public_key) : 0 },
        };
        int r = check_stub(parts, error);

        if (r < 0)
                return r;
        memset(ret, 0, SHA256_SIZE);
        for (size_t i = 0; i < ELEMENTS(sections); i++) {
                if (sections[i].size == 0)
                        continue;
                extend(ret, sections[i].name, strlen(sections[i].name) + 1);
                extend(ret, sections[i].data, sections[i].size);
        }
        return 0;
}

/* The policy that a TPM computes: TPM2_PolicyPCR of one register, in a fresh session. */
static void make_policy(const uint8_t value[static SHA256_SIZE], uint8_t ret[static SHA256_SIZE])
{
        /* TPM_CC_PolicyPCR; one selection: SHA-256, three bytes of bits, of which the register's is set. */
        static const uint8_t command[] = { 0, 0, 1, 0x7f, 0, 0, 0, 1, 0, 0x0b, 3, 0, 1 << (PCR_NUMBER - 8),
                0 };
        uint8_t text[SHA256_SIZE + sizeof(command) + SHA256_SIZE] = { 0 };

        memcpy(text + SHA256_SIZE, command, sizeof(command));
        sha256_of(value, SHA256_SIZE, text + SHA256_SIZE + sizeof(command));
        sha256_of(text, sizeof(text), ret);
}

static int sign_policy(
                EVP_PKEY *key, const uint8_t policy[static SHA256_SIZE], char ret[static 2 * SIGNATURE_MAX])
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        uint8_t signature[SIGNATURE_MAX];
        size_t size = sizeof(signature);
        bool is_signed = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                         EVP_DigestSign(context, signature, &size, policy, SHA256_SIZE) == 1;

        EVP_MD_CTX_free(context);
        if (!is_signed)
                return -EIO;
        (void)EVP_EncodeBlock((uint8_t *)ret, signature, (int)size);
        return 0;
}

/* Of the key's ASN.1 form (PKCS#1). */
static int fingerprint(EVP_PKEY *key, char ret[static SHA256_HEX_SIZE])
{
        uint8_t *der = NULL;
        int size = i2d_PublicKey(key, &der);

        if (size >= 0)
                sha256_hex_of(der, (size_t)size, ret);
        OPENSSL_free(der);
        return size < 0 ? -EIO : 0;
}

static int add_phase(
                json_t *array, EVP_PKEY *key, const uint8_t value[static SHA256_SIZE], const char *key_hash)
{
        char policy_hex[SHA256_HEX_SIZE], signature[2 * SIGNATURE_MAX];
        uint8_t policy[SHA256_SIZE];
        int r;

        make_policy(value, policy);
        hex_encode(policy, SHA256_SIZE, policy_hex);
        r = sign_policy(key, policy, signature);
        if (r < 0)
                return r;
        return json_array_append_new(array, json_pack("{s:[i], s:s, s:s, s:s}", "pcrs", PCR_NUMBER, "pkfp",
                                                            key_hash, "pol", policy_hex, "sig", signature)) <
                                               0
                               ? -ENOMEM
                               : 0;
}

int pcr_policy_sign(EVP_PKEY *key, const uint8_t first[static SHA256_SIZE], char **ret, Error *error)
{
        static const char *const words[] = { "sysinit", "ready" };
        json_t *array = json_array(), *json = json_pack("{s:o}", "sha256", array);
        char key_hash[SHA256_HEX_SIZE];
        uint8_t value[SHA256_SIZE];
        int r = json ? 0 : -ENOMEM;

        memcpy(value, first, SHA256_SIZE);
        if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
                r = error_set(error, ERROR_CONFIG, ENOTSUP,
                                "the PCR key is not an RSA key, which is what systemd unseals with; "
                                "\"bascule-image keys secure-boot\" makes one");
        if (r >= 0)
                r = fingerprint(key, key_hash);
        if (r >= 0)
                r = add_phase(array, key, value, key_hash);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(words); i++) {
                pcr_policy_extend(value, words[i]);
                r = add_phase(array, key, value, key_hash);
        }
        if (r >= 0 && !(*ret = json_dumps(json, JSON_COMPACT)))
                r = -ENOMEM;
        json_decref(json);
        if (r == -EIO)
                return error_set(error, ERROR_FAILED, EIO, "cannot sign with the PCR key: %s",
                                ERR_reason_error_string(ERR_get_error()) ?: "OpenSSL does not say why");
        return r == -ENOMEM ? error_oom(error) : r;
}

int pcr_policy_public_key(EVP_PKEY *key, char **ret, Error *error)
{
        BIO *bio = BIO_new(BIO_s_mem());
        char *text = NULL, *copy = NULL;

        if (bio && PEM_write_bio_PUBKEY(bio, key)) {
                long size = BIO_get_mem_data(bio, &text);

                copy = strndup(text, (size_t)size);
        }
        BIO_free(bio);
        if (!copy)
                return error_oom(error);
        *ret = copy;
        return 0;
}
