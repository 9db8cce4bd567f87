/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* GUID partition table as it lies on disk (UEFI specification 2.10, chapter 5), little-endian. Offsets in
 * bytes; docs/formats-disk.md has the whole table. */

/* Protective MBR, the first 512 bytes of the disk. */
#define MBR_SIZE 512
#define MBR_ENTRY_AT 446 /* four of 16 bytes */
#define MBR_ENTRY_SIZE 16
#define MBR_ENTRY_COUNT 4
#define MBR_ENTRY_TYPE_AT 4   /* u8: 0xee */
#define MBR_ENTRY_FIRST_AT 8  /* u32: 1 */
#define MBR_ENTRY_COUNT_AT 12 /* u32: sectors of the disk less one, at most 0xffffffff */
#define MBR_SIGNATURE_AT 510  /* 0x55 0xaa */
#define MBR_TYPE_PROTECTIVE 0xee

/* Header, in sector 1 and in the last one. */
#define GPT_MAGIC "EFI PART"
#define GPT_MAGIC_SIZE 8
#define GPT_REVISION_AT 8       /* u32: 0x00010000 */
#define GPT_HEADER_SIZE_AT 12   /* u32: 92 */
#define GPT_HEADER_CRC_AT 16    /* u32, over the header with this member zero */
#define GPT_RESERVED_AT 20      /* u32: 0 */
#define GPT_MY_LBA_AT 24        /* u64 */
#define GPT_ALTERNATE_LBA_AT 32 /* u64 */
#define GPT_FIRST_USABLE_AT 40  /* u64 */
#define GPT_LAST_USABLE_AT 48   /* u64 */
#define GPT_DISK_UUID_AT 56     /* 16 bytes, mixed order */
#define GPT_ENTRIES_LBA_AT 72   /* u64 */
#define GPT_ENTRY_COUNT_AT 80   /* u32 */
#define GPT_ENTRY_SIZE_AT 84    /* u32: 128 */
#define GPT_ENTRIES_CRC_AT 88   /* u32, over all entries */
#define GPT_HEADER_SIZE 92
#define GPT_REVISION 0x00010000

/* Entry. */
#define GPT_ENTRY_TYPE_AT 0   /* 16 bytes, mixed order; nil for an unused entry */
#define GPT_ENTRY_UUID_AT 16  /* 16 bytes, mixed order */
#define GPT_ENTRY_FIRST_AT 32 /* u64 */
#define GPT_ENTRY_LAST_AT 40  /* u64, inclusive */
#define GPT_ENTRY_FLAGS_AT 48 /* u64 */
#define GPT_ENTRY_NAME_AT 56  /* 36 UTF-16 units */
#define GPT_ENTRY_NAME_UNITS 36
#define GPT_ENTRY_SIZE 128
