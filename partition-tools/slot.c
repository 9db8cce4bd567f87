/* SPDX-License-Identifier: Apache-2.0 */
#include "disk.h"

#include <fcntl.h>
#include <string.h>

static const struct {
        const char *name;
        PartitionRole data, hash;
} slots[SLOT_NAME_MAX] = {
        [SLOT_A] = { "a", PARTITION_ROOT_A, PARTITION_ROOT_A_VERITY },
        [SLOT_B] = { "b", PARTITION_ROOT_B, PARTITION_ROOT_B_VERITY },
};

const char *slot_name(SlotName slot)
{
        return (unsigned)slot < SLOT_NAME_MAX ? slots[slot].name : "?";
}

SlotName slot_other(SlotName slot)
{
        return slot == SLOT_A ? SLOT_B : SLOT_A;
}

PartitionRole slot_data_role(SlotName slot)
{
        return slots[slot].data;
}

PartitionRole slot_hash_role(SlotName slot)
{
        return slots[slot].hash;
}

int slot_read(const Disk *disk, SlotName slot, SlotContent *ret, Error *error)
{
        _cleanup_extent_ Extent hash = { .fd = -1 };
        SlotContent content = { 0 };
        int r = disk_open_partition(disk, slot_hash_role(slot), O_RDONLY, &hash, error);

        if (r < 0)
                return r;
        r = verity_superblock_read(hash.fd, hash.offset_bytes, &content.superblock);
        if (r == -ENODATA || r == -EBADMSG) {
                *ret = (SlotContent){ 0 };
                return 0;
        }
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read what slot %s holds: %s", slot_name(slot),
                                strerror(-r));
        content.data_size_bytes = content.superblock.data_blocks * VERITY_BLOCK_SIZE;
        content.is_valid = content.data_size_bytes <= disk->partitions[slot_data_role(slot)].size_bytes &&
                           verity_hash_area_size(content.data_size_bytes) <= hash.size_bytes;
        *ret = content;
        return 0;
}

int slot_find(const Disk *disk, const uint8_t root_hash[static SHA256_SIZE], SlotName *ret)
{
        int first_error = 0;

        for (unsigned slot = 0; slot < SLOT_NAME_MAX; slot++) {
                SlotContent content;
                int r = slot_read(disk, (SlotName)slot, &content, NULL);

                if (r >= 0 && content.is_valid &&
                                memcmp(content.superblock.uuid, root_hash,
                                                sizeof(content.superblock.uuid)) == 0) {
                        *ret = (SlotName)slot;
                        return 0;
                }
                if (r < 0 && first_error == 0)
                        first_error = r;
        }
        return first_error < 0 ? first_error : -ENOENT;
}
