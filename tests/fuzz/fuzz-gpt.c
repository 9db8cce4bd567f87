/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables. An input changes a good disk image, so that it need not guess checksums:
 *
 *     u8 flags (1: sectors of 4096 bytes, 2: mend all checksums afterwards), u8 MiB by which the disk has
 * grown, then records: u8 region, u16 offset, u8 length, bytes.
 *
 * Whatever comes out of it: reading does not write, partitions handed out lie on the disk, and what growth
 * writes is a good table with the same partitions. */

#include "fuzz.h"

#include "../unit/disk-image.h"
#include "grow.h"

enum {
        DISK_START,
        DISK_END,
        PRIMARY_HEADER,
        PRIMARY_ENTRIES,
        BACKUP_HEADER,
        BACKUP_ENTRIES,
        BOTH_HEADERS,
        BOTH_ENTRIES
};

#define ENTRIES_SIZE ((uint64_t)128 * GPT_ENTRY_SIZE)

typedef struct Image {
        int fd;
        unsigned sector;
        uint64_t size; /* when it was made */
} Image;

static void put(const Image *image, uint64_t at, const uint8_t *bytes, size_t length)
{
        if (at < image->size && length <= image->size - at)
                (void)pwrite_full(image->fd, bytes, length, at);
}

static void apply(const Image *image, uint8_t region, uint64_t offset, const uint8_t *bytes, size_t length)
{
        uint64_t backup_header = image->size - image->sector, backup_entries = backup_header - ENTRIES_SIZE;
        uint64_t primary_entries = (uint64_t)2 * image->sector;

        switch (region % 8) {
        case DISK_START:
                put(image, offset, bytes, length);
                break;
        case DISK_END:
                put(image, image->size - 1 - offset, bytes, length);
                break;
        default:
                if (region % 8 == PRIMARY_HEADER || region % 8 == BOTH_HEADERS)
                        put(image, image->sector + offset, bytes, length);
                if (region % 8 == BACKUP_HEADER || region % 8 == BOTH_HEADERS)
                        put(image, backup_header + offset, bytes, length);
                if (region % 8 == PRIMARY_ENTRIES || region % 8 == BOTH_ENTRIES)
                        put(image, primary_entries + offset, bytes, length);
                if (region % 8 == BACKUP_ENTRIES || region % 8 == BOTH_ENTRIES)
                        put(image, backup_entries + offset, bytes, length);
        }
}

/* Of the numbers as they are now: where the entries are said to be, as many as are said to be. */
static void mend_checksums(const Image *image, uint64_t header_at)
{
        uint8_t header[512], *entries;
        uint64_t at, size;

        if (pread_full(image->fd, header, sizeof(header), header_at) < 0)
                return;
        size = (uint64_t)read_le32(header + GPT_ENTRY_COUNT_AT) * read_le32(header + GPT_ENTRY_SIZE_AT);
        entries = size <= MIB ? malloc(size + 1) : NULL;
        if (entries &&
                        !MUL_OVERFLOWS(read_le64(header + GPT_ENTRIES_LBA_AT), (uint64_t)image->sector,
                                        &at) &&
                        at < image->size && pread_full(image->fd, entries, size, at) >= 0)
                write_le32(header + GPT_ENTRIES_CRC_AT, gpt_crc32(entries, size));
        free(entries);
        write_le32(header + GPT_HEADER_CRC_AT, 0);
        write_le32(header + GPT_HEADER_CRC_AT,
                        gpt_crc32(header, MIN_OF(read_le32(header + GPT_HEADER_SIZE_AT), sizeof(header))));
        (void)pwrite_full(image->fd, header, sizeof(header), header_at);
}

static void check_disk(const Disk *disk)
{
        for (unsigned i = 0; i < PARTITION_ROLE_MAX; i++) {
                const Partition *a = &disk->partitions[i];

                if (!a->exists)
                        continue;
                MUST(a->size_bytes > 0 && a->offset_bytes >= 2 * disk->sector_size_bytes);
                MUST(a->offset_bytes < disk->size_bytes &&
                                a->size_bytes <= disk->size_bytes - a->offset_bytes);
                for (unsigned j = 0; j < i; j++) {
                        const Partition *b = &disk->partitions[j];

                        MUST(!b->exists || a->offset_bytes >= b->offset_bytes + b->size_bytes ||
                                        b->offset_bytes >= a->offset_bytes + a->size_bytes);
                }
        }
        for (unsigned slot = 0; slot < SLOT_NAME_MAX; slot++) {
                SlotContent content;

                MUST(slot_read(disk, (SlotName)slot, &content, NULL) >= 0);
        }
}

