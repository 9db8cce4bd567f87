/* SPDX-License-Identifier: Apache-2.0 */
#include "fat-volume.h"

#include "bytes.h"
#include "fat-format.h"
#include "file.h"

#include <ctype.h>
#include <string.h>

#define BOOT_SECTOR_SIZE 512
#define SECTOR_SIZE_MAX 4096
#define CLUSTER_SIZE_MAX (64 * 1024)
#define FAT16_CLUSTERS_MIN 4085
#define FAT32_CLUSTERS_MIN 65525
#define NAME_SIZE 8
#define SHORT_SIZE 11

/* Layout in sectors, from the boot sector. */
static int parse_geometry(const uint8_t *boot, FatVolume *volume)
{
        uint64_t sector = read_le16(boot + FAT_SECTOR_SIZE_AT),
                 per_cluster = boot[FAT_SECTORS_PER_CLUSTER_AT];
        uint64_t reserved = read_le16(boot + FAT_RESERVED_AT), tables = boot[FAT_TABLE_COUNT_AT];
        uint64_t root_slots = read_le16(boot + FAT_ROOT_ENTRIES_AT);
        uint64_t sectors = read_le16(boot + FAT_SECTORS_SMALL_AT);
        uint64_t table_sectors = read_le16(boot + FAT_TABLE_SECTORS_SMALL_AT), root_sectors, before;

        if (sector < 512 || sector > SECTOR_SIZE_MAX || (sector & (sector - 1)) != 0 || per_cluster == 0 ||
                        (per_cluster & (per_cluster - 1)) != 0 || sector * per_cluster > CLUSTER_SIZE_MAX ||
                        reserved == 0 || tables < 1 || tables > 2)
                return -EOPNOTSUPP;
        if (sectors == 0)
                sectors = read_le32(boot + FAT_SECTORS_AT);
        if (table_sectors == 0)
                table_sectors = read_le32(boot + FAT32_TABLE_SECTORS_AT);
        root_sectors = (root_slots * FAT_SLOT_SIZE + sector - 1) / sector;
        before = reserved + tables * table_sectors + root_sectors;
        if (before >= sectors)
                return -EBADMSG;
        volume->sector_size_bytes = (unsigned)sector;
        volume->cluster_size_bytes = (unsigned)(sector * per_cluster);
        volume->table_count = (unsigned)tables;
        volume->table_offset_bytes = reserved * sector;
        volume->table_size_bytes = table_sectors * sector;
        volume->root_offset_bytes = (reserved + tables * table_sectors) * sector;
        volume->root_slots = (uint32_t)root_slots;
        volume->data_offset_bytes = before * sector;
        if ((sectors - before) / per_cluster > FAT_CLUSTERS_MAX)
                return -EOPNOTSUPP;
        volume->cluster_count = (uint32_t)((sectors - before) / per_cluster);
        return 0;
}

static int check_kind(const uint8_t *boot, FatVolume *volume)
{
        size_t width = 2;

        if (volume->cluster_count < FAT16_CLUSTERS_MIN)
                return -EOPNOTSUPP;
        volume->is_fat32 = volume->cluster_count >= FAT32_CLUSTERS_MIN;
        if (volume->is_fat32 != (volume->root_slots == 0))
                return -EOPNOTSUPP;
        if (volume->is_fat32) {
                width = 4;
                volume->root_cluster = read_le32(boot + FAT32_ROOT_CLUSTER_AT);
                if (!fat_is_cluster(volume, volume->root_cluster))
                        return -EBADMSG;
        }
        volume->table_used_bytes = ((size_t)volume->cluster_count + 2) * width;
        return volume->table_used_bytes > volume->table_size_bytes ? -EBADMSG : 0;
}

int fat_volume_open(int fd, FatVolume *ret)
{
        return fat_volume_open_at(fd, 0, ret);
}

