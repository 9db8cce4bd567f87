/* SPDX-License-Identifier: Apache-2.0 */
/* A hash area: superblock, then tree; the data is the same bytes. */

#include "fuzz.h"

#include "file.h"
#include "verity.h"

#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t bytes[VERITY_SUPERBLOCK_SIZE] = { 0 }, root_hash[SHA256_SIZE] = { 0 };
        VeritySuperblock superblock, again;
        int fd, r;

        memcpy(bytes, data, MIN_OF(size, sizeof(bytes)));
        if (verity_superblock_decode(bytes, &superblock) >= 0) {
                MUST(superblock.salt_size <= sizeof(superblock.salt));
                MUST(verity_superblock_encode(&superblock, bytes) >= 0);
                MUST(verity_superblock_decode(bytes, &again) >= 0);
                MUST(memcmp(&superblock, &again, sizeof(again)) == 0);
                MUST(verity_hash_area_size(superblock.data_blocks * VERITY_BLOCK_SIZE) >= VERITY_BLOCK_SIZE);
        }
        fd = memfd_create("hash", MFD_CLOEXEC);
        MUST(fd >= 0 && write_full(fd, data, size) >= 0);
        r = verity_stored_root_hash(fd, 0, fd, 0, root_hash);
        if (verity_verify(fd, 0, fd, 0, root_hash, NULL, NULL, NULL) >= 0)
                MUST(r >= 0);
        (void)fd_close(fd);
        return 0;
}
