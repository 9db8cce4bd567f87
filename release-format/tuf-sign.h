/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The private side of tuf-key.h: making, keeping and using keys. Only what builds releases calls this.
 * Private keys are PKCS#8 PEM files, encrypted (PBES2, AES-256-CBC) when there is a passphrase. */

#include "buffer.h"
#include "error.h"

#include <openssl/types.h>

#define TUF_PASSPHRASE_MAX 1024 /* bytes */

/* Supplies the passphrase of an encrypted key; `name` tells a person which. */
typedef int (*TufPassphraseGet)(void *data, const char *name, Buffer *ret, Error *error);

typedef enum TufKeyType {
        TUF_KEY_ED25519,
        TUF_KEY_ECDSA, /* P-256 */
        TUF_KEY_RSA,   /* 3072 bits, PSS */
        TUF_KEY_TYPE_MAX
} TufKeyType;

/* "ed25519", "ecdsa", "rsa". -EINVAL for another name. */
int tuf_key_type_from_name(const char *name, TufKeyType *ret);

/* A new key pair from the system's random numbers. Freed with EVP_PKEY_free(). */
int tuf_key_generate(TufKeyType type, EVP_PKEY **ret, Error *error);

/* Signs with the scheme that belongs to the kind of key. *ret is hexadecimal, freed by the caller. */
int tuf_sign(EVP_PKEY *key, const void *data, size_t size, char **ret, Error *error);

/* Reads a private key. `get` (may be NULL) is asked only if it is encrypted. -ENOKEY with ERROR_UNTRUSTED
 * for a passphrase that is wrong or missing. */
int tuf_private_key_read(const char *path, TufPassphraseGet get, void *data, EVP_PKEY **ret, Error *error);

/* Writes a new file with mode 0600, encrypted if passphrase is not NULL. -EEXIST rather than overwrite a
 * key. */
int tuf_private_key_write(const char *path, EVP_PKEY *key, const char *passphrase, Error *error);

/* The public half: PEM, "PUBLIC KEY". */
int tuf_public_key_read(const char *path, EVP_PKEY **ret, Error *error);
int tuf_public_key_write(const char *path, EVP_PKEY *key, Error *error);
