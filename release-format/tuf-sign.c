/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf-sign.h"

#include "file.h"
#include "hex.h"
#include "tuf-key.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#define KEY_FILE_MAX (64 * KIB)
#define RSA_BITS 3072

static void bio_freep(BIO **bio)
{
        BIO_free_all(*bio);
}

static void md_ctx_freep(EVP_MD_CTX **context)
{
        EVP_MD_CTX_free(*context);
}

/* OpenSSL's own words for what went wrong last. */
static const char *crypto_error(void)
{
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());

        return reason ? reason : "unknown error";
}

int tuf_key_type_from_name(const char *name, TufKeyType *ret)
{
        static const char *const names[TUF_KEY_TYPE_MAX] = { "ed25519", "ecdsa", "rsa" };

        for (unsigned i = 0; i < TUF_KEY_TYPE_MAX; i++)
                if (strcmp(name, names[i]) == 0) {
                        *ret = (TufKeyType)i;
                        return 0;
                }
        return -EINVAL;
}

int tuf_key_generate(TufKeyType type, EVP_PKEY **ret, Error *error)
{
        EVP_PKEY *key = NULL;

        switch (type) {
        case TUF_KEY_ED25519:
                key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
                break;
        case TUF_KEY_ECDSA:
                key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
                break;
        case TUF_KEY_RSA:
                key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS);
                break;
        case TUF_KEY_TYPE_MAX:
                break;
        }
        if (!key)
                return error_set(error, ERROR_FAILED, EIO, "cannot make a key: %s", crypto_error());
        *ret = key;
        return 0;
}

static int sign_bytes(EVP_PKEY *key, const void *data, size_t size, uint8_t *ret, size_t *ret_size)
{
        _cleanup_(md_ctx_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool is_ed25519 = EVP_PKEY_is_a(key, "ED25519");
        EVP_PKEY_CTX *parameters;

        if (!context || EVP_DigestSignInit(context, &parameters, is_ed25519 ? NULL : EVP_sha256(), NULL,
                                        key) != 1)
                return -EIO;
        if (EVP_PKEY_is_a(key, "RSA") &&
                        (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
                                        EVP_PKEY_CTX_set_rsa_pss_saltlen(
                                                        parameters, RSA_PSS_SALTLEN_DIGEST) != 1))
                return -EIO;
        return EVP_DigestSign(context, ret, ret_size, data, size) == 1 ? 0 : -EIO;
}

int tuf_sign(EVP_PKEY *key, const void *data, size_t size, char **ret, Error *error)
{
        uint8_t signature[TUF_SIGNATURE_MAX];
        size_t length = sizeof(signature);
        char *text;

        if ((size_t)EVP_PKEY_get_size(key) > sizeof(signature) ||
                        sign_bytes(key, data, size, signature, &length) < 0)
                return error_set(error, ERROR_FAILED, EIO, "cannot sign: %s", crypto_error());
        text = malloc(2 * length + 1);
        if (!text)
                return error_oom(error);
        hex_encode(signature, length, text);
        *ret = text;
        return 0;
}

/* What OpenSSL's callback carries to the caller's. */
typedef struct Asking {
        TufPassphraseGet get;
        void *data;
        const char *path;
        Error *error;
        bool is_asked;
        int r;
} Asking;

static int ask_passphrase(char *buffer, int size, _unused_ int writing, void *data)
{
        _cleanup_buffer_ Buffer passphrase = BUFFER_WITH_CAP(TUF_PASSPHRASE_MAX);
        Asking *asking = data;
        int length = -1;

        asking->is_asked = true;
        asking->r = asking->get ? asking->get(asking->data, asking->path, &passphrase, asking->error)
                                : -ENOKEY;
        if (asking->r >= 0 && passphrase.size <= (size_t)size) {
                if (passphrase.size > 0)
                        memcpy(buffer, passphrase.data, passphrase.size);
                length = (int)passphrase.size;
        }
        if (passphrase.data)
                OPENSSL_cleanse(passphrase.data, passphrase.size);
        return length;
}

int tuf_private_key_read(const char *path, TufPassphraseGet get, void *data, EVP_PKEY **ret, Error *error)
{
        _cleanup_(bio_freep) BIO *bio = NULL;
        Asking asking = { .get = get, .data = data, .path = path, .error = error };
        _cleanup_free_ char *text = NULL;
        EVP_PKEY *key;
        size_t size;
        int r = file_read(AT_FDCWD, path, KEY_FILE_MAX, &text, &size);

        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "cannot read the key %s: %s", path, strerror(-r));
        bio = BIO_new_mem_buf(text, (int)size);
        key = bio ? PEM_read_bio_PrivateKey(bio, NULL, ask_passphrase, &asking) : NULL;
        OPENSSL_cleanse(text, size);
        if (key) {
                *ret = key;
                return 0;
        }
        if (asking.is_asked && asking.r < 0)
                return error_set(error, ERROR_UNTRUSTED, ENOKEY,
                                "the key %s is encrypted and there is no passphrase", path);
        if (asking.is_asked)
                return error_set(error, ERROR_UNTRUSTED, ENOKEY, "the passphrase for the key %s is wrong",
                                path);
        return error_set(error, ERROR_CONFIG, EINVAL, "%s is not a private key in PEM form: %s", path,
                        crypto_error());
}

