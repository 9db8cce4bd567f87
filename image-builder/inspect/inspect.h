/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a file or folder is, as JSON for `bascule-image inspect`: member "kind" says what was found, the
 * others explain it. Everything inspected may be hostile or damaged. One file for each group of kinds, one
 * row for each kind in inspect.c. */

#include "error.h"
#include "image-signatures.h"

#include <jansson.h>

/* -EMEDIUMTYPE with ERROR_INCOMPATIBLE for something that is not ours. */
int inspect_path(const char *path, json_t **ret, Error *error);

/* inspect-folder.c */
int inspect_repository(const char *path, json_t **ret, Error *error);
int inspect_image_folder(const char *path, json_t **ret, Error *error);

/* inspect-text.c: release manifest, channel */
int inspect_manifest(const char *path, json_t **ret, Error *error);
int inspect_channel(const char *path, json_t **ret, Error *error);
json_t *channel_releases_json(const char *text, size_t size, Error *error);

/* inspect-image.c: payload, root image, disk */
int inspect_payload(const char *path, json_t **ret, Error *error);
int inspect_root_image(const char *path, json_t **ret, Error *error);
int inspect_disk(const char *path, json_t **ret, Error *error);

/* inspect-program.c: a UKI, or the boot loader */
int inspect_program(const char *path, json_t **ret, Error *error);
/* Who signed for Secure Boot, as an array of names, or "unknown"; NULL when out of memory. Names are what
 * the certificates that came along say: nobody vouches for them here. */
json_t *inspect_signers(const ImageSignatures *signatures);

/* A string of hexadecimal digits; NULL when out of memory. */
json_t *inspect_hex(const uint8_t *data, size_t size);
