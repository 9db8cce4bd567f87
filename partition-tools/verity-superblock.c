/* SPDX-License-Identifier: Apache-2.0 */
#include "verity.h"

#include "bytes.h"
#include "file.h"
#include "verity-format.h"

#include <string.h>

static const char algorithm[VERITY_SB_ALGORITHM_SIZE] = "sha256";

int verity_superblock_decode(const uint8_t bytes[static VERITY_SUPERBLOCK_SIZE], VeritySuperblock *ret)
{
        VeritySuperblock superblock = { 0 };

        if (memcmp(bytes, VERITY_SB_MAGIC, VERITY_SB_MAGIC_SIZE) != 0)
                return -ENODATA;
        superblock.data_blocks = read_le64(bytes + VERITY_SB_DATA_BLOCKS_AT);
        superblock.salt_size = read_le16(bytes + VERITY_SB_SALT_SIZE_AT);
        if (read_le32(bytes + VERITY_SB_VERSION_AT) != VERITY_SB_VERSION ||
                        read_le32(bytes + VERITY_SB_HASH_TYPE_AT) != VERITY_SB_HASH_TYPE ||
                        memcmp(bytes + VERITY_SB_ALGORITHM_AT, algorithm, sizeof(algorithm)) != 0 ||
                        read_le32(bytes + VERITY_SB_DATA_BLOCK_AT) != VERITY_BLOCK_SIZE ||
                        read_le32(bytes + VERITY_SB_HASH_BLOCK_AT) != VERITY_BLOCK_SIZE ||
                        superblock.data_blocks == 0 || superblock.data_blocks > VERITY_DATA_BLOCKS_MAX ||
                        superblock.salt_size > sizeof(superblock.salt))
                return -EBADMSG;
        memcpy(superblock.uuid, bytes + VERITY_SB_UUID_AT, sizeof(superblock.uuid));
        memcpy(superblock.salt, bytes + VERITY_SB_SALT_AT, superblock.salt_size);
        *ret = superblock;
        return 0;
}

int verity_superblock_encode(const VeritySuperblock *superblock, uint8_t ret[static VERITY_SUPERBLOCK_SIZE])
{
        if (superblock->data_blocks == 0 || superblock->data_blocks > VERITY_DATA_BLOCKS_MAX ||
                        superblock->salt_size > sizeof(superblock->salt))
                return -EINVAL;
        memset(ret, 0, VERITY_SUPERBLOCK_SIZE);
        memcpy(ret, VERITY_SB_MAGIC, VERITY_SB_MAGIC_SIZE);
        write_le32(ret + VERITY_SB_VERSION_AT, VERITY_SB_VERSION);
        write_le32(ret + VERITY_SB_HASH_TYPE_AT, VERITY_SB_HASH_TYPE);
        memcpy(ret + VERITY_SB_UUID_AT, superblock->uuid, sizeof(superblock->uuid));
        memcpy(ret + VERITY_SB_ALGORITHM_AT, algorithm, sizeof(algorithm));
        write_le32(ret + VERITY_SB_DATA_BLOCK_AT, VERITY_BLOCK_SIZE);
        write_le32(ret + VERITY_SB_HASH_BLOCK_AT, VERITY_BLOCK_SIZE);
        write_le64(ret + VERITY_SB_DATA_BLOCKS_AT, superblock->data_blocks);
        write_le16(ret + VERITY_SB_SALT_SIZE_AT, (uint16_t)superblock->salt_size);
        memcpy(ret + VERITY_SB_SALT_AT, superblock->salt, superblock->salt_size);
        return 0;
}

static uint8_t *block_new(void)
{
        uint8_t *block = aligned_alloc(VERITY_BLOCK_SIZE, VERITY_BLOCK_SIZE);

        if (block)
                memset(block, 0, VERITY_BLOCK_SIZE);
        return block;
}

int verity_superblock_read(int fd, uint64_t offset, VeritySuperblock *ret)
{
        _cleanup_free_ uint8_t *block = block_new();
        int r;

        if (!block)
                return -ENOMEM;
        r = pread_full(fd, block, VERITY_BLOCK_SIZE, offset);
        if (r < 0)
                return r;
        return verity_superblock_decode(block, ret);
}

int verity_superblock_write(int fd, uint64_t offset, const VeritySuperblock *superblock)
{
        _cleanup_free_ uint8_t *block = block_new();
        int r;

        if (!block)
                return -ENOMEM;
        r = verity_superblock_encode(superblock, block);
        if (r < 0)
                return r;
        return pwrite_full(fd, block, VERITY_BLOCK_SIZE, offset);
}

int verity_superblock_erase(int fd, uint64_t offset)
{
        _cleanup_free_ uint8_t *block = block_new();
        int r;

        if (!block)
                return -ENOMEM;
        r = pwrite_full(fd, block, VERITY_BLOCK_SIZE, offset);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}