int fat_volume_open_at(int fd, uint64_t offset_bytes, FatVolume *ret)
{
        _cleanup_fat_volume_ FatVolume volume = { .fd = fd };
        uint8_t boot[BOOT_SECTOR_SIZE];
        int r = pread_full(fd, boot, sizeof(boot), offset_bytes);

        if (r < 0)
                return r;
        if (boot[FAT_SIGNATURE_AT] != 0x55 || boot[FAT_SIGNATURE_AT + 1] != 0xaa)
                return -EOPNOTSUPP;
        r = parse_geometry(boot, &volume);
        if (r >= 0)
                r = check_kind(boot, &volume);
        if (r < 0)
                return r;
        volume.table_offset_bytes += offset_bytes;
        volume.root_offset_bytes += offset_bytes;
        volume.data_offset_bytes += offset_bytes;
        volume.table = malloc(volume.table_used_bytes);
        if (!volume.table)
                return -ENOMEM;
        r = pread_full(fd, volume.table, volume.table_used_bytes, volume.table_offset_bytes);
        if (r < 0)
                return r;
        *ret = volume;
        volume.table = NULL;
        return 0;
}

void fat_volume_done(FatVolume *volume)
{
        free(volume->table);
        volume->table = NULL;
}

bool fat_is_cluster(const FatVolume *volume, uint32_t cluster)
{
        return cluster >= 2 && cluster - 2 < volume->cluster_count;
}

uint32_t fat_next(const FatVolume *volume, uint32_t cluster)
{
        if (volume->is_fat32)
                return read_le32(volume->table + (size_t)cluster * 4) & FAT32_MASK;
        return read_le16(volume->table + (size_t)cluster * 2);
}

bool fat_is_bad(const FatVolume *volume, uint32_t value)
{
        return value == (volume->is_fat32 ? FAT32_BAD : FAT16_BAD);
}

bool fat_is_end(const FatVolume *volume, uint32_t value)
{
        return value > (volume->is_fat32 ? FAT32_BAD : FAT16_BAD);
}

void fat_free(FatVolume *volume, uint32_t cluster)
{
        uint8_t *at = volume->table + (size_t)cluster * (volume->is_fat32 ? 4 : 2);

        if (volume->is_fat32)
                write_le32(at, read_le32(at) & ~FAT32_MASK); /* the upper bits are not ours */
        else
                write_le16(at, FAT_FREE);
}

uint64_t fat_cluster_offset(const FatVolume *volume, uint32_t cluster)
{
        return volume->data_offset_bytes + (uint64_t)(cluster - 2) * volume->cluster_size_bytes;
}

/* Pieces of a long name on their way to the slot that they belong to. */
typedef struct Reading {
        FatEntry entry;
        unsigned expected; /* number of the next piece; 0: the short name */
        uint8_t sum;
        bool has_long;
} Reading;

static void reading_start(Reading *reading)
{
        *reading = (Reading){ 0 };
}

static void take_piece(Reading *reading, const uint8_t *slot, uint64_t offset)
{
        static const uint8_t units[FAT_LONG_UNITS] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };
        unsigned number = slot[0] & ~FAT_LONG_LAST;

        if (slot[0] & FAT_LONG_LAST) {
                reading_start(reading);
                reading->expected = number;
                reading->sum = slot[FAT_LONG_SUM_AT];
                reading->has_long = true;
        }
        if (!reading->has_long || number == 0 || number > FAT_LONG_PIECES_MAX ||
                        number != reading->expected || slot[FAT_LONG_SUM_AT] != reading->sum) {
                reading_start(reading);
                return;
        }
        for (size_t i = 0; i < FAT_LONG_UNITS; i++) {
                uint16_t unit = read_le16(slot + units[i]);
                size_t at = (number - 1) * FAT_LONG_UNITS + i;

                if (at < FAT_NAME_MAX && unit != 0xffff)
                        reading->entry.name[at] =
                                        unit == 0 || (unit >= 0x20 && unit < 0x7f) ? (char)unit : '?';
        }
        reading->entry.slots[reading->entry.slot_count++] = offset;
        reading->expected--;
}

static uint8_t short_sum(const uint8_t *slot)
{
        uint8_t sum = 0;

        for (size_t i = 0; i < SHORT_SIZE; i++)
                sum = (uint8_t)((sum >> 1 | sum << 7) + slot[i]);
        return sum;
}

