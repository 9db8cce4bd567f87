/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Matchers: each looks at a target, and at what a host may already have, and makes a plan. */

#include "payload-plan.h"

/* The plan of a payload that needs no source: runs of zeros, and frames of `group_size_bytes` (a multiple of
 * PAYLOAD_BLOCK_SIZE; 0 for the default) that may each refer to as much as `history_bytes` of target before
 * it. Measured on a host image at level 19, without filtering code: groups of 16 MiB come to 1.6 % more than
 * one frame with a window of 128 MiB, of 4 MiB to 6 %, and 8 MiB of history before those brings them back to
 * 1.3 %, at more than twice the time. */
int payload_match_full(int target_fd, uint64_t target_size_bytes, uint64_t group_size_bytes,
                uint64_t history_bytes, PayloadPlan **ret, Error *error);

/* The plan of a delta between two EROFS images, file by file: each inode is compared with the old one that
 * it stands for (image-files.h), whole groups are patches of the old image, and programs that changed have
 * patches of their own. Only the old root is used. -EBADMSG or -EOPNOTSUPP when one of them is no image
 * that erofs-reader.h reads: a delta by blocks is the answer then. Sources as below. */
int payload_match_files(int target_fd, uint64_t target_size_bytes, const PayloadSource *sources,
                uint64_t group_size_bytes, PayloadPlan **ret, Error *error);

/* The plan of a delta of a kernel image (uki.h): the kernel is in the new root, or its payload is patched in
 * the clear; files of an initrd that is not packed are in the new root; the rest is compared with the old
 * image. Without an old image or new root less is found. -EOPNOTSUPP when the target is none. */
int payload_match_uki(int target_fd, uint64_t target_size_bytes, const PayloadSource *sources,
                uint64_t group_size_bytes, PayloadPlan **ret, Error *error);

/* The plan of a delta by whole blocks: zeros, blocks that a source has (at the same place of the old root,
 * or anywhere), and frames for the rest, each after a prefix of what the sources have where the rest should
 * be. `sources` has PAYLOAD_SOURCE_TARGET elements, those that are not there with fd -1. Memory: 16 bytes
 * for each block of the sources. */
int payload_match_blocks(int target_fd, uint64_t target_size_bytes, const PayloadSource *sources,
                uint64_t group_size_bytes, PayloadPlan **ret, Error *error);
