/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One Authenticode signature: PKCS#7 SignedData over SpcIndirectDataContent, which holds the digest of a
 * program (Microsoft, Windows Authenticode Portable Executable Signature Format). It is judged as firmware
 * does (UEFI specification, section 32.5.3): a certificate that the platform trusts must have signed it or
 * be above the one that did; validity periods and key usage do not count, since there is no clock to trust.
 * Only SHA-256 digests of programs are taken, and only SHA-2 in what is signed.
 *
 * The bytes may be anything. */

#include "error.h"
#include "sha256.h"

#include <openssl/types.h>

typedef struct Authenticode Authenticode;

/* -EBADMSG for bytes that are no such signature, or more than one; -ENOMEM. */
int authenticode_parse(const void *der, size_t size, Authenticode **ret);
Authenticode *authenticode_free(Authenticode *signature);
DEFINE_CLEANUP(Authenticode *, authenticode_free)

/* The digest that is signed, SHA256_SIZE bytes. */
const uint8_t *authenticode_digest(const Authenticode *signature);

/* Whether it is whole and the signer's certificate is `anchor` or leads to it through those that came along.
 */
bool authenticode_is_signed_under(const Authenticode *signature, X509 *anchor);

/* Whether a certificate that came along has this hash of its signed part, as revocation lists name
 * certificates. `size` tells the algorithm: 32, 48 or 64 bytes of SHA-2. */
bool authenticode_has_certificate(const Authenticode *signature, const uint8_t *hash, size_t size);

/* The signer as people know it, "CN=...", or "an unnamed key". */
void authenticode_signer(const Authenticode *signature, char *ret, size_t size);

/* SpcIndirectDataContent for a program's digest: what signers make. */
#define AUTHENTICODE_CONTENT_SIZE 78
void authenticode_make_content(
                const uint8_t digest[static SHA256_SIZE], uint8_t ret[static AUTHENTICODE_CONTENT_SIZE]);
#define AUTHENTICODE_CONTENT_HEADER 2 /* its tag and length, which the message digest leaves out */
#define AUTHENTICODE_CONTENT_OID "1.3.6.1.4.1.311.2.1.4"
