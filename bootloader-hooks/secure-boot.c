/* SPDX-License-Identifier: Apache-2.0 */
#include "secure-boot.h"

#include "authenticode.h"
#include "efi-signatures.h"
#include "file.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#define GLOBAL_GUID "8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define SECURITY_GUID "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
#define ATTRIBUTES_SIZE 4
#define LIST_MAX (1 * MIB) /* bytes of db, or of dbx */
#define NAME_MAX_SHOWN 200

typedef struct SignatureList {
        uint8_t *data;
        size_t size;
} SignatureList;

struct SecureBoot {
        SignatureList allowed, forbidden; /* each walked through once, so the walk cannot fail later */
};

SecureBoot *secure_boot_free(SecureBoot *secure_boot)
{
        if (!secure_boot)
                return NULL;
        free(secure_boot->allowed.data);
        free(secure_boot->forbidden.data);
        free(secure_boot);
        return NULL;
}

static EfiSignatureReader read_from_start(const SignatureList *list)
{
        return (EfiSignatureReader){ .next = list->data, .left = list->size };
}

static int set_list(SignatureList *list, const void *data, size_t size, const char *name, Error *error)
{
        EfiSignatureReader reader;
        EfiSignature item;
        int r;

        list->data = malloc(size + 1);
        if (!list->data)
                return error_oom(error);
        if (size > 0)
                memcpy(list->data, data, size);
        list->size = size;
        reader = read_from_start(list);
        while ((r = efi_signatures_next(&reader, &item)) > 0)
                ;
        return r < 0 ? error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                       "Secure Boot is on, but the firmware's variable %s is damaged; "
                                       "repair it "
                                       "in the firmware's setup",
                                       name)
                     : 0;
}

int secure_boot_new(const void *db, size_t db_size, const void *dbx, size_t dbx_size, SecureBoot **ret,
                Error *error)
{
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = calloc(1, sizeof(*secure_boot));
        int r;

        if (!secure_boot)
                return error_oom(error);
        r = set_list(&secure_boot->allowed, db, db_size, "db", error);
        if (r >= 0)
                r = set_list(&secure_boot->forbidden, dbx, dbx_size, "dbx", error);
        if (r >= 0)
                *ret = TAKE_PTR(secure_boot);
        return r;
}

/* The value of a variable without its attributes; nothing when there is none. */
static int read_variable(const char *folder, const char *name, const char *guid, char **ret,
                size_t *ret_size, Error *error)
{
        _cleanup_free_ char *path = string_format("%s/%s-%s", folder, name, guid), *data = NULL;
        size_t size = 0;
        int r = path ? file_read(AT_FDCWD, path, LIST_MAX, &data, &size) : -ENOMEM;

        *ret = NULL;
        *ret_size = 0;
        if (r == -ENOENT || r == -ENOTDIR)
                return 0;
        if (r >= 0 && size < ATTRIBUTES_SIZE)
                r = -EBADMSG;
        if (r < 0)
                return error_set(error, ERROR_UNTRUSTED, -r,
                                "cannot read the firmware's variable %s, so what it would start is not "
                                "known: %s",
                                name, strerror(-r));
        memmove(data, data + ATTRIBUTES_SIZE, size - ATTRIBUTES_SIZE);
        *ret_size = size - ATTRIBUTES_SIZE;
        *ret = TAKE_PTR(data);
        return 0;
}

int secure_boot_load(const char *folder, SecureBoot **ret, Error *error)
{
        _cleanup_free_ char *state = NULL, *db = NULL, *dbx = NULL;
        size_t size = 0, db_size = 0, dbx_size = 0;
        int r = 0;

        *ret = NULL;
        if (folder)
                r = read_variable(folder, "SecureBoot", GLOBAL_GUID, &state, &size, error);
        if (r < 0 || size == 0 || (size == 1 && state[0] == 0))
                return r;
        r = read_variable(folder, "db", SECURITY_GUID, &db, &db_size, error);
        if (r >= 0)
                r = read_variable(folder, "dbx", SECURITY_GUID, &dbx, &dbx_size, error);
        return r < 0 ? r : secure_boot_new(db, db_size, dbx, dbx_size, ret, error);
}

