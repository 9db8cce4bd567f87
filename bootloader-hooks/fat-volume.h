/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A FAT volume read directly, for mending what a power cut left before the kernel mounts it. FAT16 and
 * FAT32; all bytes are hostile. Memory is bounded by FAT_CLUSTERS_MAX. */

#include "macro.h"

#define FAT_CLUSTERS_MAX (UINT32_C(1) << 20) /* an ESP of 4 GiB with clusters of 4 KiB */
#define FAT_NAME_MAX 255
#define FAT_SLOTS_MAX 21 /* of one name */

typedef struct FatVolume {
        int fd; /* borrowed */
        bool is_fat32;
        unsigned sector_size_bytes, cluster_size_bytes;
        unsigned table_count;
        uint64_t table_offset_bytes, table_size_bytes; /* of one copy; offsets are in the file */
        uint64_t root_offset_bytes;                    /* FAT16 */
        uint32_t root_slots;                           /* FAT16 */
        uint32_t root_cluster;                         /* FAT32 */
        uint64_t data_offset_bytes;
        uint32_t cluster_count; /* numbers 2 to cluster_count + 1 */
        uint8_t *table;         /* owned; the first copy, as far as there are clusters */
        size_t table_used_bytes;
} FatVolume;

/* -EOPNOTSUPP for what is no FAT16 or FAT32, or too large; -EBADMSG for one that contradicts itself. */
int fat_volume_open(int fd, FatVolume *ret);
/* A volume that begins somewhere within a file, such as the image of a disk. */
int fat_volume_open_at(int fd, uint64_t offset_bytes, FatVolume *ret);
void fat_volume_done(FatVolume *volume);
#define _cleanup_fat_volume_ _cleanup_(fat_volume_done)

bool fat_is_cluster(const FatVolume *volume, uint32_t cluster);
/* What follows a cluster of the volume: FAT_FREE, another one, or anything else for an end (or a bad one).
 */
uint32_t fat_next(const FatVolume *volume, uint32_t cluster);
bool fat_is_bad(const FatVolume *volume, uint32_t value);
bool fat_is_end(const FatVolume *volume, uint32_t value);
/* Marks it free, in memory. */
void fat_free(FatVolume *volume, uint32_t cluster);
uint64_t fat_cluster_offset(const FatVolume *volume, uint32_t cluster);

/* A name in a folder. */
typedef struct FatEntry {
        char name[FAT_NAME_MAX + 1]; /* long or short; anything but printable ASCII is '?' */
        bool is_folder;
        uint32_t first_cluster; /* 0: none */
        uint32_t size_bytes;
        uint64_t slots[FAT_SLOTS_MAX]; /* their offsets in the file; the last is the one that counts */
        unsigned slot_count;
} FatEntry;

/* Calls `visit` for each name of a folder but "." and ".."; first_cluster 0 means the root. A negative
 * result of `visit` ends the walk. `claim` is called for each cluster of the folder; -EBADMSG when it says
 * no or the chain is broken. */
typedef struct FatWalk {
        bool (*claim)(void *data, uint32_t cluster);
        int (*visit)(void *data, const FatEntry *entry);
        void *data;
} FatWalk;
int fat_walk(const FatVolume *volume, uint32_t first_cluster, const FatWalk *walk);
