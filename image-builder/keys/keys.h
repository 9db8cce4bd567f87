/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The signing keys at hand. A key folder holds, for each key, NAME.pub (public key, PEM) and one of NAME.pem
 * (private key, PKCS#8 PEM, maybe encrypted) or NAME.uri (one line, a "pkcs11:" URI of a token's key), and
 * root.json with every N.root.json before it. A folder need not hold every key: one with only
 * the snapshot and timestamp keys can refresh a repository, and nothing more.
 *
 * Private keys are read when they first sign, so a passphrase is asked for only if it is needed. Which role
 * a key may sign for is what the trusted root says, never its file name. */

#include "passphrase.h"
#include "tuf-role.h"

#include <jansson.h>

typedef struct KeyRing KeyRing;

#define KEY_FILE_SUFFIX ".pem"
#define KEY_PUBLIC_SUFFIX ".pub"
#define KEY_URI_SUFFIX ".uri"

/* All keys of a folder. The strings of `passphrase` (may be NULL) must outlive the ring. */
int key_ring_load(const char *folder, const PassphraseSource *passphrase, KeyRing **ret, Error *error);

/* An empty ring; for key_ring_add(). */
int key_ring_new(const PassphraseSource *passphrase, KeyRing **ret, Error *error);

/* One more key: the path of a private key (the public half is taken from NAME.pub beside it if that is
 * there) or a "pkcs11:" URI. */
int key_ring_add(KeyRing *ring, const char *reference, Error *error);

KeyRing *key_ring_free(KeyRing *ring);
DEFINE_CLEANUP(KeyRing *, key_ring_free)

size_t key_ring_count(const KeyRing *ring);
const char *key_ring_keyid(const KeyRing *ring, size_t number); /* hexadecimal */
const char *key_ring_name(const KeyRing *ring, size_t number);  /* file name without suffix, or URI */
/* The TUF key object (keytype, scheme, keyval); borrowed. */
const json_t *key_ring_public(const KeyRing *ring, size_t number);

/* Whether the ring can sign with that key. */
bool key_ring_has(const KeyRing *ring, const char *keyid);

/* Signs `size` bytes; *ret is the signature in hexadecimal, freed by the caller. -ENOKEY when the key is not
 * in the ring. */
int key_ring_sign(KeyRing *ring, const char *keyid, const void *data, size_t size, char **ret, Error *error);
