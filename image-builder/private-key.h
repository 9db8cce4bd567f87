/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Private keys of all kinds that sign, by what names them: the path of a PEM file, maybe encrypted, or a
 * "pkcs11:" URI of a token's key, which never leaves it. */

#include "passphrase.h"

#include <openssl/types.h>

/* Freed with EVP_PKEY_free(). The errors of token_key_load() and
 * tuf_private_key_read(). */
int private_key_load(const char *reference, const PassphraseSource *source, EVP_PKEY **ret, Error *error);
