/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Making metadata files: from the "signed" part to bytes that carry signatures. */

#include "keys.h"
#include "tuf-metadata.h"

/* A "signed" part with _type, spec_version, version and expires in it. */
int tuf_document_new(TufRole role, uint64_t version, int64_t expires, json_t **ret, Error *error);

/* Signs with every key of `signers` that the ring has, at least as many as the threshold: -ENOKEY with
 * ERROR_UNTRUSTED if there are fewer. *ret is the file's text, freed by the caller. */
int tuf_document_sign(json_t *signed_part, TufRole role, const TufSigners *signers, KeyRing *ring,
                char **ret, size_t *ret_size, Error *error);

/* Whether the ring has enough keys; the Error says how many are missing for what. */
int tuf_document_can_sign(TufRole role, const TufSigners *signers, const KeyRing *ring, Error *error);

/* Adds the signature of one key to a document { signed, signatures }, or replaces the one it has. */
int tuf_document_add_signature(json_t *document, const char *keyid, KeyRing *ring, Error *error);

/* The text of a document: indented, members sorted, the same for the same document. */
int tuf_document_text(const json_t *document, char **ret, size_t *ret_size, Error *error);
