/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Public keys of TUF metadata (specification 1.0.34, section 4.2) and their signatures:
 *
 *     keytype                      scheme                keyval.public
 *     ed25519                      ed25519               64 hexadecimal digits
 *     ecdsa, ecdsa-sha2-nistp256   ecdsa-sha2-nistp256   PEM, curve P-256; signatures in DER
 *     rsa                          rsassa-pss-sha256     PEM, at least 2048 bits; any salt length
 *
 * A key of another type, or one whose value cannot be read, is no error, since a newer repository can list
 * keys that we do not know: it just never verifies anything. A keyid that is not the hash of its key is
 * an error. */

#include "error.h"
#include "sha256.h"

#include <jansson.h>
#include <openssl/types.h>

#define TUF_SIGNATURE_MAX 2048 /* bytes; RSA with 16384 bits */

typedef struct TufKey TufKey;

/* SHA-256 of the key object's canonical form, in hexadecimal. */
int tuf_key_id(const json_t *object, char ret[static SHA256_HEX_SIZE], Error *error);

/* Reads the key object that metadata lists under `keyid`. -EBADMSG with ERROR_UNTRUSTED when it is no key
 * object or when the keyid is not its own. */
int tuf_key_parse(const char *keyid, const json_t *object, TufKey **ret, Error *error);

/* The key object of a public key. -ENOTSUP with ERROR_CONFIG for a kind that is not in the table above. */
int tuf_key_object(EVP_PKEY *key, json_t **ret, Error *error);

TufKey *tuf_key_free(TufKey *key);
DEFINE_CLEANUP(TufKey *, tuf_key_free)

/* Whether both are the same public key, whatever they are listed as. A key that verifies nothing equals
 * none. */
bool tuf_key_equal(const TufKey *a, const TufKey *b);

/* Whether the signature (any text; only lower-case hexadecimal can be one) is this key's over the data. */
bool tuf_key_verify(const TufKey *key, const void *data, size_t size, const char *signature_hex);