/* Creates the file first, so that a private key is never readable to others, not even for a moment. */
static BIO *create_file(const char *path, mode_t mode)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        FILE *file;
        BIO *bio;

        if (fd < 0)
                return NULL;
        file = fdopen(fd, "w");
        if (!file) {
                fd_close(fd);
                return NULL;
        }
        bio = BIO_new_fp(file, BIO_CLOSE);
        if (!bio)
                (void)fclose(file);
        return bio;
}

/* Flushed to the disk: a key that is lost after its public half was published is a bad day. */
static int finish_file(const char *path, BIO *bio, bool is_written, Error *error)
{
        FILE *file = NULL;

        BIO_get_fp(bio, &file);
        if (is_written && BIO_flush(bio) == 1 && file && fsync(fileno(file)) == 0)
                return 0;
        (void)unlink(path);
        return error_set(error, ERROR_IO, EIO, "cannot write the key %s: %s", path, crypto_error());
}

int tuf_private_key_write(const char *path, EVP_PKEY *key, const char *passphrase, Error *error)
{
        _cleanup_(bio_freep) BIO *bio = create_file(path, 0600);
        int done;

        if (!bio)
                return error_set(error, ERROR_IO, errno, "cannot create the key %s: %s", path,
                                strerror(errno));
        done = PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase ? EVP_aes_256_cbc() : NULL, passphrase,
                        passphrase ? (int)strlen(passphrase) : 0, NULL, NULL);
        return finish_file(path, bio, done == 1, error);
}

int tuf_public_key_read(const char *path, EVP_PKEY **ret, Error *error)
{
        _cleanup_(bio_freep) BIO *bio = BIO_new_file(path, "r");
        EVP_PKEY *key;

        if (!bio)
                return error_set(error, ERROR_CONFIG, ENOENT, "cannot read the public key %s", path);
        key = PEM_read_bio_PUBKEY(bio, NULL, NULL, (void *)"");
        if (!key)
                return error_set(error, ERROR_CONFIG, EINVAL, "%s is not a public key in PEM form: %s", path,
                                crypto_error());
        *ret = key;
        return 0;
}

int tuf_public_key_write(const char *path, EVP_PKEY *key, Error *error)
{
        _cleanup_(bio_freep) BIO *bio = create_file(path, 0644);

        if (!bio)
                return error_set(error, ERROR_IO, errno, "cannot create %s: %s", path, strerror(errno));
        return finish_file(path, bio, PEM_write_bio_PUBKEY(bio, key) == 1, error);
}
