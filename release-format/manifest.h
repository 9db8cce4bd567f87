/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a release consists of: the TUF target releases/VERSION/ARCH/manifest.json (docs/formats.md). It names
 * the images, how each is checked on the host, and the payloads that produce it. The text is verified
 * against signed TUF metadata before it is parsed, but a stolen key can sign nonsense: every number is
 * bounded, every string is checked. */

#include "error.h"
#include "image-signatures.h"
#include "sha256.h"
#include "version-order.h"

#define MANIFEST_FORMAT 1
#define MANIFEST_MAX (4 * MIB)    /* bytes of JSON */
#define MANIFEST_PAYLOADS_MAX 256 /* per image */
#define MANIFEST_NOTES_MAX (64 * KIB)
#define IMAGE_SIZE_MAX (64 * GIB)
#define ARCHITECTURE_MAX 32  /* bytes */
#define PAYLOAD_PATH_MAX 256 /* bytes */
#define VERITY_SALT_MAX 32

typedef enum ImageKind {
        IMAGE_ROOT, /* read-only root filesystem, for a slot */
        IMAGE_UKI,  /* unified kernel image, for the ESP */
        IMAGE_KIND_MAX
} ImageKind;

/* dm-verity, superblock version 1: sha256, 4096-byte data and hash blocks. */
typedef struct VerityParameters {
        uint8_t salt[VERITY_SALT_MAX];
        size_t salt_size; /* bytes */
        uint8_t root_hash[SHA256_SIZE];
} VerityParameters;

typedef struct PayloadReference {
        char *path;          /* TUF target path, "payloads/..." */
        uint64_t size_bytes; /* the whole file */
        uint8_t sha256[SHA256_SIZE];
        uint64_t index_size_bytes; /* header and op table: the first bytes of the file */
        uint8_t index_sha256[SHA256_SIZE];
        uint64_t memory_bytes;                 /* peak memory of the decoder */
        uint64_t minimum_engine;               /* of a delta: ENGINE_LEVEL that decodes it; 0: any */
        bool is_full;                          /* needs no source */
        uint8_t source_root_hash[SHA256_SIZE]; /* verity root hash of the release it starts from */
        uint8_t source_uki_sha256[SHA256_SIZE];
} PayloadReference;

typedef struct ManifestImage {
        uint64_t size_bytes; /* of the image; the root's is a multiple of 4096 */
        uint8_t sha256[SHA256_SIZE];
        VerityParameters verity;    /* root only */
        ImageSignatures signatures; /* UKI only: what Secure Boot will judge; older releases do not say */
        PayloadReference *payloads; /* the full one is always there and comes first */
        size_t payload_count;
        PayloadReference *pieces; /* the same image in pieces (pieces.h); NULL: there are none */
} ManifestImage;

typedef struct Manifest {
        char *image_id;
        char *version;
        char *architecture;      /* systemd's names: "x86-64", "arm64" */
        uint64_t minimum_engine; /* ENGINE_LEVEL an engine needs to install this */
        char *notes;             /* may be "" */
        ManifestImage images[IMAGE_KIND_MAX];
} Manifest;

/* What this source tree's engine can do; raised when a manifest may need something new. */
#define ENGINE_LEVEL 1

const char *image_kind_name(ImageKind kind); /* "root", "uki" */

/* Whether the text may name an architecture: [a-z0-9-], beginning with a letter or digit. */
bool architecture_is_valid(const char *text);

/* Whether the text may be a PayloadReference.path: below payloads/, no part of it empty, "." or "..". */
bool payload_path_is_valid(const char *text);

/* -EBADMSG with ERROR_UNTRUSTED for a text that breaks a rule, -EPROTONOSUPPORT with ERROR_INCOMPATIBLE for
 * a newer format. Members that are not known are passed over: `minimum_engine` (for the caller to compare
 * with ENGINE_LEVEL) guards what must be understood. */
int manifest_parse(const char *text, size_t size, Manifest **ret, Error *error);

/* Deterministic JSON text, freed by the caller. */
int manifest_format(const Manifest *manifest, char **ret, Error *error);

Manifest *manifest_free(Manifest *manifest);
DEFINE_CLEANUP(Manifest *, manifest_free)

/* The reference whose source is what the host has and that this engine can decode, or the full one.
 * `root_hash` and `uki_sha256` may be NULL: then it is the full one. NULL only for an image without
 * payloads, which manifest_parse() never makes. */
const PayloadReference *manifest_choose_payload(
                const ManifestImage *image, const uint8_t *root_hash, const uint8_t *uki_sha256);
