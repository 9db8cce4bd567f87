/* SPDX-License-Identifier: Apache-2.0 */
#include "image-signer.h"

#include "authenticode.h"
#include "file.h"
#include "pe-image.h"
#include "private-key.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <string.h>

#define CERTIFICATE_FILE_MAX (64 * KIB)
#define RSA_BITS_MIN 2048

struct ImageSigner {
        const char *key_reference;
        const PassphraseSource *passphrase;
        EVP_PKEY *key;                 /* NULL until it is needed */
        STACK_OF(X509) * certificates; /* the signer's first */
};

ImageSigner *image_signer_free(ImageSigner *signer)
{
        if (!signer)
                return NULL;
        EVP_PKEY_free(signer->key);
        sk_X509_pop_free(signer->certificates, X509_free);
        free(signer);
        return NULL;
}

static int check_certificate(X509 *certificate, const char *path, Error *error)
{
        EVP_PKEY *key = X509_get0_pubkey(certificate);

        if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < RSA_BITS_MIN)
                return error_set(error, ERROR_CONFIG, ENOTSUP,
                                "the key of the certificate %s is not RSA with %d bits or more, which is "
                                "what "
                                "firmware can verify; \"bascule-image keys secure-boot\" makes such a key",
                                path, RSA_BITS_MIN);
        return 0;
}

static int read_certificates(ImageSigner *signer, const char *path, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = file_read(AT_FDCWD, path, CERTIFICATE_FILE_MAX, &text, &size);
        const uint8_t *at = (const uint8_t *)text;
        X509 *certificate;
        BIO *bio;

        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "cannot read the certificate %s: %s", path,
                                strerror(-r));
        signer->certificates = sk_X509_new_null();
        bio = BIO_new_mem_buf(text, (int)size);
        if (!signer->certificates || !bio) {
                BIO_free(bio);
                return error_oom(error);
        }
        while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
                (void)sk_X509_push(signer->certificates, certificate);
        BIO_free(bio);
        if (sk_X509_num(signer->certificates) == 0 && (certificate = d2i_X509(NULL, &at, (long)size)))
                (void)sk_X509_push(signer->certificates, certificate);
        ERR_clear_error();
        if (sk_X509_num(signer->certificates) == 0)
                return error_set(error, ERROR_CONFIG, EBADMSG, "%s holds no X.509 certificate", path);
        return check_certificate(sk_X509_value(signer->certificates, 0), path, error);
}

int image_signer_new(const char *key, const char *certificate_path, const PassphraseSource *passphrase,
                ImageSigner **ret, Error *error)
{
        _cleanup_(image_signer_freep) ImageSigner *signer = calloc(1, sizeof(*signer));
        int r;

        if (!signer)
                return error_oom(error);
        signer->key_reference = key;
        signer->passphrase = passphrase;
        r = read_certificates(signer, certificate_path, error);
        if (r >= 0)
                *ret = TAKE_PTR(signer);
        return r;
}

int image_signer_certificates(const ImageSigner *signer, Buffer *ret, Error *error)
{
        int r = 0;

        for (int i = 0; r >= 0 && i < sk_X509_num(signer->certificates); i++) {
                uint8_t *der = NULL;
                int size = i2d_X509(sk_X509_value(signer->certificates, i), &der);

                r = size < 0 ? -ENOMEM : buffer_append(ret, der, (size_t)size);
                OPENSSL_free(der);
        }
        return r < 0 ? error_oom(error) : 0;
}

/* The content that is signed stands in the signature itself, and is of Microsoft's type. */
static bool set_content(PKCS7 *pkcs7, const uint8_t content[static AUTHENTICODE_CONTENT_SIZE])
{
        ASN1_STRING *sequence = ASN1_STRING_new();
        PKCS7 *inner = PKCS7_new();

        if (sequence && inner && ASN1_STRING_set(sequence, content, AUTHENTICODE_CONTENT_SIZE)) {
                inner->type = OBJ_txt2obj(AUTHENTICODE_CONTENT_OID, 1);
                inner->d.other = ASN1_TYPE_new();
                if (inner->type && inner->d.other) {
                        ASN1_TYPE_set(inner->d.other, V_ASN1_SEQUENCE, sequence);
                        if (PKCS7_set_content(pkcs7, inner))
                                return true;
                        sequence = NULL;
                }
        }
        ASN1_STRING_free(sequence);
        PKCS7_free(inner);
        return false;
}

