/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What firmware under Secure Boot judges a program by: the Authenticode digest of its file (Microsoft,
 * Windows Authenticode Portable Executable Signature Format) and the signatures over that digest. Read from
 * the file itself, or ahead of the file from a release's manifest, where it is
 *
 *     "secure-boot": {"digest": HEX, "signatures": [HEX, ...]}
 *
 * A plain value; what it holds is copied, and is hostile until it has been judged (secure-boot.h). */

#include "error.h"
#include "sha256.h"

#include <jansson.h>

#define IMAGE_SIGNATURES_MAX 4
#define IMAGE_SIGNATURE_MAX (16 * KIB) /* bytes of one, PKCS#7 in DER */

typedef struct ImageSignature {
        uint8_t *data;
        size_t size;
} ImageSignature;

typedef struct ImageSignatures {
        bool is_known; /* false: nothing was said, and the rest is nought */
        uint8_t digest[SHA256_SIZE];
        ImageSignature items[IMAGE_SIGNATURES_MAX]; /* none: the program is not signed */
        size_t count;
} ImageSignatures;

/* One more, copied. -E2BIG past either limit, -ENOMEM. */
int image_signatures_add(ImageSignatures *signatures, const void *data, size_t size);
void image_signatures_done(ImageSignatures *signatures);

/* The JSON object above. -EBADMSG with ERROR_UNTRUSTED for one that breaks a rule. */
int image_signatures_parse(const json_t *json, ImageSignatures *ret, Error *error);
/* NULL when out of memory. */
json_t *image_signatures_json(const ImageSignatures *signatures);
