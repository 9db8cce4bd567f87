/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The disk as it leaves the builder: a sparse raw image with slot A filled, slot B empty, systemd-boot and
 * the counted boot entry of the release on the ESP, and an empty ext4 for /var (partition-tools/layout.h).
 * Made with user-space tools only: no loop device, mount or root is needed. Same parts, same bytes. */

#include "error.h"
#include "sha256.h"

#include <stdint.h>

typedef struct RawDiskParts {
        const char *image_id, *version, *architecture;            /* as the recipe names them */
        uint64_t esp_size_bytes, slot_size_bytes, var_size_bytes; /* of the partitions */
        const char *root_path, *verity_path, *uki_path, *boot_loader_path;
        const char *enroll_folder; /* with keys that firmware in setup mode enrols (secure-boot-keys.h); NULL
                                    */
        uint64_t root_size_bytes, verity_size_bytes, uki_size_bytes;
        uint8_t root_hash[SHA256_SIZE];
        int64_t epoch;
} RawDiskParts;

/* What an ESP must hold while a host updates: two kernel images of this size, and the boot loader. */
uint64_t raw_disk_esp_needs(uint64_t uki_size_bytes);

/* Refuses parts that do not fit their partitions: ERROR_NO_SPACE says by how much. */
int raw_disk_check(const RawDiskParts *parts, Error *error);

/* Makes the file `path`, which must not exist; `scratch` is an existing folder for the time being. */
int raw_disk_write(
                const RawDiskParts *parts, const char *path, const char *scratch, int log_fd, Error *error);

/* Only its ESP, for a disk with sectors of 512 or 4096 bytes. */
int raw_disk_make_esp(const RawDiskParts *parts, unsigned sector_size_bytes, const char *path,
                const char *scratch, int log_fd, Error *error);

/* 16 bytes for a UUID that follows from a name and the root hash (RFC 9562, version 8). */
void raw_disk_uuid(const char *name, const uint8_t root_hash[static SHA256_SIZE], uint8_t ret[static 16]);
