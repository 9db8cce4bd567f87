/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One header of a GPT, to and from bytes: what reading and writing share. Internal to partition-tools. */

#include "gpt.h"

typedef struct GptHeader {
        uint64_t my_lba, alternate_lba, first_usable_lba, last_usable_lba, entries_lba;
        uint8_t disk_uuid[16]; /* printed order */
        uint32_t entry_count, entries_crc;
} GptHeader;

/* CRC-32 of ISO 3309, as GPT uses it. */
uint32_t gpt_crc32(const void *data, size_t size);

/* `sector` holds at least 512 bytes read from LBA `lba` of a disk of `disk_sectors`. 0; -ENODATA without a
 * signature; -EBADMSG, with *ret_reason a sentence, when a number or the checksum is wrong. All numbers of a
 * header that is returned lie inside the disk, with the entries outside of the usable area. */
int gpt_header_decode(const uint8_t *sector, uint64_t lba, uint64_t disk_sectors, unsigned sector_size_bytes,
                GptHeader *ret, const char **ret_reason);

/* Fills 512 bytes, checksum included. */
void gpt_header_encode(const GptHeader *header, uint8_t ret[static 512]);

/* Between the order on disk and the printed one; its own inverse. */
void gpt_uuid_swap(const uint8_t from[static UUID_SIZE], uint8_t to[static UUID_SIZE]);

/* Whole sectors that so many entries take. */
uint64_t gpt_entries_sectors(uint32_t entry_count, unsigned sector_size_bytes);
