/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the planner, the layout and the writer of EROFS share: an item for each inode, and where it lies.
 * Nobody else includes this. */

#include "erofs-format.h"
#include "erofs-writer.h"

#define EROFS_UNPLACED UINT64_MAX

typedef struct ErofsItem {
        TreeNode *node; /* the first name of the inode in a walk */
        uint64_t size_bytes;
        uint64_t offset;       /* of the inode, bytes; EROFS_UNPLACED until it has a place */
        uint64_t first_block;  /* of the content; EROFS_UNPLACED likewise */
        uint64_t block_count;  /* of the content, without an inline tail */
        uint32_t header_bytes; /* inode and xattrs */
        uint32_t tail_bytes;   /* inline, after the header */
        uint32_t link_count;
        bool is_extended;
} ErofsItem;

struct ErofsPlan {
        Tree *tree;
        ErofsOptions options;
        char label[EROFS_SUPER_LABEL_SIZE + 1];
        ErofsItem *items; /* in order of the walk; the root first */
        size_t item_count;
        uint32_t *item_of_number; /* item by TreeInode.number */
        uint64_t block_count;     /* of the image */
};

/* Gives every item of the plan a place, and the plan its length. */
int erofs_layout(ErofsPlan *plan, Error *error);

/* Proposes for each item the place that its like has in plan->options.previous: same path, or same path but
 * for the numbers in it, and no more blocks. Proposals may overlap; the layout settles that. */
int erofs_keep_places(ErofsPlan *plan, Error *error);

/* ---- folders ---- */

/* Length of a folder's content, from the names alone. */
int erofs_directory_size(TreeNode *directory, uint64_t *ret_bytes);

/* The folder's content, block by block: calls `take` with each block's used bytes (EROFS_BLOCK_SIZE but for
 * the last). Items must have their places. */
typedef int (*ErofsBlockTake)(const uint8_t *block, size_t size, void *data, Error *error);
int erofs_directory_write(
                const ErofsPlan *plan, const ErofsItem *item, ErofsBlockTake take, void *data, Error *error);
