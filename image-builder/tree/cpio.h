/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writer of cpio archives in the "new ASCII" format (magic 070701) that the kernel unpacks into its initial
 * root (Linux: Documentation/driver-api/early-userspace/buffer-format.rst). Owner, group and times are
 * always 0 and inodes count up in the order of the calls, so the same calls give the same bytes. The
 * kernel makes no missing parent folders: add them first, once each. */

#include "buffer.h"

#define CPIO_PATH_MAX 1024 /* bytes, without the NUL */

typedef struct CpioWriter {
        Buffer *out; /* borrowed; its cap bounds the archive */
        uint32_t last_inode;
} CpioWriter;

/* `path` has no leading slash; `mode` has permission bits only. All: 0, -EINVAL for a path that is empty,
 * absolute or too long, -E2BIG past the buffer's cap or 4 GiB, -ENOMEM. */
int cpio_add_folder(CpioWriter *writer, const char *path, unsigned mode);
int cpio_add_file(CpioWriter *writer, const char *path, unsigned mode, const void *data, size_t size);
int cpio_add_link(CpioWriter *writer, const char *path, const char *target);
int cpio_add_character_device(CpioWriter *writer, const char *path, unsigned mode, unsigned major_number,
                unsigned minor_number);

/* A member of an archive as its header tells, for who looks at bytes that may hold one. */
#define CPIO_ALIGNMENT 4
typedef struct CpioMember {
        unsigned mode;
        uint64_t size_bytes;
        size_t data_offset; /* from the header's start; the content lies within the bytes */
        char path[CPIO_PATH_MAX + 1];
} CpioMember;

/* 1 when a header stands at `data`, else 0. Hostile. */
int cpio_member_at(const uint8_t *data, size_t size, CpioMember *ret);

/* Writes the trailer and pads to 512 bytes. Nothing can be added afterwards. */
int cpio_finish(CpioWriter *writer);
