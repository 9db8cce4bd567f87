/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finds out whether a file of an image is worth patching in the clear: whether it holds a compressed stream
 * that can be made again, and the old file one that can be read. */

#include "image-files.h"
#include "payload-plan.h"
#include "recomp-find.h"

typedef struct RecompPair {
        RecompStream old_stream, new_stream; /* offsets in their files */
        uint64_t memory_bytes;               /* what unpacking the one and making the other takes */
} RecompPair;

/* 1 when there is such a pair, else 0. Both streams lie in the blocks of their files, not in their tails. A
 * decoder's memory for the op stays small enough for a payload. */
int recomp_match(const ImageFiles *old_files, const ErofsInode *old_inode, const ImageFiles *new_files,
                const ErofsInode *new_inode, RecompPair *ret, Error *error);

/* The same of bytes in memory. */
int recomp_match_bytes(const uint8_t *old_data, size_t old_size, const uint8_t *new_data, size_t new_size,
                RecompPair *ret, Error *error);

/* Adds the op for the new stream; `old_offset` is where the old one begins in its source. */
int recomp_add_op(PlanGroup *group, const RecompPair *pair, uint8_t source, uint64_t old_offset,
                const char *name);
