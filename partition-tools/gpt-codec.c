/* SPDX-License-Identifier: Apache-2.0 */
#include "gpt-codec.h"

#include "bytes.h"
#include "gpt-format.h"

#include <string.h>
#include <zlib.h>

uint32_t gpt_crc32(const void *data, size_t size)
{
        return (uint32_t)crc32_z(0, data, size);
}

void gpt_uuid_swap(const uint8_t from[static UUID_SIZE], uint8_t to[static UUID_SIZE])
{
        static const uint8_t order[UUID_SIZE] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
        uint8_t swapped[UUID_SIZE];

        for (size_t i = 0; i < UUID_SIZE; i++)
                swapped[i] = from[order[i]];
        memcpy(to, swapped, UUID_SIZE);
}

uint64_t gpt_entries_sectors(uint32_t entry_count, unsigned sector_size_bytes)
{
        return ((uint64_t)entry_count * GPT_ENTRY_SIZE + sector_size_bytes - 1) / sector_size_bytes;
}

static uint32_t header_crc(const uint8_t *sector)
{
        uint8_t copy[GPT_HEADER_SIZE];

        memcpy(copy, sector, sizeof(copy));
        write_le32(copy + GPT_HEADER_CRC_AT, 0);
        return gpt_crc32(copy, sizeof(copy));
}

static const char *header_mistake(
                const GptHeader *header, uint64_t lba, uint64_t disk_sectors, unsigned sector_size_bytes)
{
        uint64_t sectors = gpt_entries_sectors(header->entry_count, sector_size_bytes);

        if (header->my_lba != lba)
                return "its header says that it belongs elsewhere";
        if (header->entry_count == 0 || header->entry_count > GPT_ENTRIES_MAX)
                return "the number of its entries is out of range";
        if (header->first_usable_lba > header->last_usable_lba || header->last_usable_lba >= disk_sectors)
                return "its usable area does not lie on the disk";
        /* The primary copy takes at least so much in front, wherever the present one lies. */
        if (header->first_usable_lba < 2 + sectors ||
                        (lba >= header->first_usable_lba && lba <= header->last_usable_lba))
                return "its usable area has no room for the table beside it";
        if (header->entries_lba < 2 || header->entries_lba >= disk_sectors ||
                        sectors > disk_sectors - header->entries_lba)
                return "its entries do not lie on the disk";
        if (header->entries_lba <= header->last_usable_lba &&
                        header->entries_lba + sectors > header->first_usable_lba)
                return "its entries lie in the usable area";
        if (lba >= header->entries_lba && lba < header->entries_lba + sectors)
                return "its entries lie over its header";
        return NULL;
}

int gpt_header_decode(const uint8_t *sector, uint64_t lba, uint64_t disk_sectors, unsigned sector_size_bytes,
                GptHeader *ret, const char **ret_reason)
{
        GptHeader header;

        *ret_reason = "it is not there";
        if (memcmp(sector, GPT_MAGIC, GPT_MAGIC_SIZE) != 0)
                return -ENODATA;
        *ret_reason = "it is of a kind that is not used here";
        if (read_le32(sector + GPT_REVISION_AT) != GPT_REVISION ||
                        read_le32(sector + GPT_HEADER_SIZE_AT) != GPT_HEADER_SIZE ||
                        read_le32(sector + GPT_ENTRY_SIZE_AT) != GPT_ENTRY_SIZE)
                return -EBADMSG;
        *ret_reason = "the checksum of its header is wrong";
        if (read_le32(sector + GPT_HEADER_CRC_AT) != header_crc(sector))
                return -EBADMSG;
        header = (GptHeader){
                .my_lba = read_le64(sector + GPT_MY_LBA_AT),
                .alternate_lba = read_le64(sector + GPT_ALTERNATE_LBA_AT),
                .first_usable_lba = read_le64(sector + GPT_FIRST_USABLE_AT),
                .last_usable_lba = read_le64(sector + GPT_LAST_USABLE_AT),
                .entries_lba = read_le64(sector + GPT_ENTRIES_LBA_AT),
                .entry_count = read_le32(sector + GPT_ENTRY_COUNT_AT),
                .entries_crc = read_le32(sector + GPT_ENTRIES_CRC_AT),
        };
        gpt_uuid_swap(sector + GPT_DISK_UUID_AT, header.disk_uuid);
        *ret_reason = header_mistake(&header, lba, disk_sectors, sector_size_bytes);
        if (*ret_reason)
                return -EBADMSG;
        *ret = header;
        return 0;
}

void gpt_header_encode(const GptHeader *header, uint8_t ret[static 512])
{
        memset(ret, 0, 512);
        memcpy(ret, GPT_MAGIC, GPT_MAGIC_SIZE);
        write_le32(ret + GPT_REVISION_AT, GPT_REVISION);
        write_le32(ret + GPT_HEADER_SIZE_AT, GPT_HEADER_SIZE);
        write_le64(ret + GPT_MY_LBA_AT, header->my_lba);
        write_le64(ret + GPT_ALTERNATE_LBA_AT, header->alternate_lba);
        write_le64(ret + GPT_FIRST_USABLE_AT, header->first_usable_lba);
        write_le64(ret + GPT_LAST_USABLE_AT, header->last_usable_lba);
        gpt_uuid_swap(header->disk_uuid, ret + GPT_DISK_UUID_AT);
        write_le64(ret + GPT_ENTRIES_LBA_AT, header->entries_lba);
        write_le32(ret + GPT_ENTRY_COUNT_AT, header->entry_count);
        write_le32(ret + GPT_ENTRY_SIZE_AT, GPT_ENTRY_SIZE);
        write_le32(ret + GPT_ENTRIES_CRC_AT, header->entries_crc);
        write_le32(ret + GPT_HEADER_CRC_AT, header_crc(ret));
}