/* The attributes are set one by one because OpenSSL's own way would add the time. */
static bool add_signer(
                ImageSigner *signer, PKCS7 *pkcs7, const uint8_t content[static AUTHENTICODE_CONTENT_SIZE])
{
        X509 *certificate = sk_X509_value(signer->certificates, 0);
        PKCS7_SIGNER_INFO *info = PKCS7_add_signature(pkcs7, certificate, signer->key, EVP_sha256());
        uint8_t digest[SHA256_SIZE];

        sha256_of(content + AUTHENTICODE_CONTENT_HEADER,
                        AUTHENTICODE_CONTENT_SIZE - AUTHENTICODE_CONTENT_HEADER, digest);
        return info &&
               PKCS7_add_signed_attribute(info, NID_pkcs9_contentType, V_ASN1_OBJECT,
                               OBJ_txt2obj(AUTHENTICODE_CONTENT_OID, 1)) &&
               PKCS7_add1_attrib_digest(info, digest, sizeof(digest)) && PKCS7_SIGNER_INFO_sign(info);
}

static int make_signature(ImageSigner *signer, const uint8_t digest[static SHA256_SIZE], uint8_t **ret,
                size_t *ret_size, Error *error)
{
        uint8_t content[AUTHENTICODE_CONTENT_SIZE], *der = NULL;
        PKCS7 *pkcs7 = PKCS7_new();
        bool is_made;
        int size = -1;

        authenticode_make_content(digest, content);
        is_made = pkcs7 && PKCS7_set_type(pkcs7, NID_pkcs7_signed) && set_content(pkcs7, content);
        for (int i = 0; is_made && i < sk_X509_num(signer->certificates); i++)
                is_made = PKCS7_add_certificate(pkcs7, sk_X509_value(signer->certificates, i));
        if (is_made && add_signer(signer, pkcs7, content))
                size = i2d_PKCS7(pkcs7, &der);
        PKCS7_free(pkcs7);
        if (size < 0)
                return error_set(error, ERROR_FAILED, EIO, "cannot sign with the Secure Boot key: %s",
                                ERR_reason_error_string(ERR_get_error()) ?: "OpenSSL does not say why");
        *ret = der;
        *ret_size = (size_t)size;
        return 0;
}

/* A signature that its own certificate does not verify must not get into an image. */
static int check_signature(const ImageSigner *signer, const uint8_t *der, size_t size, Error *error)
{
        _cleanup_(authenticode_freep) Authenticode *signature = NULL;
        int r = authenticode_parse(der, size, &signature);

        if (r < 0 || !authenticode_is_signed_under(signature, sk_X509_value(signer->certificates, 0)))
                return error_set(error, ERROR_CONFIG, EKEYREJECTED,
                                "the Secure Boot certificate is not that of the key; give the pair that "
                                "belongs "
                                "together");
        return 0;
}

int image_signer_sign(ImageSigner *signer, int fd, Error *error)
{
        uint8_t digest[SHA256_SIZE], *der = NULL;
        size_t size = 0;
        PeImage image;
        int r = pe_image_read(fd, &image, error);

        if (r >= 0)
                r = pe_image_digest(fd, &image, digest, error);
        if (r >= 0 && !signer->key)
                r = private_key_load(signer->key_reference, signer->passphrase, &signer->key, error);
        if (r >= 0)
                r = make_signature(signer, digest, &der, &size, error);
        if (r >= 0)
                r = check_signature(signer, der, size, error);
        if (r >= 0)
                r = pe_image_append_signature(fd, der, size, error);
        OPENSSL_free(der);
        return r;
}
