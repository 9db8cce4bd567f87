/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An EFI system partition as the image of a file system in a file: systemd-boot, one boot entry, and keys
 * for firmware to enrol, made with mkfs.vfat and mtools. Same parts, same bytes. */

#include "error.h"

typedef struct EspFile {
        uint64_t size_bytes; /* a multiple of 1 MiB */
        /* 512 or 4096. A kernel mounts no FAT whose sectors are smaller than its disk's. With 4096 bytes it
         * takes 257 MiB to have as many clusters as FAT32 must; what is smaller is FAT16, which UEFI reads
         * as well. */
        unsigned sector_size_bytes;
        const char *uki_path, *boot_loader_path;
        const char *enroll_folder; /* NULL: none */
        const char *entry_name;    /* in EFI/Linux */
        unsigned renames;          /* how often the loader may rename it (fat-move.h) */
        uint8_t seed[16];          /* what the volume's serial number is made of */
        int64_t epoch;
} EspFile;

/* Makes the file `path`, which must not exist; `scratch` is an existing folder for the time being. */
int esp_file_make(const EspFile *esp, const char *path, const char *scratch, int log_fd, Error *error);
