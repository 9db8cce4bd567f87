/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Programs for EFI as files: where the signatures are, and the digest that they are over (Microsoft, PE
 * Format and Windows Authenticode Portable Executable Signature Format; UEFI specification, section 32.5).
 *
 * The digest covers the whole file but the checksum, the entry of the data directory that says where the
 * signatures are, and the signatures. That holds for a file whose sections follow its headers and each other
 * without gaps, and whose signatures are the last thing in it. How to hash other files is where firmwares
 * differ, so they are refused. The file may be anything. */

#include "error.h"
#include "image-signatures.h"
#include "sha256.h"

#define PE_CERTIFICATES_MAX (64 * KIB) /* bytes of all signatures of a file */

typedef struct PeImage {
        uint64_t size_bytes;         /* of the file */
        uint64_t checksum_offset;    /* of the four bytes of the checksum */
        uint64_t directory_offset;   /* of the eight bytes that say where the signatures are */
        uint64_t content_bytes;      /* of the file without signatures */
        uint64_t certificates_bytes; /* of signatures; 0: there are none */
        uint64_t table_offset;       /* of the headers of sections */
        unsigned section_count;
} PeImage;

/* -EBADMSG with ERROR_CORRUPT for anything but a PE32+ file as above. */
int pe_image_read(int fd, PeImage *ret, Error *error);

/* The bytes of a section, without what fills it up; the name has at most 8 characters. -ENOENT when there is
 * none. */
int pe_image_section_size(int fd, const PeImage *image, const char *name, uint64_t *ret);

/* Authenticode's SHA-256 of a file. A file without signatures is hashed as if it were filled up to a
 * multiple of eight bytes, as it is when it gets some. */
int pe_image_digest(int fd, const PeImage *image, uint8_t ret[static SHA256_SIZE], Error *error);

/* Digest and signatures of a file. Signatures of other kinds than PKCS#7 are passed over. */
int pe_image_read_signatures(int fd, ImageSignatures *ret, Error *error);

/* Adds one signature to a file that has none and is open for writing. Not atomic. */
int pe_image_append_signature(int fd, const void *data, size_t size, Error *error);
