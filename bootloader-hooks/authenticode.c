/* SPDX-License-Identifier: Apache-2.0 */
#include "authenticode.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#define CERTIFICATES_MAX 16

struct Authenticode {
        PKCS7 *pkcs7;
        const uint8_t *content; /* inside of SpcIndirectDataContent; borrowed */
        size_t content_size;
        uint8_t digest[SHA256_SIZE];
};

/* ---- DER, as far as it is needed ---- */

typedef struct Der {
        const uint8_t *data;
        size_t size;
} Der;

/* Takes one element with this tag off the front; *ret is what is in it. */
static int der_take(Der *der, int tag, Der *ret)
{
        const uint8_t *at = der->data;
        long length = 0;
        int found, class, flags;

        if (der->size == 0 || der->size > INT32_MAX)
                return -EBADMSG;
        flags = ASN1_get_object(&at, &length, &found, &class, (long)der->size);
        if (flags & 0x81 || class != V_ASN1_UNIVERSAL || found != tag) /* 0x80: broken, 0x01: no length */
                return -EBADMSG;
        *ret = (Der){ at, (size_t)length };
        der->size -= (size_t)(at - der->data) + (size_t)length;
        der->data = at + length;
        return 0;
}

/* SEQUENCE { data SEQUENCE, messageDigest SEQUENCE { SEQUENCE { algorithm OID, ... }, OCTET STRING } } */
static int read_content(Authenticode *signature)
{
        static const uint8_t sha256[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01 };
        Der content = { signature->content, signature->content_size }, data, info, algorithm, oid, digest;

        if (der_take(&content, V_ASN1_SEQUENCE, &data) < 0 ||
                        der_take(&content, V_ASN1_SEQUENCE, &info) < 0 ||
                        der_take(&info, V_ASN1_SEQUENCE, &algorithm) < 0 ||
                        der_take(&algorithm, V_ASN1_OBJECT, &oid) < 0 ||
                        der_take(&info, V_ASN1_OCTET_STRING, &digest) < 0)
                return -EBADMSG;
        if (content.size > 0 || info.size > 0 || oid.size != sizeof(sha256) ||
                        memcmp(oid.data, sha256, sizeof(sha256)) != 0 || digest.size != SHA256_SIZE)
                return -EBADMSG;
        memcpy(signature->digest, digest.data, SHA256_SIZE);
        return 0;
}

/* The content of the right type, with the tag and length off it. */
static int find_content(Authenticode *signature)
{
        char type[64];
        const PKCS7_SIGNED *body;
        Der whole, inside;

        if (!PKCS7_type_is_signed(signature->pkcs7))
                return -EBADMSG;
        body = signature->pkcs7->d.sign;
        if (!body || !body->contents || !body->contents->type || !body->contents->d.other ||
                        body->contents->d.other->type != V_ASN1_SEQUENCE)
                return -EBADMSG;
        if (OBJ_obj2txt(type, sizeof(type), body->contents->type, 1) < 0 ||
                        strcmp(type, AUTHENTICODE_CONTENT_OID) != 0)
                return -EBADMSG;
        whole = (Der){ ASN1_STRING_get0_data(body->contents->d.other->value.sequence),
                (size_t)ASN1_STRING_length(body->contents->d.other->value.sequence) };
        if (der_take(&whole, V_ASN1_SEQUENCE, &inside) < 0 || whole.size > 0)
                return -EBADMSG;
        signature->content = inside.data;
        signature->content_size = inside.size;
        return 0;
}

/* SHA-2 alone. OpenSSL's PKCS7_verify() loses memory over others that it does not know. */
static bool has_good_digests(const PKCS7_SIGNED *body)
{
        int count = sk_X509_ALGOR_num(body->md_algs);

        for (int i = 0; i < count; i++) {
                int id = OBJ_obj2nid(sk_X509_ALGOR_value(body->md_algs, i)->algorithm);

                if (id != NID_sha256 && id != NID_sha384 && id != NID_sha512)
                        return false;
        }
        return count > 0;
}

