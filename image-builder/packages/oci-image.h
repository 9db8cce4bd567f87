/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An image of an OCI image layout, and the tree that its layers make. All of a layout may be hostile: every
 * blob is believed only when its size and SHA-256 are those that its descriptor names, each layer once more
 * when what it unpacks to has the hash in the config, and tar.h refuses what a layer must not do. */

#include "oci-document.h"
#include "tree.h"

typedef struct OciImage {
        Tree *layout;                /* borrowed: "oci-layout", "index.json", "blobs/sha256/..." */
        uint8_t sha256[SHA256_SIZE]; /* of the manifest, and so of all that it names */
        OciList parts;               /* config, layers */
        OciConfig config;
} OciImage;

/* Chooses by tag (NULL: there must be one image only) and Debian's name of the architecture, and reads the
 * manifest and the config. */
int oci_image_open(Tree *layout, const char *tag, const char *architecture, OciImage *ret, Error *error);
void oci_image_done(OciImage *image);

/* Applies the layers to a tree, with whiteouts, the lowest first. They are unpacked into nameless files in
 * `scratch`, an absolute path, of limit_bytes together at most. */
int oci_image_apply(
                const OciImage *image, Tree *tree, const char *scratch, uint64_t limit_bytes, Error *error);
