/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of oci-image.h share. Nobody else includes this. */

#include "oci-image.h"

/* A blob that is a document, whole and proved; NUL-terminated, freed by the caller. */
int oci_read_document(Tree *layout, const OciDescriptor *blob, char **ret, size_t *ret_size, Error *error);
/* The descriptor has kind, hash and size only. */
int oci_find_manifest(
                Tree *layout, const char *tag, const char *architecture, OciDescriptor *ret, Error *error);