static void try_growth(const Image *image, const Disk *before)
{
        _cleanup_(disk_freep) Disk *after = NULL;
        GrowResult result;
        char path[64];

        if (grow_disk(image_path(image->fd, path), &result, NULL) < 0)
                return;
        MUST(disk_open(path, &after, NULL) >= 0);
        MUST(gpt_report_is_good(&after->table));
        MUST(result.var_after_bytes >= result.var_before_bytes);
        for (unsigned i = 0; i < PARTITION_VAR; i++)
                MUST(after->partitions[i].offset_bytes == before->partitions[i].offset_bytes &&
                                after->partitions[i].size_bytes == before->partitions[i].size_bytes);
        MUST(after->partitions[PARTITION_VAR].offset_bytes ==
                        before->partitions[PARTITION_VAR].offset_bytes);
}

/* There and back again the partitions are what they were. */
static void try_other_sectors(Gpt *gpt)
{
        unsigned before = gpt->sector_size_bytes;
        size_t size = (size_t)gpt->entry_count * GPT_ENTRY_SIZE;
        _cleanup_free_ uint8_t *entries = malloc(size);

        MUST(entries);
        memcpy(entries, gpt->entries, size);
        if (gpt_convert(gpt, before == 512 ? 4096 : 512) >= 0) {
                MUST(gpt_check(gpt, NULL) >= 0);
                (void)gpt_convert(gpt, before); /* a table can take more room than ours do */
        }
        if (gpt->sector_size_bytes == before)
                MUST(memcmp(entries, gpt->entries, size) == 0);
}

static void try_image(const Image *image)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        char path[64];

        if (gpt_read(image->fd, 0, &gpt, NULL) >= 0) {
                GptEntry entry;

                for (uint32_t i = 0; i < gpt->entry_count; i++)
                        (void)gpt_get(gpt, i, &entry);
                if (gpt_check(gpt, NULL) >= 0)
                        try_other_sectors(gpt);
        }
        if (disk_open(image_path(image->fd, path), &disk, NULL) < 0)
                return;
        MUST(gpt);
        check_disk(disk);
        try_growth(image, disk);
}

/* Both ends of a good image: making one anew each time would be most of the work. */
static int fresh_image(unsigned sector)
{
        static uint8_t ends[2][2][64 * KIB];
        static uint64_t sizes[2];
        unsigned kind = sector == 512 ? 0 : 1;
        int fd;

        if (sizes[kind] == 0) {
                fd = image_new(sector);
                MUST(fd >= 0 && fd_size(fd, &sizes[kind]) >= 0);
                MUST(pread_full(fd, ends[kind][0], sizeof(ends[0][0]), 0) >= 0);
                MUST(pread_full(fd, ends[kind][1], sizeof(ends[0][1]), sizes[kind] - sizeof(ends[0][1])) >=
                                0);
                (void)fd_close(fd);
        }
        fd = memfd_create("disk", MFD_CLOEXEC);
        MUST(fd >= 0 && ftruncate(fd, (off_t)sizes[kind]) == 0);
        MUST(pwrite_full(fd, ends[kind][0], sizeof(ends[0][0]), 0) >= 0);
        MUST(pwrite_full(fd, ends[kind][1], sizeof(ends[0][1]), sizes[kind] - sizeof(ends[0][1])) >= 0);
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Image image = { .fd = -1, .sector = 512 };

        if (size < 2)
                return 0;
        if ((data[0] & 1) != 0)
                image.sector = 4096;
        image.fd = fresh_image(image.sector);
        MUST(fd_size(image.fd, &image.size) >= 0);
        for (size_t at = 2; size - at >= 4 && size - at - 4 >= data[at + 3]; at += 4 + (size_t)data[at + 3])
                apply(&image, data[at], read_le16(data + at + 1), data + at + 4, data[at + 3]);
        if ((data[0] & 2) != 0) {
                mend_checksums(&image, image.sector);
                mend_checksums(&image, image.size - image.sector);
        }
        if (data[1] != 0)
                MUST(ftruncate(image.fd, (off_t)(image.size + data[1] * MIB)) == 0);
        try_image(&image);
        (void)fd_close(image.fd);
        return 0;
}
