/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a disk can be shipped as, beside raw, qcow2 and installer: one table of names, files and writers. */

#include "disk-source.h"

/* Writes to an empty file that is open for reading and writing. */
typedef int (*DiskWriter)(const DiskSource *source, int fd, Error *error);

typedef struct DiskFormat {
        const char *name; /* in Formats= */
        const char *file; /* in the output folder */
        DiskWriter write;
        bool of_root; /* made of the root image instead of the disk */
} DiskFormat;

#define DISK_FORMAT_COUNT 7
extern const DiskFormat disk_formats[DISK_FORMAT_COUNT];

/* Makes the file `path`, which must not exist, from the raw disk. */
int disk_format_make(const DiskFormat *format, const DiskSource *source, const char *path, Error *error);

/* ---- the writers ---- */

int disk_write_zst(const DiskSource *source, int fd, Error *error);
int disk_write_vmdk(const DiskSource *source, int fd, Error *error);
int disk_write_ova(const DiskSource *source, int fd, Error *error);
int disk_write_vhd(const DiskSource *source, int fd, Error *error);
int disk_write_vdi(const DiskSource *source, int fd, Error *error);
int disk_write_tree(const DiskSource *source, int fd, Error *error);
int disk_write_gce(const DiskSource *source, int fd, Error *error);

/* Sets "cannot write the NAME image". Returns r. */
int disk_write_failed(const char *format, int r, Error *error);
