/* SPDX-License-Identifier: Apache-2.0 */
#include "gpt.h"

#include "bytes.h"
#include "file.h"
#include "gpt-codec.h"
#include "gpt-format.h"

#include <string.h>

/* Entries first, then the header that vouches for them, then a flush: the caller keeps a whole twin while
 * this is going on, so the order inside of a copy does not matter for safety. */
static int write_copy(int fd, const Gpt *gpt, const GptHeader *header)
{
        uint64_t sectors = gpt_entries_sectors(gpt->entry_count, gpt->sector_size_bytes);
        size_t size = (size_t)(sectors * gpt->sector_size_bytes);
        _cleanup_free_ uint8_t *bytes = calloc(1, size + gpt->sector_size_bytes);
        int r;

        if (!bytes)
                return -ENOMEM;
        memcpy(bytes, gpt->entries, (size_t)gpt->entry_count * GPT_ENTRY_SIZE);
        gpt_header_encode(header, bytes + size);
        r = pwrite_full(fd, bytes, size, header->entries_lba * gpt->sector_size_bytes);
        if (r < 0)
                return r;
        r = pwrite_full(fd, bytes + size, gpt->sector_size_bytes, header->my_lba * gpt->sector_size_bytes);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

static GptHeader make_header(const Gpt *gpt)
{
        GptHeader header = {
                .my_lba = 1,
                .alternate_lba = gpt->disk_sectors - 1,
                .first_usable_lba = gpt->first_usable_lba,
                .last_usable_lba = gpt->last_usable_lba,
                .entries_lba = gpt->primary_entries_lba,
                .entry_count = gpt->entry_count,
                .entries_crc = gpt_crc32(gpt->entries, (size_t)gpt->entry_count * GPT_ENTRY_SIZE),
        };

        memcpy(header.disk_uuid, gpt->disk_uuid, UUID_SIZE);
        return header;
}

static GptHeader make_backup_header(const Gpt *gpt)
{
        GptHeader header = make_header(gpt);

        header.my_lba = gpt->disk_sectors - 1;
        header.alternate_lba = 1;
        header.entries_lba = gpt->backup_entries_lba;
        if (header.entries_lba == 0)
                header.entries_lba = header.my_lba -
                                     gpt_entries_sectors(gpt->entry_count, gpt->sector_size_bytes);
        return header;
}

/* Boot code in front of the four entries is left alone. One sector, so it is written whole or not at all. */
static int write_protective_mbr(int fd, const Gpt *gpt)
{
        _cleanup_free_ uint8_t *sector = malloc(gpt->sector_size_bytes);
        uint8_t wanted[MBR_SIZE - MBR_ENTRY_AT] = { 0 };
        int r;

        if (!sector)
                return -ENOMEM;
        r = pread_full(fd, sector, gpt->sector_size_bytes, 0);
        if (r < 0)
                return r;
        wanted[2] = 0x02; /* the CHS of sector 1, as the specification prints it */
        wanted[MBR_ENTRY_TYPE_AT] = MBR_TYPE_PROTECTIVE;
        memset(wanted + MBR_ENTRY_TYPE_AT + 1, 0xff, 3);
        write_le32(wanted + MBR_ENTRY_FIRST_AT, 1);
        write_le32(wanted + MBR_ENTRY_COUNT_AT, (uint32_t)MIN_OF(gpt->disk_sectors - 1, UINT32_MAX));
        wanted[MBR_SIGNATURE_AT - MBR_ENTRY_AT] = 0x55;
        wanted[MBR_SIGNATURE_AT - MBR_ENTRY_AT + 1] = 0xaa;
        if (memcmp(sector + MBR_ENTRY_AT, wanted, sizeof(wanted)) == 0)
                return 0;
        memcpy(sector + MBR_ENTRY_AT, wanted, sizeof(wanted));
        r = pwrite_full(fd, sector, gpt->sector_size_bytes, 0);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

int gpt_write(int fd, const Gpt *gpt, Error *error)
{
        GptHeader primary = make_header(gpt), backup = make_backup_header(gpt);
        bool primary_first = gpt->report.primary != GPT_COPY_GOOD;
        int r;

        if (gpt->last_usable_lba > gpt_last_usable_lba(gpt, gpt->disk_sectors) ||
                        gpt->primary_entries_lba + gpt_entries_sectors(gpt->entry_count,
                                                                   gpt->sector_size_bytes) >
                                        gpt->first_usable_lba)
                return error_set(error, ERROR_NO_SPACE, ENOSPC,
                                "the disk has no room for both copies of its partition table");
        r = write_copy(fd, gpt, primary_first ? &primary : &backup);
        if (r >= 0)
                r = write_copy(fd, gpt, primary_first ? &backup : &primary);
        if (r >= 0)
                r = write_protective_mbr(fd, gpt);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot write the partition table: %s", strerror(-r));
        return 0;
}
