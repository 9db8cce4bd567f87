/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Makes header blocks of tar archives (tar-format.h): the writer's half. */

#include "tar-format.h"

#include "macro.h"

typedef struct TarHeader {
        const char *name; /* shorter than TAR_NAME_SIZE */
        char type;
        uint32_t mode;
        uint64_t uid, gid, size_bytes;
        int64_t mtime;
        const char *link; /* shorter than TAR_LINK_SIZE; may be NULL */
        uint32_t major, minor;
        bool is_gnu; /* the old GNU magic instead of POSIX's */
} TarHeader;

/* Fills the block, but for the checksum. -ENAMETOOLONG; -ERANGE for what the fields cannot hold. */
int tar_header_fill(const TarHeader *header, uint8_t block[static TAR_BLOCK_SIZE]);
/* Sums up the block as it is then. */
void tar_header_seal(uint8_t block[static TAR_BLOCK_SIZE]);
/* Octal, or base-256 where that is too short. */
void tar_header_number(uint8_t *field, size_t size, uint64_t value);
