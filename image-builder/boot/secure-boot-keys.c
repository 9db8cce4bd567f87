/* SPDX-License-Identifier: Apache-2.0 */
#include "secure-boot-keys.h"

#include "efi-signatures.h"
#include "file.h"
#include "sha256.h"
#include "tuf-sign.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define RSA_BITS 2048 /* what every firmware takes */
#define LIFETIME_DAYS 10950
#define AUTH_MAX (64 * KIB)
#define TIME_SIZE 16
/* Non-volatile, for boot and run time, with a signature that carries a time. */
#define VARIABLE_ATTRIBUTES 0x27

const char *const secure_boot_variables[3] = { "db", "KEK", "PK" };

/* One of the three, while they are made. */
typedef struct Pair {
        const char *name;
        EVP_PKEY *key;
        X509 *certificate;
} Pair;

static void pair_done(Pair *pair)
{
        EVP_PKEY_free(pair->key);
        X509_free(pair->certificate);
}

static int crypto_failed(Error *error)
{
        return error_set(error, ERROR_FAILED, EIO, "OpenSSL cannot make the Secure Boot keys");
}

static bool add_extensions(X509 *certificate)
{
        static const struct {
                int kind;
                const char *value;
        } extensions[] = { { NID_basic_constraints, "critical,CA:TRUE" },
                { NID_subject_key_identifier, "hash" } };
        X509V3_CTX context;
        bool is_good = true;

        X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
        for (size_t i = 0; is_good && i < ELEMENTS(extensions); i++) {
                X509_EXTENSION *extension = X509V3_EXT_nconf_nid(
                                NULL, &context, extensions[i].kind, extensions[i].value);

                is_good = extension && X509_add_ext(certificate, extension, -1);
                X509_EXTENSION_free(extension);
        }
        return is_good;
}

/* Self-signed. Firmware does not look at the dates. */
static int make_certificate(Pair *pair, const SecureBootKeyOptions *options, time_t now, Error *error)
{
        _cleanup_free_ char *name = string_format(
                        "%s %s", options->common_name ? options->common_name : "Bascule", pair->name);
        X509 *certificate = X509_new();
        ASN1_INTEGER *serial = certificate ? X509_get_serialNumber(certificate) : NULL;
        BIGNUM *number = BN_new();
        bool is_good = name && certificate && number &&
                       BN_rand(number, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
                       BN_to_ASN1_INTEGER(number, serial) && X509_set_version(certificate, X509_VERSION_3) &&
                       X509_time_adj_ex(X509_getm_notBefore(certificate), 0, 0, &now) &&
                       X509_time_adj_ex(X509_getm_notAfter(certificate), LIFETIME_DAYS, 0, &now) &&
                       X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                       (const uint8_t *)name, -1, -1, 0) &&
                       X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) &&
                       X509_set_pubkey(certificate, pair->key) && add_extensions(certificate) &&
                       X509_sign(certificate, pair->key, EVP_sha256());

        BN_free(number);
        pair->certificate = certificate;
        return is_good ? 0 : crypto_failed(error);
}

