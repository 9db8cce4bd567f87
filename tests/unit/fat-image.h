/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Small FAT16 volumes in memory files, for tests that need names and chains in states that no driver makes.
 * Clusters of 512 bytes; folders have one cluster, so 16 slots, but the root. */

#include "bytes.h"
#include "fat-format.h"
#include "file.h"

#include <string.h>
#include <sys/mman.h>

#define IMAGE_CLUSTERS 5000
#define IMAGE_TABLE_SECTORS 20
#define IMAGE_ROOT_SLOTS 512
#define IMAGE_TABLE_AT 512
#define IMAGE_ROOT_AT (512 + 2 * IMAGE_TABLE_SECTORS * 512)
#define IMAGE_DATA_AT (IMAGE_ROOT_AT + IMAGE_ROOT_SLOTS * FAT_SLOT_SIZE)
#define IMAGE_SIZE (IMAGE_DATA_AT + IMAGE_CLUSTERS * 512)
#define IMAGE_END 0xffff

static inline uint64_t image_cluster_at(uint32_t cluster)
{
        return cluster == 0 ? IMAGE_ROOT_AT : IMAGE_DATA_AT + (uint64_t)(cluster - 2) * 512;
}

static inline uint16_t image_get(int fd, unsigned copy, uint32_t cluster)
{
        uint8_t value[2] = { 0 };

        (void)pread_full(fd, value, 2, IMAGE_TABLE_AT + copy * IMAGE_TABLE_SECTORS * 512 + cluster * 2);
        return read_le16(value);
}

/* Sets what follows a cluster, in both copies of the table. */
static inline void image_set(int fd, uint32_t cluster, uint16_t next)
{
        uint8_t value[2];

        write_le16(value, next);
        for (unsigned copy = 0; copy < 2; copy++)
                (void)pwrite_full(fd, value, 2,
                                IMAGE_TABLE_AT + copy * IMAGE_TABLE_SECTORS * 512 + cluster * 2);
}

/* A chain of consecutive clusters. */
static inline void image_chain(int fd, uint32_t first, uint32_t count)
{
        for (uint32_t i = 0; i < count; i++)
                image_set(fd, first + i, i + 1 < count ? (uint16_t)(first + i + 1) : IMAGE_END);
}

static inline int image_make(void)
{
        int fd = memfd_create("fat", MFD_CLOEXEC);
        uint8_t boot[512] = { 0 };

        write_le16(boot + FAT_SECTOR_SIZE_AT, 512);
        boot[FAT_SECTORS_PER_CLUSTER_AT] = 1;
        write_le16(boot + FAT_RESERVED_AT, 1);
        boot[FAT_TABLE_COUNT_AT] = 2;
        write_le16(boot + FAT_ROOT_ENTRIES_AT, IMAGE_ROOT_SLOTS);
        write_le16(boot + FAT_TABLE_SECTORS_SMALL_AT, IMAGE_TABLE_SECTORS);
        write_le32(boot + FAT_SECTORS_AT, IMAGE_SIZE / 512);
        boot[FAT_SIGNATURE_AT] = 0x55;
        boot[FAT_SIGNATURE_AT + 1] = 0xaa;
        if (ftruncate(fd, IMAGE_SIZE) < 0 || pwrite_full(fd, boot, sizeof(boot), 0) < 0)
                abort();
        image_set(fd, 0, 0xfff8);
        image_set(fd, 1, 0xffff);
        return fd;
}

static inline uint64_t image_free_slots(int fd, uint32_t folder)
{
        uint64_t at = image_cluster_at(folder);
        uint8_t first = 0;

        while (pread_full(fd, &first, 1, at) >= 0 && first != FAT_SLOT_END)
                at += FAT_SLOT_SIZE;
        return at;
}

/* Adds a name with its long form; the short one is made up. `attributes` as in a slot. */
static inline void image_add(int fd, uint32_t folder, const char *name, uint8_t attributes, uint32_t cluster,
                uint32_t size_bytes)
{
        static const uint8_t units[FAT_LONG_UNITS] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };
        static unsigned serial;
        size_t length = strlen(name), pieces = (length + FAT_LONG_UNITS - 1) / FAT_LONG_UNITS;
        uint64_t at = image_free_slots(fd, folder);
        uint8_t slot[FAT_SLOT_SIZE] = { 0 }, sum = 0;
        char short_name[16];

        (void)snprintf(short_name, sizeof(short_name), "N%06uXEFI", serial++ % 1000000);
        for (size_t i = 0; i < 11; i++)
                sum = (uint8_t)((sum >> 1 | sum << 7) + short_name[i]);
        for (size_t piece = pieces; piece > 0; piece--, at += FAT_SLOT_SIZE) {
                memset(slot, 0, sizeof(slot));
                slot[0] = (uint8_t)(piece | (piece == pieces ? FAT_LONG_LAST : 0));
                slot[FAT_SLOT_ATTRIBUTES_AT] = FAT_ATTRIBUTES_LONG;
                slot[FAT_LONG_SUM_AT] = sum;
                for (size_t i = 0; i < FAT_LONG_UNITS; i++) {
                        size_t index = (piece - 1) * FAT_LONG_UNITS + i;

                        write_le16(slot + units[i], index < length    ? (uint16_t)(uint8_t)name[index]
                                                    : index == length ? 0
                                                                      : 0xffff);
                }
                (void)pwrite_full(fd, slot, sizeof(slot), at);
        }
        memset(slot, 0, sizeof(slot));
        memcpy(slot, short_name, 11);
        slot[FAT_SLOT_ATTRIBUTES_AT] = attributes;
        write_le16(slot + FAT_SLOT_CLUSTER_AT, (uint16_t)cluster);
        write_le32(slot + FAT_SLOT_SIZE_AT, size_bytes);
        (void)pwrite_full(fd, slot, sizeof(slot), at);
}

static inline void image_add_folder(int fd, uint32_t folder, const char *name, uint32_t cluster)
{
        image_chain(fd, cluster, 1);
        image_add(fd, folder, name, FAT_ATTRIBUTE_FOLDER, cluster, 0);
}

/* As an ESP: EFI (cluster 2), EFI/Linux (3), EFI/bascule (4), and EFI/BOOT (5) with a loader of three
 * clusters (6). */
static inline int image_make_esp(void)
{
        int fd = image_make();

        image_add_folder(fd, 0, "EFI", 2);
        image_add_folder(fd, 2, "Linux", 3);
        image_add_folder(fd, 2, "bascule", 4);
        image_add_folder(fd, 2, "BOOT", 5);
        image_chain(fd, 6, 3);
        image_add(fd, 5, "BOOTX64.EFI", 0, 6, 1400);
        return fd;
}
