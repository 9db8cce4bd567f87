/* SPDX-License-Identifier: Apache-2.0 */
#include "erofs-plan.h"

#include <string.h>

/* The entries of a folder in byte order with "." and ".." where they belong among the names. */
typedef struct Entries {
        TreeNode *const *children;
        size_t child_count, next_child;
        unsigned next_dot; /* 0: ".", 1: "..", 2: both gone by */
} Entries;

typedef struct Entry {
        const char *name;
        size_t length;
        TreeNode *child; /* NULL for "." and ".." */
} Entry;

static bool next_entry(Entries *entries, Entry *ret)
{
        static const char *const dots[] = { ".", ".." };
        TreeNode *child = entries->next_child < entries->child_count ? entries->children[entries->next_child]
                                                                     : NULL;

        if (entries->next_dot < 2 && (!child || strcmp(dots[entries->next_dot], child->name) < 0)) {
                *ret = (Entry){ .name = dots[entries->next_dot++] };
        } else if (child) {
                *ret = (Entry){ .name = child->name, .child = child };
                entries->next_child++;
        } else
                return false;
        ret->length = strlen(ret->name);
        return true;
}

int erofs_directory_size(TreeNode *directory, uint64_t *ret_bytes)
{
        uint64_t blocks = 0, used = 0;
        Entries entries = { 0 };
        Entry entry;

        int r = tree_children(directory, &entries.children, &entries.child_count);
        if (r < 0)
                return r;
        while (next_entry(&entries, &entry)) {
                if (used + EROFS_DIRENT_SIZE + entry.length > EROFS_BLOCK_SIZE) {
                        blocks++;
                        used = 0;
                }
                used += EROFS_DIRENT_SIZE + entry.length;
        }
        *ret_bytes = blocks * EROFS_BLOCK_SIZE + used;
        return 0;
}

static uint8_t type_of(mode_t mode)
{
        static const struct {
                mode_t mode;
                uint8_t type;
        } types[] = {
                { S_IFREG, EROFS_TYPE_REGULAR },
                { S_IFDIR, EROFS_TYPE_DIRECTORY },
                { S_IFLNK, EROFS_TYPE_SYMLINK },
                { S_IFCHR, EROFS_TYPE_CHARACTER },
                { S_IFBLK, EROFS_TYPE_BLOCK },
                { S_IFIFO, EROFS_TYPE_FIFO },
        };

        for (size_t i = 0; i < ELEMENTS(types); i++)
                if (types[i].mode == (mode & S_IFMT))
                        return types[i].type;
        return 0;
}

static uint64_t nid_of(const ErofsPlan *plan, const TreeNode *node)
{
        return plan->items[plan->item_of_number[node->inode->number]].offset / EROFS_SLOT_SIZE;
}

/* One block's entries: names wait in their own buffer, since they come after all entries. */
typedef struct DirectoryBlock {
        uint8_t bytes[EROFS_BLOCK_SIZE];
        uint8_t names[EROFS_BLOCK_SIZE];
        size_t entry_count, name_bytes;
} DirectoryBlock;

static void add_entry(DirectoryBlock *block, const Entry *entry, uint64_t nid, uint8_t type)
{
        uint8_t *dirent = block->bytes + block->entry_count++ * EROFS_DIRENT_SIZE;

        write_le64(dirent + EROFS_DIRENT_NID_AT, nid);
        write_le16(dirent + EROFS_DIRENT_NAME_AT,
                        (uint16_t)block->name_bytes); /* made absolute at the end */
        dirent[EROFS_DIRENT_TYPE_AT] = type;
        dirent[EROFS_DIRENT_TYPE_AT + 1] = 0;
        memcpy(block->names + block->name_bytes, entry->name, entry->length);
        block->name_bytes += entry->length;
}

static int flush_block(DirectoryBlock *block, bool last, ErofsBlockTake take, void *data, Error *error)
{
        size_t names_at = block->entry_count * EROFS_DIRENT_SIZE, used = names_at + block->name_bytes;

        for (size_t i = 0; i < block->entry_count; i++) {
                uint8_t *name_at = block->bytes + i * EROFS_DIRENT_SIZE + EROFS_DIRENT_NAME_AT;

                write_le16(name_at, (uint16_t)(read_le16(name_at) + names_at));
        }
        memcpy(block->bytes + names_at, block->names, block->name_bytes);
        memset(block->bytes + used, 0, sizeof(block->bytes) - used);
        block->entry_count = 0;
        block->name_bytes = 0;
        return take(block->bytes, last ? used : sizeof(block->bytes), data, error);
}

int erofs_directory_write(
                const ErofsPlan *plan, const ErofsItem *item, ErofsBlockTake take, void *data, Error *error)
{
        const TreeNode *parent = item->node->parent ? item->node->parent : item->node;
        DirectoryBlock block = { .entry_count = 0 };
        Entries entries = { 0 };
        Entry entry;

        int r = tree_children(item->node, &entries.children, &entries.child_count);
        if (r < 0)
                return error_oom(error);
        while (next_entry(&entries, &entry)) {
                const TreeNode *target = entry.child ? entry.child : entry.length == 1 ? item->node : parent;

                if ((block.entry_count + 1) * EROFS_DIRENT_SIZE + block.name_bytes + entry.length >
                                EROFS_BLOCK_SIZE) {
                        r = flush_block(&block, false, take, data, error);
                        if (r < 0)
                                return r;
                }
                add_entry(&block, &entry, nid_of(plan, target), type_of(target->inode->mode));
        }
        return flush_block(&block, true, take, data, error);
}
