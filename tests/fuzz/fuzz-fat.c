/* SPDX-License-Identifier: Apache-2.0 */
/* Mending an ESP, and moving files on it. An input changes a small good one: records of u8 region (boot
 * sector, table, root, folders), u16 offset, u8 length, bytes. Whatever it is, mending ends, and mending
 * again finds nothing more to do; a file that could be moved is there by its new name and not by its old
 * one. */

#include "fuzz.h"

#include "../unit/fat-image.h"
#include "fat-move.h"
#include "fat-repair.h"

static uint64_t place_of(uint8_t region, uint16_t offset)
{
        switch (region % 5) {
        case 0:
                return offset % 512;
        case 1:
                return IMAGE_TABLE_AT + offset;
        case 2:
                return IMAGE_ROOT_AT + offset % 1024;
        default:
                return image_cluster_at(2) +
                       offset % 4096; /* EFI, EFI/Linux, EFI/bascule and what follows */
        }
}

static int make(void)
{
        int fd = image_make_esp();

        image_chain(fd, 100, 10);
        image_add(fd, 3, "host_1.efi", 0, 100, 5000);
        image_chain(fd, 200, 5);
        image_add(fd, 3, "host_2+3.efi", 0, 200, 2500);
        image_add(fd, 4, "incoming.efi", 0, 200, 2500);
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        FatRepair first, second;
        int fd = make();

        while (size >= 4) {
                size_t length = MIN_OF((size_t)data[3], size - 4);
                uint64_t at = place_of(data[0], read_le16(data + 1));

                if (at + length <= IMAGE_SIZE)
                        (void)pwrite_full(fd, data + 4, length, at);
                data += 4 + length;
                size -= 4 + length;
        }
        if (fat_repair(fd, &first) >= 0) {
                MUST(fat_repair(fd, &second) >= 0);
                MUST(second.is_sound == first.is_sound || second.is_sound);
                if (first.is_sound)
                        MUST(second.is_sound && !second.names_dropped && !second.files_dropped &&
                                        !second.clusters_freed && !second.tables_differed &&
                                        !second.was_dirty);
        }
        if (fat_move(fd, "EFI/bascule", "incoming.efi", "EFI/Linux", "host_2+3-0.efi", 1) >= 0) {
                MUST(fat_move(fd, "EFI/Linux", "none.efi", "EFI/Linux", "host_2+3-0.efi", 0) == -ENOENT);
                MUST(fat_move(fd, "EFI/Linux", "host_2+3-0.efi", "EFI/Linux", "host_2.efi", 0) != -ENOENT);
        }
        (void)fd_close(fd);
        return 0;
}
