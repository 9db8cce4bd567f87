/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* GUID partition tables of disks that exist, the two copies seen one by one, so that a caller can say which
 * is damaged, mend it, and change a table so that a power cut at any write leaves a whole copy. (UEFI
 * specification 2.10, chapter 5.3.)
 *
 * libfdisk makes our tables (layout.c) but does not read them: it shows only the copy that it chose, writes
 * both without a flush between them, and takes as much memory as a hostile header asks for.
 *
 * The table is hostile input: every number is checked before it is used, entries are 128 bytes, and no more
 * than GPT_ENTRIES_MAX of them are read. Entries are numbered from 0 here, from 1 in the kernel's names. */

#include "error.h"
#include "uuid.h"

#define GPT_ENTRIES_MAX 1024
#define GPT_NAME_MAX 108 /* bytes of UTF-8 for 36 units */

typedef enum GptCopyState {
        GPT_COPY_GOOD,
        GPT_COPY_ABSENT,  /* no signature where the copy should be */
        GPT_COPY_DAMAGED, /* a checksum or a number in it is wrong */
        GPT_COPY_ASTRAY,  /* backup only: whole, but not at the end of the disk, or primary and backup differ
                           */
} GptCopyState;

/* "good", "absent", "damaged", "astray". */
const char *gpt_copy_state_name(GptCopyState state);

typedef struct GptReport {
        GptCopyState primary, backup;
        bool has_protective_mbr;
        bool has_right_mbr_size; /* it covers the disk as it is now */
        bool backup_agrees; /* the primary is whole, and so is its twin where it says that it lies, be it at
                               the end of the disk or not */
} GptReport;

/* Nothing to repair. */
bool gpt_report_is_good(const GptReport *report);

typedef struct Gpt {
        unsigned sector_size_bytes;
        uint64_t disk_sectors; /* of the disk as it is now */
        uint8_t disk_uuid[16]; /* printed order */
        uint64_t first_usable_lba, last_usable_lba;
        uint64_t primary_entries_lba; /* 2 unless the table was made by something unusual */
        uint64_t backup_entries_lba;  /* where to write them; 0: right before the backup's header */
        uint32_t entry_count;
        uint8_t *entries; /* owned; entry_count raw entries */
        GptReport report; /* of what was read */
} Gpt;

typedef struct GptEntry {
        uint8_t type[16], uuid[16];   /* printed order */
        uint64_t first_lba, last_lba; /* inclusive */
        uint64_t flags;
        char name[GPT_NAME_MAX + 1]; /* UTF-8; what is no valid UTF-16 is '?' */
} GptEntry;

/* Sector size of a block device; for a file the one of 512 and 4096 at which a table is found, 512 when none
 * is. */
int gpt_sector_size(int fd, unsigned *ret_bytes);

/* Reads both copies and takes the primary, or the backup when the primary is not good. sector_size_bytes 0
 * asks gpt_sector_size(). When neither is good: -ENODATA when there is no trace of a table, else -EBADMSG,
 * with ERROR_CORRUPT and the reasons of both. Entries are not looked at: see gpt_check(). */
int gpt_read(int fd, unsigned sector_size_bytes, Gpt **ret, Error *error);
Gpt *gpt_free(Gpt *gpt);
DEFINE_CLEANUP(Gpt *, gpt_free)

/* Every used entry lies in the usable area, ends after it begins and overlaps no other: else -EBADMSG and
 * ERROR_CORRUPT. */
int gpt_check(const Gpt *gpt, Error *error);

/* False for an unused entry, and for an index that there is not. */
bool gpt_get(const Gpt *gpt, uint32_t index, GptEntry *ret);
void gpt_set_uuid(Gpt *gpt, uint32_t index, const uint8_t uuid[static UUID_SIZE]);
void gpt_set_last_lba(Gpt *gpt, uint32_t index, uint64_t last_lba);
void gpt_set_flags(Gpt *gpt, uint32_t index, uint64_t flags);

/* Of an entry's flags (UEFI specification 2.10, table 5.7): firmware makes no volume of the partition. */
#define GPT_FLAG_NO_BLOCK_IO UINT64_C(2)

/* Fills an entry, whose name is ASCII and is cut after 36 letters. -ERANGE for an index that there is not.
 */
int gpt_put(Gpt *gpt, uint32_t index, const GptEntry *entry);
/* Makes it an unused one. */
void gpt_clear(Gpt *gpt, uint32_t index);

/* The same partitions on a disk of the same bytes whose sectors have another size, 512 or 4096; both copies
 * of the table will be at their usual places. -EINVAL when a partition does not begin and end with such a
 * sector or is in the table's way, and nothing is then changed. */
int gpt_convert(Gpt *gpt, unsigned sector_size_bytes);

/* The last usable LBA of a disk of this size: the backup copy takes its end. 0 when it is too small. */
uint64_t gpt_last_usable_lba(const Gpt *gpt, uint64_t disk_sectors);

/* Writes both copies and, when it is wrong, the protective MBR, each flushed before the next is begun. A
 * copy that is not good is written first, so the good one stays until its twin is whole; when both are good
 * the backup goes first, as the UEFI specification asks. The backup goes to the end of the disk
 * (gpt->disk_sectors). The caller has checked the table. */
int gpt_write(int fd, const Gpt *gpt, Error *error);
