/* SPDX-License-Identifier: Apache-2.0 */
#include "init-gpt.h"

#include "bytes.h"

#include <string.h>

/* Header and entries by offset in bytes. */
#define HEADER_SIZE_MIN 92
#define HEADER_SIZE_AT 12
#define HEADER_CRC_AT 16
#define HEADER_MY_LBA_AT 24
#define HEADER_FIRST_LBA_AT 40
#define HEADER_LAST_LBA_AT 48
#define HEADER_ENTRIES_LBA_AT 72
#define HEADER_ENTRY_COUNT_AT 80
#define HEADER_ENTRY_SIZE_AT 84
#define HEADER_ENTRIES_CRC_AT 88
#define ENTRY_UUID_AT 16
#define ENTRY_FIRST_AT 32
#define ENTRY_LAST_AT 40
#define ENTRY_LABEL_AT 56
#define ENTRY_SIZE_MIN 128
#define ENTRY_SIZE_MAX 4096
#define SECTOR_SIZE_MAX 4096

typedef struct Header {
        uint64_t first_lba, last_lba; /* usable for partitions */
        uint64_t entries_lba;
        uint32_t entry_count, entry_size, entries_crc;
} Header;

static const struct {
        GptKind kind;
        const char *uuid; /* Discoverable Partitions Specification */
} kinds[] = {
        { GPT_ESP, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" },
        { GPT_VAR, "4d21b016-b534-45c2-a9fb-5c16e091fd2d" },
#if defined(__x86_64__)
        { GPT_ROOT, "4f68bce3-e8cd-4db1-96e7-fbcaf984b709" },
        { GPT_ROOT_VERITY, "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5" },
#elif defined(__aarch64__)
        { GPT_ROOT, "b921b045-1df0-41c3-af44-4c6f280d3fae" },
        { GPT_ROOT_VERITY, "df3300ce-d69f-4c92-978c-9bfb0f38d820" },
#else
#error "Add this architecture's partition types."
#endif
};

static uint32_t crc_more(uint32_t crc, const uint8_t *data, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                crc ^= data[i];
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (UINT32_C(0xedb88320) & -(crc & 1));
        }
        return crc;
}

/* On disk the first three fields of a UUID are little-endian. */
static void decode_uuid(const uint8_t *bytes, uint8_t ret[static UUID_SIZE])
{
        static const uint8_t order[UUID_SIZE] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

        for (size_t i = 0; i < UUID_SIZE; i++)
                ret[i] = bytes[order[i]];
}

static GptKind kind_of(const uint8_t type[static UUID_SIZE])
{
        for (size_t i = 0; i < ELEMENTS(kinds); i++) {
                uint8_t known[UUID_SIZE];

                if (uuid_parse(kinds[i].uuid, known) >= 0 && memcmp(known, type, UUID_SIZE) == 0)
                        return kinds[i].kind;
        }
        return GPT_OTHER;
}

static int parse_header(uint8_t *sector, const GptSource *source, uint64_t lba, Header *ret)
{
        uint64_t sectors = source->size_bytes / source->sector_size_bytes;
        uint32_t size = read_le32(sector + HEADER_SIZE_AT), crc = read_le32(sector + HEADER_CRC_AT);
        Header header = {
                .first_lba = read_le64(sector + HEADER_FIRST_LBA_AT),
                .last_lba = read_le64(sector + HEADER_LAST_LBA_AT),
                .entries_lba = read_le64(sector + HEADER_ENTRIES_LBA_AT),
                .entry_count = read_le32(sector + HEADER_ENTRY_COUNT_AT),
                .entry_size = read_le32(sector + HEADER_ENTRY_SIZE_AT),
                .entries_crc = read_le32(sector + HEADER_ENTRIES_CRC_AT),
        };

        if (memcmp(sector, "EFI PART", 8) != 0)
                return -ENODATA;
        if (size < HEADER_SIZE_MIN || size > source->sector_size_bytes)
                return -EBADMSG;
        write_le32(sector + HEADER_CRC_AT, 0);
        if ((crc_more(UINT32_MAX, sector, size) ^ UINT32_MAX) != crc ||
                        read_le64(sector + HEADER_MY_LBA_AT) != lba)
                return -EBADMSG;
        if (header.entry_size < ENTRY_SIZE_MIN || header.entry_size > ENTRY_SIZE_MAX ||
                        header.entry_size % ENTRY_SIZE_MIN != 0 || header.entry_count == 0 ||
                        header.entry_count > GPT_PARTITIONS_MAX || header.first_lba > header.last_lba ||
                        header.last_lba >= sectors || header.entries_lba >= sectors)
                return -EBADMSG;
        *ret = header;
        return 0;
}

