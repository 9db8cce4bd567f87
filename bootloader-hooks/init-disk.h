/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finds the disk and the slot of the release on it. The disk is the one that the loader came from, if the
 * loader says so; a release on any other disk is not looked at then. Without a loader that tells, every disk
 * is. */

#include "init-verity.h"

#define INIT_DEVICE_MAX 64

typedef struct InitSlot {
        char disk[INIT_DEVICE_MAX];        /* "/dev/vda" */
        char slot;                         /* 'a', 'b' */
        char data_device[INIT_DEVICE_MAX]; /* "/dev/vda2" */
        char hash_device[INIT_DEVICE_MAX];
        char var_device[INIT_DEVICE_MAX]; /* "" when the disk has no such partition */
        VeritySuperblock superblock;
} InitSlot;

/* Waits up to wait_seconds for a disk that has the release; calls `alive` now and then. `loader_partuuid` is
 * NULL when unknown. `skip` is the number of fitting slots to pass over (when both hold the release and the
 * first could not be opened). */
int init_find_slot(const uint8_t root_hash[static SHA256_SIZE], const uint8_t *loader_partuuid,
                unsigned skip, unsigned wait_seconds, void (*alive)(void), InitSlot *ret, Error *error);

/* LoaderDevicePartUUID from efivarfs. -ENOENT when the loader did not set it. */
int init_loader_partuuid(uint8_t ret[static UUID_SIZE]);
