/* SPDX-License-Identifier: Apache-2.0 */
#include "erofs-plan.h"

#include <string.h>

#define XATTR_COUNT_MAX 65535
#define SIZE_MAX_BYTES (UINT64_C(1) << 44) /* 2^32 blocks: what the block numbers of an inode reach */

static uint32_t align_up(uint32_t value, uint32_t to)
{
        return (value + to - 1) / to * to;
}

/* Bytes of an inode's xattr area; 0 when it has none. */
static int xattr_bytes(const TreeInode *inode, const char *path, uint32_t *ret, Error *error)
{
        uint32_t bytes = inode->xattr_count > 0 ? EROFS_XATTR_HEADER_SIZE : 0;

        for (size_t i = 0; i < inode->xattr_count; i++) {
                const char *rest;

                if (erofs_xattr_prefix(inode->xattrs[i].name, &rest) == 0)
                        return error_set(error, ERROR_CONFIG, EOPNOTSUPP,
                                        "/%s in the image has the extended attribute %s, which EROFS cannot "
                                        "hold",
                                        path, inode->xattrs[i].name);
                uint32_t entry = EROFS_XATTR_ENTRY_SIZE + (uint32_t)strlen(rest) +
                                 (uint32_t)inode->xattrs[i].size_bytes;
                if (bytes > UINT32_MAX - entry - 4)
                        return error_set(error, ERROR_CONFIG, E2BIG,
                                        "/%s in the image has too many extended attributes", path);
                bytes += align_up(entry, 4);
        }
        if (bytes > 0 && 1 + (bytes - EROFS_XATTR_HEADER_SIZE) / 4 > XATTR_COUNT_MAX)
                return error_set(error, ERROR_CONFIG, E2BIG,
                                "/%s in the image has more extended attributes than an inode can hold",
                                path);
        *ret = bytes;
        return 0;
}

static int content_size(TreeNode *node, uint64_t *ret)
{
        switch (node->inode->mode & S_IFMT) {
        case S_IFDIR:
                return erofs_directory_size(node, ret);
        case S_IFLNK:
                *ret = strlen(node->inode->symlink_target);
                return 0;
        case S_IFREG:
                *ret = node->inode->content.size_bytes;
                return 0;
        default:
                *ret = 0;
                return 0;
        }
}

/* A folder's links are its name, its "." and the ".." of each folder in it. */
static int links_of(TreeNode *node, uint32_t *ret)
{
        TreeNode *const *children;
        size_t count;

        *ret = node->inode->link_count;
        if (!S_ISDIR(node->inode->mode))
                return 0;
        int r = tree_children(node, &children, &count);
        *ret = 2;
        for (size_t i = 0; r >= 0 && i < count; i++)
                *ret += S_ISDIR(children[i]->inode->mode) ? 1 : 0;
        return r;
}

/* The last, partial block goes behind the inode when both fit in one block, which spares half a block a file
 * and a seek for small ones. */
static void split_content(ErofsItem *item)
{
        uint32_t tail = (uint32_t)(item->size_bytes % EROFS_BLOCK_SIZE);

        item->block_count = item->size_bytes / EROFS_BLOCK_SIZE;
        if (tail > 0 && item->header_bytes + tail <= EROFS_BLOCK_SIZE)
                item->tail_bytes = tail;
        else if (tail > 0)
                item->block_count++;
}

static int plan_item(const ErofsPlan *plan, TreeNode *node, const char *path, ErofsItem *ret, Error *error)
{
        const TreeInode *inode = node->inode;
        ErofsItem item = { .node = node, .offset = EROFS_UNPLACED, .first_block = EROFS_UNPLACED };
        uint32_t xattrs = 0;

        int r = xattr_bytes(inode, path, &xattrs, error);
        if (r < 0)
                return r;
        if (content_size(node, &item.size_bytes) < 0 || links_of(node, &item.link_count) < 0)
                return error_oom(error);
        if (item.size_bytes > SIZE_MAX_BYTES)
                return error_set(
                                error, ERROR_CONFIG, EFBIG, "/%s in the image is too large for EROFS", path);
        item.is_extended = inode->uid > UINT16_MAX || inode->gid > UINT16_MAX ||
                           item.link_count > UINT16_MAX || item.size_bytes > UINT32_MAX ||
                           inode->mtime != plan->options.epoch;
        item.header_bytes =
                        (item.is_extended ? EROFS_INODE_EXTENDED_SIZE : EROFS_INODE_COMPACT_SIZE) + xattrs;
        split_content(&item);
        *ret = item;
        return 0;
}

static int collect(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        ErofsPlan *plan = data;
        uint32_t *number = &plan->item_of_number[node->inode->number];

        if (*number != UINT32_MAX)
                return 0; /* another name of an inode that is there */
        int r = plan_item(plan, node, path, &plan->items[plan->item_count], error);
        if (r < 0)
                return r;
        *number = (uint32_t)plan->item_count++;
        return 0;
}

ErofsPlan *erofs_plan_free(ErofsPlan *plan)
{
        if (!plan)
                return NULL;
        free(plan->items);
        free(plan->item_of_number);
        free(plan);
        return NULL;
}

int erofs_plan_new(Tree *tree, const ErofsOptions *options, ErofsPlan **ret, Error *error)
{
        if (options->label && strlen(options->label) >= EROFS_SUPER_LABEL_SIZE)
                return error_set(error, ERROR_CONFIG, ENAMETOOLONG,
                                "The volume name \"%s\" has more than %d bytes", options->label,
                                EROFS_SUPER_LABEL_SIZE - 1);
        if (tree_inode_number_end(tree) >= UINT32_MAX)
                return error_set(error, ERROR_CONFIG, E2BIG, "The image has too many files");

        _cleanup_erofs_plan_ ErofsPlan *plan = calloc(1, sizeof(*plan));
        if (!plan)
                return error_oom(error);
        plan->tree = tree;
        plan->options = *options;
        (void)snprintf(plan->label, sizeof(plan->label), "%s", options->label ? options->label : "");
        plan->items = calloc(tree_inode_count(tree), sizeof(*plan->items));
        plan->item_of_number = malloc(tree_inode_number_end(tree) * sizeof(*plan->item_of_number));
        if (!plan->items || !plan->item_of_number)
                return error_oom(error);
        memset(plan->item_of_number, 0xff, tree_inode_number_end(tree) * sizeof(*plan->item_of_number));
        int r = tree_walk(tree, tree_root(tree), collect, plan, error);
        if (r >= 0)
                r = erofs_layout(plan, error);
        if (r < 0)
                return error_is_set(error) || r != -ENOMEM ? r : error_oom(error);
        *ret = TAKE_PTR(plan);
        return 0;
}

uint64_t erofs_plan_size(const ErofsPlan *plan)
{
        return plan->block_count * EROFS_BLOCK_SIZE;
}