static void decode_label(const uint8_t *bytes, char ret[static GPT_LABEL_MAX + 1])
{
        size_t length = 0;

        for (; length < GPT_LABEL_MAX; length++) {
                uint16_t unit = read_le16(bytes + 2 * length);

                if (unit == 0)
                        break;
                ret[length] = unit > 0x20 && unit < 0x7f ? (char)unit : '?';
        }
        ret[length] = 0;
}

static bool overlaps(const GptTable *table, const GptPartition *new)
{
        for (unsigned i = 0; i < table->count; i++) {
                const GptPartition *old = &table->partitions[i];

                if (new->offset_bytes < old->offset_bytes + old->size_bytes &&
                                old->offset_bytes < new->offset_bytes + new->size_bytes)
                        return true;
        }
        return false;
}

/* Adds one entry, unless it is unused. */
static int parse_entry(const uint8_t *entry, unsigned number, const GptSource *source, const Header *header,
                GptTable *table)
{
        uint64_t first = read_le64(entry + ENTRY_FIRST_AT), last = read_le64(entry + ENTRY_LAST_AT);
        GptPartition *partition = &table->partitions[table->count];
        uint8_t type[UUID_SIZE];

        decode_uuid(entry, type);
        if (uuid_is_nil(type))
                return 0;
        if (first < header->first_lba || first > last || last > header->last_lba)
                return -EBADMSG;
        *partition = (GptPartition){
                .number = number,
                .kind = kind_of(type),
                .offset_bytes = first *
                                source->sector_size_bytes, /* last_lba lies on the disk: no overflow */
                .size_bytes = (last - first + 1) * source->sector_size_bytes,
        };
        decode_uuid(entry + ENTRY_UUID_AT, partition->uuid);
        decode_label(entry + ENTRY_LABEL_AT, partition->label);
        if (overlaps(table, partition))
                return -EBADMSG;
        table->count++;
        return 0;
}

static int read_table(const GptSource *source, uint64_t lba, GptTable *ret)
{
        uint8_t buffer[SECTOR_SIZE_MAX];
        uint32_t crc = UINT32_MAX;
        Header header;
        int r = source->read(
                        source->data, lba * source->sector_size_bytes, buffer, source->sector_size_bytes);

        if (r >= 0)
                r = parse_header(buffer, source, lba, &header);
        if (r < 0)
                return r;
        ret->count = 0;
        for (uint32_t i = 0; i < header.entry_count; i++) {
                uint64_t offset = header.entries_lba * source->sector_size_bytes +
                                  (uint64_t)i * header.entry_size;

                if (offset > source->size_bytes || source->size_bytes - offset < header.entry_size)
                        return -EBADMSG;
                r = source->read(source->data, offset, buffer, header.entry_size);
                if (r < 0)
                        return r;
                crc = crc_more(crc, buffer, header.entry_size);
                r = parse_entry(buffer, i + 1, source, &header, ret);
                if (r < 0)
                        return r;
        }
        return (crc ^ UINT32_MAX) == header.entries_crc ? 0 : -EBADMSG;
}

int gpt_read(const GptSource *source, GptTable *ret)
{
        unsigned sector_size = source->sector_size_bytes;
        int primary, backup;

        if (sector_size < 512 || sector_size > SECTOR_SIZE_MAX || (sector_size & (sector_size - 1)) != 0)
                return -EINVAL;
        if (source->size_bytes / sector_size < 3)
                return -ENODATA;
        ret->is_backup = false;
        primary = read_table(source, 1, ret);
        if (primary >= 0)
                return 0;
        ret->is_backup = true;
        backup = read_table(source, source->size_bytes / sector_size - 1, ret);
        if (backup >= 0)
                return 0;
        ret->count = 0;
        return primary == -ENODATA ? backup : primary;
}

const GptPartition *gpt_find_kind(const GptTable *table, GptKind kind)
{
        for (unsigned i = 0; i < table->count; i++)
                if (table->partitions[i].kind == kind)
                        return &table->partitions[i];
        return NULL;
}

const GptPartition *gpt_find_uuid(const GptTable *table, const uint8_t uuid[static UUID_SIZE])
{
        for (unsigned i = 0; i < table->count; i++)
                if (memcmp(table->partitions[i].uuid, uuid, UUID_SIZE) == 0)
                        return &table->partitions[i];
        return NULL;
}
