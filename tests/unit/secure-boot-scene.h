/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What tests of Secure Boot begin with: keys, programs that they sign, and lists of what firmware trusts. */

#include "efi-signatures.h"
#include "image-signer.h"
#include "own-folder.h"
#include "pe-image.h"
#include "pe-sample.h"
#include "secure-boot-keys.h"
#include "secure-boot.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

/* Two key folders that know nothing of each other, made once: such keys take time. */
static inline void make_keys(void)
{
        static const char *const names[] = { "ours", "theirs" };
        static bool are_made;

        for (size_t i = 0; i < ELEMENTS(names) && !are_made; i++) {
                const SecureBootKeyOptions options = { .common_name = names[i], .now = 1700000000 };
                Error error = { 0 };

                if (secure_boot_keys_init(in_folder(names[i]), &options, &error) < 0) {
                        printf("# %s\n", error.message);
                        abort();
                }
        }
        are_made = true;
}

static inline int sign_with(const char *key_name, const char *certificate_name, int fd, Error *error)
{
        _cleanup_(image_signer_freep) ImageSigner *signer = NULL;
        bool is_in_token = strncmp(key_name, "pkcs11:", 7) == 0;
        int r;

        make_keys();
        r = image_signer_new(is_in_token ? key_name : in_folder(key_name), in_folder(certificate_name), NULL,
                        &signer, error);
        return r < 0 ? r : image_signer_sign(signer, fd, error);
}

static inline X509 *certificate_of(const char *name)
{
        FILE *file = fopen(in_folder(name), "re");
        X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

        if (!certificate)
                abort();
        (void)fclose(file);
        return certificate;
}

/* A list with one certificate. */
static inline void append_certificate(Buffer *list, const char *name)
{
        static const uint8_t owner[EFI_GUID_SIZE] = "test";
        X509 *certificate = certificate_of(name);
        uint8_t *der = NULL;
        int size = i2d_X509(certificate, &der);

        if (size < 0 || efi_signatures_append_certificate(list, owner, der, (size_t)size) < 0)
                abort();
        OPENSSL_free(der);
        X509_free(certificate);
}

/* A list with one hash, by the GUID's bytes. */
static inline void append_hash(
                Buffer *list, const char *guid, const uint8_t *hash, size_t hash_size, size_t item_size)
{
        static const uint8_t zeros[64];

        if (buffer_append(list, guid, 16) < 0 ||
                        buffer_append_u32(list, (uint32_t)(28 + 16 + item_size)) < 0 ||
                        buffer_append_u32(list, 0) < 0 ||
                        buffer_append_u32(list, (uint32_t)(16 + item_size)) < 0 ||
                        buffer_append(list, zeros, 16) < 0 || buffer_append(list, hash, hash_size) < 0 ||
                        buffer_append(list, zeros, item_size - hash_size) < 0)
                abort();
}

#define SHA256_GUID "\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28"
#define X509_SHA256_GUID "\x92\xa4\xd2\x3b\xc0\x96\x79\x40\xb4\x20\xfc\xf9\x8e\xf1\x03\xed"
#define X509_SHA384_GUID "\x6e\x87\x76\x70\xc2\x80\xe6\x4e\xaa\xd2\x28\xb3\x49\xa6\x86\x5b"

static inline int judge(const Buffer *db, const Buffer *dbx, int fd, Error *error)
{
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = NULL;
        _cleanup_(image_signatures_done) ImageSignatures signatures = { 0 };
        int r = secure_boot_new(db->data, db->size, dbx ? dbx->data : NULL, dbx ? dbx->size : 0,
                        &secure_boot, error);

        if (r >= 0)
                r = pe_image_read_signatures(fd, &signatures, error);
        return r < 0 ? r : secure_boot_judge(secure_boot, &signatures, error);
}