static int write_pem(const char *path, X509 *certificate, Error *error)
{
        BIO *bio = BIO_new(BIO_s_mem());
        char *text = NULL;
        long size;
        int r = -ENOMEM;

        if (bio && PEM_write_bio_X509(bio, certificate)) {
                size = BIO_get_mem_data(bio, &text);
                r = file_replace(AT_FDCWD, path, text, (size_t)size, 0644);
        }
        BIO_free(bio);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

static int write_private(const char *folder, const char *name, EVP_PKEY *key,
                const SecureBootKeyOptions *options, Error *error)
{
        _cleanup_(passphrase_wipe) Buffer passphrase = BUFFER_WITH_CAP(TUF_PASSPHRASE_MAX);
        _cleanup_free_ char *path = string_format("%s/%s.pem", folder, name);
        int r = path ? 0 : error_oom(error);

        if (r >= 0 && options->is_encrypted)
                r = passphrase_get(options->passphrase, path, true, &passphrase, error);
        return r < 0 ? r
                     : tuf_private_key_write(path, key,
                                       options->is_encrypted ? (const char *)passphrase.data : NULL, error);
}

static int make_pair(const char *folder, Pair *pair, const SecureBootKeyOptions *options, time_t now,
                Error *error)
{
        _cleanup_free_ char *path = string_format("%s/%s.crt", folder, pair->name);
        int r;

        if (!path)
                return error_oom(error);
        pair->key = EVP_RSA_gen(RSA_BITS);
        r = pair->key ? make_certificate(pair, options, now, error) : crypto_failed(error);
        if (r >= 0)
                r = write_private(folder, pair->name, pair->key, options, error);
        return r < 0 ? r : write_pem(path, pair->certificate, error);
}

static int make_pcr_key(const char *folder, const SecureBootKeyOptions *options, Error *error)
{
        _cleanup_free_ char *path = string_format("%s/pcr.pub", folder);
        EVP_PKEY *key = path ? EVP_RSA_gen(RSA_BITS) : NULL;
        int r = key ? write_private(folder, "pcr", key, options, error) : crypto_failed(error);

        if (r >= 0)
                r = tuf_public_key_write(path, key, error);
        EVP_PKEY_free(key);
        return r;
}

/* ---- variables for enrolment: EFI_VARIABLE_AUTHENTICATION_2 (UEFI specification, section 8.2.2) ---- */

static int append_time(Buffer *buffer, time_t now)
{
        struct tm date = { 0 };
        uint8_t time[TIME_SIZE] = { 0 };

        (void)gmtime_r(&now, &date);
        time[0] = (uint8_t)(date.tm_year + 1900);
        time[1] = (uint8_t)((date.tm_year + 1900) >> 8);
        time[2] = (uint8_t)(date.tm_mon + 1);
        time[3] = (uint8_t)date.tm_mday;
        time[4] = (uint8_t)date.tm_hour;
        time[5] = (uint8_t)date.tm_min;
        time[6] = (uint8_t)date.tm_sec;
        return buffer_append(buffer, time, sizeof(time));
}

/* SignedData alone, without what says that it is that, as the specification has it. */
static int sign(const Pair *signer, const Buffer *data, Buffer *ret)
{
        BIO *bio = BIO_new_mem_buf(data->data, (int)data->size);
        PKCS7 *pkcs7 = bio ? PKCS7_sign(signer->certificate, signer->key, NULL, bio,
                                             PKCS7_BINARY | PKCS7_DETACHED | PKCS7_NOATTR)
                           : NULL;
        uint8_t *der = NULL;
        int size = pkcs7 ? i2d_PKCS7_SIGNED(pkcs7->d.sign, &der) : -1;
        int r = size < 0 ? -EIO : buffer_append(ret, der, (size_t)size);

        OPENSSL_free(der);
        PKCS7_free(pkcs7);
        BIO_free(bio);
        return r;
}

/* What is signed: name in UTF-16, GUID, attributes, time, value. */
static int append_signed_bytes(Buffer *buffer, const char *name, const uint8_t guid[static EFI_GUID_SIZE],
                time_t now, const Buffer *value)
{
        int r = 0;

        for (; r >= 0 && *name; name++)
                r = buffer_append_u16(buffer, (uint8_t)*name);
        if (r >= 0)
                r = buffer_append(buffer, guid, EFI_GUID_SIZE);
        if (r >= 0)
                r = buffer_append_u32(buffer, VARIABLE_ATTRIBUTES);
        if (r >= 0)
                r = append_time(buffer, now);
        return r < 0 ? r : buffer_append(buffer, value->data, value->size);
}

/* Time, WIN_CERTIFICATE_UEFI_GUID with the signature, value. */
static int append_variable(Buffer *buffer, time_t now, const Buffer *signature, const Buffer *value)
{
        static const uint8_t pkcs7_guid[EFI_GUID_SIZE] = { 0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49,
                0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7 };
        int r = append_time(buffer, now);

        if (r >= 0)
                r = buffer_append_u32(buffer, (uint32_t)(8 + EFI_GUID_SIZE + signature->size));
        if (r >= 0)
                r = buffer_append_u16(buffer, 0x0200);
        if (r >= 0)
                r = buffer_append_u16(buffer, 0x0ef1);
        if (r >= 0)
                r = buffer_append(buffer, pkcs7_guid, EFI_GUID_SIZE);
        if (r >= 0)
                r = buffer_append(buffer, signature->data, signature->size);
        return r < 0 ? r : buffer_append(buffer, value->data, value->size);
}

static int make_variable(const Pair *pair, const Pair *signer, const uint8_t owner[static EFI_GUID_SIZE],
                time_t now, Buffer *ret)
{
        static const uint8_t global[EFI_GUID_SIZE] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa,
                0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
        static const uint8_t security[EFI_GUID_SIZE] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
                0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
        _cleanup_buffer_ Buffer value = BUFFER_WITH_CAP(AUTH_MAX), to_sign = BUFFER_WITH_CAP(AUTH_MAX),
                                signature = BUFFER_WITH_CAP(AUTH_MAX);
        uint8_t *der = NULL;
        int size = i2d_X509(pair->certificate, &der);
        int r = size < 0 ? -ENOMEM : efi_signatures_append_certificate(&value, owner, der, (size_t)size);

        OPENSSL_free(der);
        if (r >= 0)
                r = append_signed_bytes(&to_sign, pair->name,
                                strcmp(pair->name, "db") == 0 ? security : global, now, &value);
        if (r >= 0)
                r = sign(signer, &to_sign, &signature);
        return r < 0 ? r : append_variable(ret, now, &signature, &value);
}

/* Who put the certificates there: a name that follows from the platform key. */
static void make_owner(const Pair *platform, uint8_t ret[static EFI_GUID_SIZE])
{
        uint8_t hash[SHA256_SIZE] = { 0 };
        unsigned size = 0;

        (void)X509_digest(platform->certificate, EVP_sha256(), hash, &size);
        memcpy(ret, hash, EFI_GUID_SIZE);
        ret[7] = (uint8_t)((ret[7] & 0x0f) | 0x80);
        ret[8] = (uint8_t)((ret[8] & 0x3f) | 0x80);
}

static int write_variable(const char *folder, const Pair *pair, const Pair *signer,
                const uint8_t owner[static EFI_GUID_SIZE], time_t now, Error *error)
{
        _cleanup_free_ char *path = string_format("%s/%s" SECURE_BOOT_AUTH_SUFFIX, folder, pair->name);
        _cleanup_buffer_ Buffer variable = BUFFER_WITH_CAP(AUTH_MAX);
        int r = path ? make_variable(pair, signer, owner, now, &variable) : -ENOMEM;

        if (r == -EIO)
                return crypto_failed(error);
        if (r >= 0)
                r = file_replace(AT_FDCWD, path, variable.data, variable.size, 0644);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s: %s", path ? path : folder,
                                       strerror(-r))
                     : 0;
}

int secure_boot_keys_init(const char *folder, const SecureBootKeyOptions *options, Error *error)
{
        _cleanup_(pair_done) Pair platform = { .name = "PK" };
        _cleanup_(pair_done) Pair exchange = { .name = "KEK" };
        _cleanup_(pair_done) Pair programs = { .name = "db" };
        Pair *const pairs[] = { &platform, &exchange, &programs };
        const Pair *const signers[] = { &platform, &platform, &exchange };
        time_t now = options->now != 0 ? (time_t)options->now : time(NULL);
        uint8_t owner[EFI_GUID_SIZE];
        int r = directory_make(AT_FDCWD, folder, 0700);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot make the folder %s: %s", folder, strerror(-r));
        for (size_t i = 0; r >= 0 && i < ELEMENTS(pairs); i++)
                r = make_pair(folder, pairs[i], options, now, error);
        if (r >= 0)
                r = make_pcr_key(folder, options, error);
        if (r < 0)
                return r;
        make_owner(&platform, owner);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(pairs); i++)
                r = write_variable(folder, pairs[i], signers[i], owner, now, error);
        return r;
}