static X509 *parse_certificate(const EfiSignature *item)
{
        const uint8_t *at = item->data;
        X509 *certificate = d2i_X509(NULL, &at, (long)item->size);

        ERR_clear_error();
        return certificate;
}

/* Whether an item of a list speaks of this program, or of who signed it (NULL: nobody). */
static bool item_matches(const EfiSignature *item, const uint8_t *digest, const Authenticode *signature)
{
        X509 *certificate;
        bool is_match;

        switch (item->kind) {
        case EFI_SIGNATURE_SHA256:
                return memcmp(item->data, digest, SHA256_SIZE) == 0;
        case EFI_SIGNATURE_CERTIFICATE_HASH:
                return signature && authenticode_has_certificate(signature, item->data, item->size);
        case EFI_SIGNATURE_X509:
                certificate = signature ? parse_certificate(item) : NULL;
                is_match = certificate && authenticode_is_signed_under(signature, certificate);
                X509_free(certificate);
                return is_match;
        default:
                return false;
        }
}

/* Hashes of certificates only ever forbid. */
static bool matches(const SecureBoot *secure_boot, bool is_forbidding, const uint8_t *digest,
                const Authenticode *signature)
{
        EfiSignatureReader reader =
                        read_from_start(is_forbidding ? &secure_boot->forbidden : &secure_boot->allowed);
        EfiSignature item;

        while (efi_signatures_next(&reader, &item) > 0)
                if ((is_forbidding || item.kind != EFI_SIGNATURE_CERTIFICATE_HASH) &&
                                item_matches(&item, digest, signature))
                        return true;
        return false;
}

static int rejected(Error *error, const char *why)
{
        return error_set(error, ERROR_UNTRUSTED, EKEYREJECTED, "%s", why);
}

static int not_trusted(const char *signer, Error *error)
{
        return error_set(error, ERROR_UNTRUSTED, EKEYREJECTED,
                        "this machine enforces Secure Boot and does not trust the key that signed the "
                        "kernel image "
                        "(%s); enrol its certificate in the firmware's db first",
                        signer);
}

int secure_boot_judge(const SecureBoot *secure_boot, const ImageSignatures *signatures, Error *error)
{
        const uint8_t *digest = signatures->digest;
        char signer[NAME_MAX_SHOWN] = "";
        bool allowed;

        if (!signatures->is_known)
                return rejected(error, "this machine enforces Secure Boot, and the release does not say how "
                                       "its kernel "
                                       "image is signed; publish it with a newer bascule-image");
        if (matches(secure_boot, true, digest, NULL))
                return rejected(error, "this machine's firmware forbids this kernel image (its dbx lists "
                                       "the digest)");
        allowed = matches(secure_boot, false, digest, NULL);
        for (size_t i = 0; i < signatures->count; i++) {
                _cleanup_(authenticode_freep) Authenticode *signature = NULL;
                int r = authenticode_parse(signatures->items[i].data, signatures->items[i].size, &signature);

                if (r == -ENOMEM)
                        return error_oom(error);
                if (r < 0 || memcmp(authenticode_digest(signature), digest, SHA256_SIZE) != 0)
                        return rejected(error, "the Secure Boot signature of the kernel image is damaged");
                authenticode_signer(signature, signer, sizeof(signer));
                if (matches(secure_boot, true, digest, signature))
                        return error_set(error, ERROR_UNTRUSTED, EKEYREJECTED,
                                        "this machine's firmware forbids the key that signed the kernel "
                                        "image (%s is "
                                        "in its dbx); sign the release with another key",
                                        signer);
                allowed = allowed || matches(secure_boot, false, digest, signature);
        }
        if (allowed)
                return 0;
        return signatures->count > 0
                               ? not_trusted(signer, error)
                               : rejected(error, "this machine enforces Secure Boot, and the kernel image "
                                                 "of the "
                                                 "release is not signed; build it with --secure-boot-key");
}
