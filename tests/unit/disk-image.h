/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Disk images in memory for the tests of partition-tools. */

#include "bytes.h"
#include "file.h"
#include "gpt-codec.h"
#include "gpt-format.h"
#include "hex.h"
#include "layout.h"
#include "verity.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

/* Small, with partitions of different sizes. */
static inline DiskLayout image_layout(unsigned sector_size_bytes)
{
        DiskLayout layout = {
                .architecture = "x86-64",
                .sector_size_bytes = sector_size_bytes,
                .esp_size_bytes = 2 * MIB,
                .slot_size_bytes = 8 * MIB,
                .var_size_bytes = 4 * MIB,
        };

        memset(layout.disk_uuid, 0xd0, UUID_SIZE);
        for (unsigned i = 0; i < PARTITION_ROLE_MAX; i++)
                memset(layout.partition_uuids[i], (int)(0xa0 + i), UUID_SIZE);
        return layout;
}

/* An image with its table; -1 when that fails. */
static inline int image_new(unsigned sector_size_bytes)
{
        DiskLayout layout = image_layout(sector_size_bytes);
        int fd = memfd_create("disk", MFD_CLOEXEC);

        if (fd >= 0 && disk_layout_write(&layout, fd, NULL) < 0)
                fd = fd_close(fd);
        return fd;
}

/* A release in slot A: 64 blocks of whatever is there, and their tree. */
static inline int image_seal(int fd)
{
        VeritySuperblock superblock = { .data_blocks = 64, .salt = { 7 }, .salt_size = 32 };
        uint8_t root_hash[SHA256_SIZE];
        int r = verity_build(fd, 3 * MIB, superblock.data_blocks * VERITY_BLOCK_SIZE, superblock.salt,
                        superblock.salt_size, fd, 11 * MIB, root_hash, NULL, NULL, NULL);

        memcpy(superblock.uuid, root_hash, UUID_SIZE);
        return r < 0 ? r : verity_superblock_write(fd, 11 * MIB, &superblock);
}

static inline const char *image_path(int fd, char ret[static 64])
{
        (void)snprintf(ret, 64, "/proc/%d/fd/%d", getpid(), fd);
        return ret;
}

static inline int image_open(int fd, Disk **ret, Error *error)
{
        char path[64];

        return disk_open(image_path(fd, path), ret, error);
}

/* Overwrites bytes of the header, or of an entry, of both copies and mends the checksums, so that only the
 * rule in question is broken. `at` counts from the header; from the entries when `in_entries`. */
static inline int image_patch(
                int fd, unsigned sector_size, bool in_entries, size_t at, const void *data, size_t size)
{
        uint64_t disk_size = 0;

        (void)fd_size(fd, &disk_size);
        for (int copy = 0; copy < 2; copy++) {
                uint64_t header_at = copy == 0 ? sector_size : disk_size - sector_size, entries_at;
                uint8_t header[512], entries[128 * GPT_ENTRY_SIZE];

                if (pread_full(fd, header, sizeof(header), header_at) < 0)
                        return -EIO;
                entries_at = read_le64(header + GPT_ENTRIES_LBA_AT) * sector_size;
                if (pread_full(fd, entries, sizeof(entries), entries_at) < 0)
                        return -EIO;
                if (!in_entries)
                        memcpy(header + at, data, size);
                else
                        memcpy(entries + at, data, size);
                if (in_entries)
                        write_le32(header + GPT_ENTRIES_CRC_AT, gpt_crc32(entries, sizeof(entries)));
                write_le32(header + GPT_HEADER_CRC_AT, 0);
                write_le32(header + GPT_HEADER_CRC_AT, gpt_crc32(header, GPT_HEADER_SIZE));
                if (pwrite_full(fd, header, sizeof(header), header_at) < 0 ||
                                pwrite_full(fd, entries, sizeof(entries), entries_at) < 0)
                        return -EIO;
        }
        return 0;
}

/* Flips a bit. */
static inline void image_damage(int fd, uint64_t offset)
{
        uint8_t byte = 0;

        (void)pread_full(fd, &byte, 1, offset);
        byte ^= 0x10;
        (void)pwrite_full(fd, &byte, 1, offset);
}
