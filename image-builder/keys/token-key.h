/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Private keys that never leave a PKCS#11 token, named by a URI (RFC 7512), through whatever OpenSSL has for
 * it: a provider, or else the "pkcs11" engine (Debian: libengine-pkcs11-openssl). */

#include "passphrase.h"

#include <openssl/types.h>

/* Whether a key reference is such a URI. */
bool token_key_is_uri(const char *reference);

/* The URI as it may be shown, without a PIN that stands in it; newly allocated, NULL when out of memory. */
char *token_key_name(const char *uri);

/* The PIN comes from the URI (pin-value, pin-source) or from `source`. ERROR_MISSING_TOOL when OpenSSL has
 * nothing for tokens. */
int token_key_load(const char *uri, const PassphraseSource *source, EVP_PKEY **ret, Error *error);
