/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The boot entries on a disk image, read from outside while a machine may be writing to it: how a test sees
 * that the loader took a try, and that the host was blessed, without a way into the guest. All bytes are the
 * guest's, thus hostile; a state between two writes can look damaged and is then read again later. */

#include "boot.h"

typedef struct EspImage {
        int fd; /* borrowed: the disk image */
        uint64_t offset_bytes;
        unsigned sector_size_bytes; /* of the disk */
} EspImage;

/* Finds the ESP of a disk that Bascule laid out. `path` names the image that `fd` is. */
int esp_image_open(int fd, const char *path, EspImage *ret, Error *error);

/* Entries of all images that EFI/Linux has, at most `max` of them; each name must parse. The count, or a
 * negative errno: -EBADMSG for what is (just now) no whole filesystem. */
int esp_image_list(const EspImage *esp, BootEntry *ret, size_t max);

/* Copies the kernel that is inside of an entry (section .linux of a UKI) to a file. -EBADMSG, -ENOENT. */
int esp_image_copy_kernel(const EspImage *esp, const BootEntry *entry, int to_fd);
