/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Unpacks a stream into a file: gzip (RFC 1952, any number of members), xz, zstd (RFC 8878), or nothing at
 * all, as its first bytes tell. The stream may be hostile: memory is bounded (xz by 128 MiB, zstd by a
 * window of 128 MiB) and what comes out by a limit of the caller's. */

#include "error.h"
#include "sha256.h"

typedef struct UnpackSource {
        /* Exactly `size` bytes from `offset`; a negative errno. */
        int (*read)(void *data, uint64_t offset, void *ret, size_t size);
        void *data;
        uint64_t size_bytes;
} UnpackSource;

typedef struct Unpacked {
        uint64_t size_bytes;
        uint8_t packed_sha256[SHA256_SIZE]; /* of the source as it is */
        uint8_t sha256[SHA256_SIZE];        /* of what came out */
} Unpacked;

/* Appends to `to`. Without `ret` nothing is hashed. -EFBIG with ERROR_REFUSED past the limit, -EBADMSG with
 * ERROR_CORRUPT for a stream that is damaged or cut off. */
int unpack(const UnpackSource *from, int to, uint64_t limit_bytes, Unpacked *ret, Error *error);

/* A source over a descriptor (data is a pointer to it). */
int unpack_read_fd(void *data, uint64_t offset, void *ret, size_t size);
