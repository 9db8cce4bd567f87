/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The JSON documents of an OCI image layout (OCI Image Format Specification 1.0 and 1.1; Docker's media
 * types of the same shape are taken too). All of it may be hostile: sizes and counts are capped, digests are
 * SHA-256 or refused, and no path, name or number of a document is used before it is checked. */

#include "error.h"
#include "sha256.h"

#define OCI_DOCUMENT_MAX (4 * MIB)
#define OCI_ENTRIES_MAX 1024 /* of one index */
#define OCI_LAYERS_MAX 256
#define OCI_BLOB_MAX (64 * GIB)

typedef enum OciKind { OCI_OTHER, OCI_INDEX, OCI_MANIFEST, OCI_CONFIG, OCI_LAYER } OciKind;

/* What a document says of a blob: its digest is its name. */
typedef struct OciDescriptor {
        OciKind kind;
        uint8_t sha256[SHA256_SIZE];
        uint64_t size_bytes;
        char *tag;                         /* annotation org.opencontainers.image.ref.name; NULL: none */
        char *os, *architecture, *variant; /* of "platform"; NULL: not told */
} OciDescriptor;

/* An index (its manifests), or a manifest (first its config, then its layers, the lowest first). */
typedef struct OciList {
        OciDescriptor *items;
        size_t count;
} OciList;

typedef struct OciConfig {
        char *os, *architecture;
        uint8_t (*layers)[SHA256_SIZE]; /* hashes of the unpacked layers, the lowest first */
        size_t layer_count;
} OciConfig;

/* -EBADMSG with an Error. `what` names the document in messages. */
int oci_parse_layout(const char *text, size_t size, Error *error);
int oci_parse_index(const char *text, size_t size, const char *what, OciList *ret, Error *error);
int oci_parse_manifest(const char *text, size_t size, OciList *ret, Error *error);
int oci_parse_config(const char *text, size_t size, OciConfig *ret, Error *error);

void oci_list_done(OciList *list);
void oci_config_done(OciConfig *config);
#define _cleanup_oci_list_ _cleanup_(oci_list_done)
#define _cleanup_oci_config_ _cleanup_(oci_config_done)
