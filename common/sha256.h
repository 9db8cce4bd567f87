/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SHA-256 (FIPS 180-4) over OpenSSL's implementation, which picks the processor's instructions. */

#include "macro.h"

#define SHA256_SIZE 32
#define SHA256_HEX_SIZE (2 * SHA256_SIZE + 1) /* with the NUL */

typedef struct Sha256 Sha256;

/* NULL when out of memory. A context can be reused: sha256_finish() starts it again. */
Sha256 *sha256_new(void);
Sha256 *sha256_free(Sha256 *hash);
void sha256_update(Sha256 *hash, const void *data, size_t size);
void sha256_finish(Sha256 *hash, uint8_t ret[static SHA256_SIZE]);

/* A context that has already taken `prefix`, cheap to restart: sha256_restart_from(work, prefix) makes
 * `work` continue from it. Used for salted block hashing. */
void sha256_restart_from(Sha256 *work, const Sha256 *prefix);

/* One buffer at once. */
void sha256_of(const void *data, size_t size, uint8_t ret[static SHA256_SIZE]);
void sha256_hex_of(const void *data, size_t size, char ret[static SHA256_HEX_SIZE]);

/* Hash of `size` bytes of a file from `offset`, by pread. -EIO when the file ends early. */
int sha256_of_fd(int fd, uint64_t offset, uint64_t size, uint8_t ret[static SHA256_SIZE]);

DEFINE_CLEANUP(Sha256 *, sha256_free)
#define _cleanup_sha256_ _cleanup_(sha256_freep)