static size_t take_short_part(const uint8_t *part, size_t size, bool is_lower, char *ret)
{
        size_t used = 0;

        while (size > 0 && part[size - 1] == ' ')
                size--;
        for (; used < size; used++) {
                char c = part[used] >= 0x20 && part[used] < 0x7f ? (char)part[used] : '?';

                ret[used] = is_lower ? (char)tolower((unsigned char)c) : c;
        }
        return used;
}

static void take_short_name(const uint8_t *slot, char *ret)
{
        size_t used = take_short_part(slot, NAME_SIZE, slot[FAT_SLOT_CASE_AT] & 8, ret);
        char extension[SHORT_SIZE - NAME_SIZE];
        size_t length = take_short_part(
                        slot + NAME_SIZE, sizeof(extension), slot[FAT_SLOT_CASE_AT] & 16, extension);

        if (length > 0) {
                ret[used++] = '.';
                memcpy(ret + used, extension, length);
        }
        ret[used + length] = 0;
}

static void take_slot(const FatVolume *volume, Reading *reading, const uint8_t *slot, uint64_t offset)
{
        FatEntry *entry = &reading->entry;

        if (!reading->has_long || reading->expected != 0 || reading->sum != short_sum(slot)) {
                reading_start(reading);
                take_short_name(slot, entry->name);
        }
        entry->slots[entry->slot_count++] = offset;
        entry->is_folder = slot[FAT_SLOT_ATTRIBUTES_AT] & FAT_ATTRIBUTE_FOLDER;
        entry->size_bytes = read_le32(slot + FAT_SLOT_SIZE_AT);
        entry->first_cluster = read_le16(slot + FAT_SLOT_CLUSTER_AT);
        if (volume->is_fat32)
                entry->first_cluster |= (uint32_t)read_le16(slot + FAT_SLOT_CLUSTER_HIGH_AT) << 16;
}

/* One contiguous run of slots. 1 when the folder ends in it. */
static int walk_run(
                const FatVolume *volume, uint64_t offset, size_t size, Reading *reading, const FatWalk *walk)
{
        _cleanup_free_ uint8_t *data = malloc(size);
        int r;

        if (!data)
                return -ENOMEM;
        r = pread_full(volume->fd, data, size, offset);
        for (size_t i = 0; r >= 0 && i + FAT_SLOT_SIZE <= size; i += FAT_SLOT_SIZE) {
                const uint8_t *slot = data + i;
                uint8_t attributes = slot[FAT_SLOT_ATTRIBUTES_AT];

                if (slot[0] == FAT_SLOT_END)
                        return 1;
                if (slot[0] == FAT_SLOT_DELETED) {
                        reading_start(reading);
                        continue;
                }
                if ((attributes & 0x3f) == FAT_ATTRIBUTES_LONG) {
                        take_piece(reading, slot, offset + i);
                        continue;
                }
                if (!(attributes & FAT_ATTRIBUTE_LABEL) && slot[0] != '.') {
                        take_slot(volume, reading, slot, offset + i);
                        r = walk->visit(walk->data, &reading->entry);
                }
                reading_start(reading);
        }
        return r < 0 ? r : 0;
}

int fat_walk(const FatVolume *volume, uint32_t first_cluster, const FatWalk *walk)
{
        uint32_t cluster = first_cluster ? first_cluster : volume->root_cluster;
        Reading reading;
        int r = 0;

        reading_start(&reading);
        if (first_cluster == 0 && !volume->is_fat32) {
                r = walk_run(volume, volume->root_offset_bytes, (size_t)volume->root_slots * FAT_SLOT_SIZE,
                                &reading, walk);
                return r < 0 ? r : 0;
        }
        /* Also past the end of the slots: all clusters must be claimed. A claim that is granted once only
         * keeps a chain that bites its own tail from going on for ever. */
        for (;;) {
                if (!fat_is_cluster(volume, cluster) || !walk->claim(walk->data, cluster))
                        return -EBADMSG;
                if (r == 0)
                        r = walk_run(volume, fat_cluster_offset(volume, cluster), volume->cluster_size_bytes,
                                        &reading, walk);
                if (r < 0)
                        return r;
                cluster = fat_next(volume, cluster);
                if (fat_is_end(volume, cluster))
                        return 0;
        }
}
