/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the metadata parser share. Errors as in tuf-metadata.h. */

#include "tuf-metadata.h"

int tuf_parse_root(TufMetadata *metadata, Error *error);
int tuf_parse_timestamp(TufMetadata *metadata, Error *error);
int tuf_parse_snapshot(TufMetadata *metadata, Error *error);
int tuf_parse_targets(TufMetadata *metadata, Error *error);

/* An integer of at least 1. */
int tuf_get_positive(const json_t *object, const char *name, uint64_t *ret, Error *error);

/* The strings of an array, or of one member of its objects: sorted, checked to be distinct, at most `max`.
 * The caller frees the array; the strings are borrowed. `kind` is what messages call one of them. */
int tuf_collect_distinct(const json_t *array, const char *member, size_t max, const char *kind,
                const char ***ret, Error *error);

/* The members "keyids" and "threshold" of a role. */
int tuf_parse_signers(const json_t *object, TufSigners *ret, Error *error);

/* The member "keys" of `object`. *ret is filled as far as it goes, also on error. */
int tuf_parse_keys(const json_t *object, TufKeys *ret, Error *error);

/* An object of algorithm to hexadecimal digest, not empty. */
int tuf_parse_hashes(const json_t *object, TufHashes *ret, Error *error);

/* An element of "meta". */
int tuf_parse_file_info(const json_t *object, TufFileInfo *ret, Error *error);
