/* SPDX-License-Identifier: Apache-2.0 */
#include "sha256.h"

#include "file.h"
#include "hex.h"

#include <openssl/evp.h>

struct Sha256 {
        EVP_MD_CTX *context;
};

/* OpenSSL's digest calls fail only for lack of memory or a broken provider, after which no hash can be
 * trusted: stopping is the one safe answer. */
static void must(int ok)
{
        if (ok != 1)
                abort();
}

Sha256 *sha256_new(void)
{
        Sha256 *hash = calloc(1, sizeof(*hash));

        if (!hash)
                return NULL;
        hash->context = EVP_MD_CTX_new();
        if (!hash->context) {
                free(hash);
                return NULL;
        }
        must(EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL));
        return hash;
}

Sha256 *sha256_free(Sha256 *hash)
{
        if (hash)
                EVP_MD_CTX_free(hash->context);
        free(hash);
        return NULL;
}

void sha256_update(Sha256 *hash, const void *data, size_t size)
{
        must(EVP_DigestUpdate(hash->context, data, size));
}

void sha256_finish(Sha256 *hash, uint8_t ret[static SHA256_SIZE])
{
        must(EVP_DigestFinal_ex(hash->context, ret, NULL));
        must(EVP_DigestInit_ex(hash->context, NULL, NULL));
}

void sha256_restart_from(Sha256 *work, const Sha256 *prefix)
{
        must(EVP_MD_CTX_copy_ex(work->context, prefix->context));
}

void sha256_of(const void *data, size_t size, uint8_t ret[static SHA256_SIZE])
{
        must(EVP_Digest(data, size, ret, NULL, EVP_sha256(), NULL));
}

void sha256_hex_of(const void *data, size_t size, char ret[static SHA256_HEX_SIZE])
{
        uint8_t raw[SHA256_SIZE];

        sha256_of(data, size, raw);
        hex_encode(raw, sizeof(raw), ret);
}

int sha256_of_fd(int fd, uint64_t offset, uint64_t size, uint8_t ret[static SHA256_SIZE])
{
        const size_t chunk_size = 256 * KIB;
        _cleanup_free_ uint8_t *chunk = malloc(chunk_size);
        _cleanup_sha256_ Sha256 *hash = sha256_new();

        if (!chunk || !hash)
                return -ENOMEM;
        while (size > 0) {
                size_t part = MIN_OF(size, chunk_size);
                int r = pread_full(fd, chunk, part, offset);

                if (r < 0)
                        return r;
                sha256_update(hash, chunk, part);
                offset += part;
                size -= part;
        }
        sha256_finish(hash, ret);
        return 0;
}
