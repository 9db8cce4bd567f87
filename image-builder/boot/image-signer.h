/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Signing programs for Secure Boot: Authenticode with SHA-256 and an RSA key, which is what all firmware can
 * verify. The key is used where it is (private-key.h), and only when there is something to sign; the same
 * program and key give the same signature, since no time is put into it. */

#include "buffer.h"
#include "passphrase.h"

#include <openssl/types.h>

typedef struct ImageSigner ImageSigner;

/* The certificate is read at once, PEM or DER; further certificates in a PEM file, such as that of the
 * issuer, go along in signatures. The strings must outlive the signer; `passphrase` may be NULL. */
int image_signer_new(const char *key, const char *certificate_path, const PassphraseSource *passphrase,
                ImageSigner **ret, Error *error);
ImageSigner *image_signer_free(ImageSigner *signer);
DEFINE_CLEANUP(ImageSigner *, image_signer_free)

/* All certificates in DER, for cache keys. */
int image_signer_certificates(const ImageSigner *signer, Buffer *ret, Error *error);

/* Adds a signature to a program that has none and is open for reading and writing. ERROR_CONFIG when the
 * certificate is not that of the key. */
int image_signer_sign(ImageSigner *signer, int fd, Error *error);
