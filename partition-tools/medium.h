/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The disk of an installer: an ordinary one, of which firmware is told to pass over the ESP, and behind it
 * what is only there to install from (docs/formats-disk.md, "Installer"):
 *
 *     installer   the ESP that firmware boots
 *     esp-4096    the ESP for targets with sectors of 4096 bytes, since a FAT has sectors of its own
 *
 * Taken out of the table, what is left is the table of the disk that it carries, at the same places. Its
 * table is there twice, for sectors of 512 and of 4096 bytes, so that one image boots from devices of both
 * kinds; the ESP that firmware boots is another one in each. The table has been read, and checked, before it
 * comes here, but its entries are whoever's who made the medium. */

#include "gpt.h"

#define MEDIUM_ESP_NAME "installer"
#define MEDIUM_ESP_4096_NAME "esp-4096"
#define MEDIUM_ESP_4096_TYPE "0fc63daf-8483-4772-8e79-3d69d8477de4"

/* Whether both are there. */
bool medium_is(const Gpt *gpt);

/* The ESP that firmware boots, with its number from 1. -ENOENT. */
int medium_find_esp(const Gpt *gpt, unsigned *ret_number, GptEntry *ret);

/* Makes the table that of a disk which was installed from the medium onto sectors of this size. *ret_esp_at:
 * where on the medium its ESP is, in bytes. ERROR_CORRUPT for a medium that contradicts itself. */
int medium_take_out(Gpt *gpt, unsigned sector_size_bytes, uint64_t *ret_esp_at, Error *error);

/* What the builder adds: the disk that `gpt` describes, which ends with its last partition and 1 MiB,
 * becomes a medium. Sizes are multiples of 1 MiB, UUIDs the caller's. */
typedef struct MediumPlan {
        uint64_t esp_at, esp_size_bytes;                    /* for devices with sectors of 512 bytes */
        uint64_t esp_at_4096;                               /* the same for 4096, as large */
        uint64_t target_esp_4096_at, target_esp_size_bytes; /* partition esp-4096 */
        uint64_t size_bytes;                                /* of the whole medium */
} MediumPlan;

/* Lays them out behind the partitions that there are. ERROR_CORRUPT for a disk that is not ours. */
int medium_plan(const Gpt *gpt, uint64_t esp_size_bytes, MediumPlan *ret, Error *error);

/* Writes both tables to `fd`, which is as long as the plan says. `gpt` is that of the disk, with sectors of
 * 512 bytes, and is changed. uuids: those of esp, of its twin, and of esp-4096. */
int medium_write_tables(
                int fd, Gpt *gpt, const MediumPlan *plan, const uint8_t uuids[3][UUID_SIZE], Error *error);
