/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* FAT16 and FAT32 as they lie on disk, little-endian (Microsoft, "FAT: General Overview of On-Disk Format",
 * 1.03). Offsets in bytes. */

/* Boot sector. */
#define FAT_SECTOR_SIZE_AT 11         /* u16 */
#define FAT_SECTORS_PER_CLUSTER_AT 13 /* u8 */
#define FAT_RESERVED_AT 14            /* u16, sectors before the first table */
#define FAT_TABLE_COUNT_AT 16         /* u8 */
#define FAT_ROOT_ENTRIES_AT 17        /* u16, 0 on FAT32 */
#define FAT_SECTORS_SMALL_AT 19       /* u16, or 0 */
#define FAT_TABLE_SECTORS_SMALL_AT 22 /* u16, 0 on FAT32 */
#define FAT_SECTORS_AT 32             /* u32 */
#define FAT16_STATE_AT 37             /* u8, bit 0: not unmounted cleanly */
#define FAT32_TABLE_SECTORS_AT 36     /* u32 */
#define FAT32_ROOT_CLUSTER_AT 44      /* u32 */
#define FAT32_INFO_SECTOR_AT 48       /* u16 */
#define FAT32_STATE_AT 65
#define FAT_SIGNATURE_AT 510 /* 0x55 0xaa */
#define FAT_STATE_DIRTY 1

/* FAT32's information sector. */
#define FAT_INFO_MAGIC_AT 484 /* u32 */
#define FAT_INFO_MAGIC UINT32_C(0x61417272)
#define FAT_INFO_FREE_AT 488 /* u32, clusters */

/* Slots of a directory. */
#define FAT_SLOT_SIZE 32
#define FAT_SLOT_END 0x00     /* first byte: none follows */
#define FAT_SLOT_DELETED 0xe5 /* first byte */
#define FAT_SLOT_ATTRIBUTES_AT 11
#define FAT_SLOT_CASE_AT 12         /* u8, bit 3: name in lower case, bit 4: extension */
#define FAT_SLOT_CLUSTER_HIGH_AT 20 /* u16, FAT32 */
#define FAT_SLOT_CLUSTER_AT 26      /* u16 */
#define FAT_SLOT_SIZE_AT 28         /* u32, bytes of the file */
#define FAT_ATTRIBUTE_LABEL 0x08
#define FAT_ATTRIBUTE_FOLDER 0x10
#define FAT_ATTRIBUTES_LONG 0x0f /* a piece of a long name */
#define FAT_LONG_SUM_AT 13
#define FAT_LONG_LAST 0x40 /* of the first byte, whose other bits are the piece's number */
#define FAT_LONG_UNITS 13  /* UTF-16 units in a piece */
#define FAT_LONG_PIECES_MAX 20

/* Values of the table. */
#define FAT_FREE 0
#define FAT16_BAD UINT32_C(0xfff7)
#define FAT32_BAD UINT32_C(0x0ffffff7)
#define FAT32_MASK UINT32_C(0x0fffffff)
