/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lists of what a platform trusts or forbids, as EFI variables hold them: EFI_SIGNATURE_LIST (UEFI
 * specification, section 32.4.1). The bytes may be anything. */

#include "buffer.h"

typedef enum EfiSignatureKind {
        EFI_SIGNATURE_OTHER,            /* passed over */
        EFI_SIGNATURE_SHA256,           /* the digest of a program */
        EFI_SIGNATURE_X509,             /* a certificate, DER */
        EFI_SIGNATURE_CERTIFICATE_HASH, /* of a certificate's signed part: 32, 48 or 64 bytes of SHA-2 */
        EFI_SIGNATURE_KIND_MAX
} EfiSignatureKind;

#define EFI_GUID_SIZE 16

typedef struct EfiSignature {
        EfiSignatureKind kind;
        const uint8_t *data; /* borrowed */
        size_t size;
} EfiSignature;

/* Walks through lists one after the other; zeroed, then `next` and `left` set. */
typedef struct EfiSignatureReader {
        const uint8_t *next;
        size_t left;
        const uint8_t *list_next; /* in the present list */
        size_t list_left, item_size, hash_size;
        EfiSignatureKind kind;
} EfiSignatureReader;

/* 1 with the next one, 0 at the end, -EBADMSG when the lists are damaged. */
int efi_signatures_next(EfiSignatureReader *reader, EfiSignature *ret);

/* Appends a list with one certificate. As buffer_append(). */
int efi_signatures_append_certificate(
                Buffer *buffer, const uint8_t owner[static EFI_GUID_SIZE], const void *der, size_t size);
