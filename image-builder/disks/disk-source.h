/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A raw disk that other formats are made of. Each format is one file disk-NAME.c with one writer, and one
 * row of the table in disk-format.c. Writers read the disk through disk_source_next(), which leaves out what
 * is a hole or zero, and write with pwrite to an empty file. The same disk, name and seed give the same
 * bytes: identifiers come from the seed (raw_disk_uuid()), times from the epoch. */

#include "error.h"
#include "sha256.h"

typedef struct DiskSource {
        int fd;              /* a regular file */
        uint64_t size_bytes; /* a multiple of 1 MiB */
        const char *name;    /* what the image calls itself */
        const char *version;
        int64_t epoch;             /* seconds since 1970 */
        uint8_t seed[SHA256_SIZE]; /* the root hash */
} DiskSource;

#define DISK_SECTOR 512

/* Finds the next piece of `unit_bytes` (the last may be shorter), at or after *offset, that is not all zero,
 * reads it into `ret` (the rest of a short piece is zero), and puts where it begins into *offset. 1, 0 when
 * there is none left, or a negative errno. */
int disk_source_next(const DiskSource *source, uint64_t *offset, void *ret, size_t unit_bytes);

/* A whole number of units that hold `size_bytes`. */
static inline uint64_t disk_units(uint64_t size_bytes, uint64_t unit_bytes)
{
        return (size_bytes + unit_bytes - 1) / unit_bytes;
}

/* The geometry that formats of old want to know, within what BIOSes could say. */
typedef struct DiskGeometry {
        uint32_t cylinders, heads, sectors;
} DiskGeometry;
DiskGeometry disk_geometry(uint64_t size_bytes);