int authenticode_parse(const void *der, size_t size, Authenticode **ret)
{
        _cleanup_(authenticode_freep) Authenticode *signature = calloc(1, sizeof(*signature));
        const uint8_t *at = der;

        if (!signature)
                return -ENOMEM;
        if (size > INT32_MAX)
                return -EBADMSG;
        signature->pkcs7 = d2i_PKCS7(NULL, &at, (long)size);
        ERR_clear_error();
        /* Zeros after it fill it up to a multiple of eight bytes, as some signers count them. */
        if (!signature->pkcs7 || (size_t)(at - (const uint8_t *)der) + 8 <= size)
                return -EBADMSG;
        if (find_content(signature) < 0 || read_content(signature) < 0)
                return -EBADMSG;
        if (!has_good_digests(signature->pkcs7->d.sign) ||
                        sk_X509_num(signature->pkcs7->d.sign->cert) > CERTIFICATES_MAX ||
                        sk_PKCS7_SIGNER_INFO_num(signature->pkcs7->d.sign->signer_info) != 1)
                return -EBADMSG;
        *ret = TAKE_PTR(signature);
        return 0;
}

Authenticode *authenticode_free(Authenticode *signature)
{
        if (signature)
                PKCS7_free(signature->pkcs7);
        free(signature);
        return NULL;
}

const uint8_t *authenticode_digest(const Authenticode *signature)
{
        return signature->digest;
}

/* ---- who signed ---- */

/* With the one certificate as the root of all trust. */
static X509_STORE *make_store(X509 *anchor)
{
        X509_STORE *store = X509_STORE_new();

        if (!store)
                return NULL;
        (void)X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
        (void)X509_STORE_set_purpose(store, X509_PURPOSE_ANY);
        if (!X509_STORE_add_cert(store, anchor)) {
                X509_STORE_free(store);
                return NULL;
        }
        return store;
}

bool authenticode_is_signed_under(const Authenticode *signature, X509 *anchor)
{
        BIO *content = BIO_new_mem_buf(signature->content, (int)signature->content_size);
        X509_STORE *store = make_store(anchor);
        bool is_good = false;

        /* The signer's certificate must have come along: firmware looks nowhere else. */
        if (content && store)
                is_good = PKCS7_verify(signature->pkcs7, NULL, store, content, NULL, PKCS7_BINARY) == 1;
        ERR_clear_error();
        X509_STORE_free(store);
        BIO_free(content);
        return is_good;
}

static bool has_hash(X509 *certificate, const EVP_MD *algorithm, const uint8_t *hash, unsigned size)
{
        uint8_t *signed_part = NULL, found[EVP_MAX_MD_SIZE];
        int length = i2d_re_X509_tbs(certificate, &signed_part);
        unsigned found_size = 0;
        bool is_same = length > 0 &&
                       EVP_Digest(signed_part, (size_t)length, found, &found_size, algorithm, NULL) == 1 &&
                       found_size == size && memcmp(found, hash, size) == 0;

        OPENSSL_free(signed_part);
        return is_same;
}

bool authenticode_has_certificate(const Authenticode *signature, const uint8_t *hash, size_t size)
{
        const EVP_MD *algorithm = size == 32   ? EVP_sha256()
                                  : size == 48 ? EVP_sha384()
                                  : size == 64 ? EVP_sha512()
                                               : NULL;
        STACK_OF(X509) *certificates = signature->pkcs7->d.sign->cert;

        for (int i = 0; algorithm && i < sk_X509_num(certificates); i++)
                if (has_hash(sk_X509_value(certificates, i), algorithm, hash, (unsigned)size))
                        return true;
        return false;
}

void authenticode_signer(const Authenticode *signature, char *ret, size_t size)
{
        STACK_OF(X509) *signers = PKCS7_get0_signers(signature->pkcs7, NULL, 0);
        X509 *signer = sk_X509_num(signers) > 0 ? sk_X509_value(signers, 0) : NULL;

        (void)snprintf(ret, size, "an unnamed key");
        if (signer && size > 0 && X509_NAME_entry_count(X509_get_subject_name(signer)) > 0)
                (void)X509_NAME_oneline(X509_get_subject_name(signer), ret, (int)size);
        ERR_clear_error();
        sk_X509_free(signers);
}

void authenticode_make_content(
                const uint8_t digest[static SHA256_SIZE], uint8_t ret[static AUTHENTICODE_CONTENT_SIZE])
{
        /* SpcPeImageData with no flags and an empty file name, then the algorithm and the digest. */
        static const uint8_t head[AUTHENTICODE_CONTENT_SIZE - SHA256_SIZE] = { 0x30, 0x4c, 0x30, 0x17, 0x06,
                0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x0f, 0x30, 0x09, 0x03, 0x01,
                0x00, 0xa0, 0x04, 0xa2, 0x02, 0x80, 0x00, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86,
                0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };

        memcpy(ret, head, sizeof(head));
        memcpy(ret + sizeof(head), digest, SHA256_SIZE);
}
