/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Private keys of all kinds that sign, by what names them: the path of a PEM file, maybe encrypted, or a
 * "pkcs11:" URI of a token's key, which never leaves it. */

#include "passphrase.h"

#include <openssl/types.h>

/* Freed with EVP_PKEY_free(). The errors of token_key_load() and
 * tuf_private_key_read(). */
int private_key_load(const char *reference, const PassphraseSource *source, EVP_PKEY **ret, Error *error);

/* The path of the public half: NAME.pub beside NAME.pem. NULL when out of memory. */
char *private_key_public_path(const char *private_path);

/* The public half: from NAME.pub beside a file if that is there, so that no passphrase is needed, or else
 * from the private key. */
int private_key_load_public(
                const char *reference, const PassphraseSource *source, EVP_PKEY **ret, Error *error);
