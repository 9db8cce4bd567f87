/* SPDX-License-Identifier: Apache-2.0 */
#include "erofs-writer.h"
#include "erofs-plan.h"
#include "file.h"

#include <string.h>

#define CHUNK_SIZE (1 * MIB) /* bytes read and written at once; a multiple of the block size */

/* What to put next on the disk: an inode, or the blocks of a content. */
typedef struct Piece {
        uint64_t offset;
        const ErofsItem *item;
        bool is_content;
} Piece;

typedef struct Writer {
        const ErofsPlan *plan;
        int fd;
        uint64_t offset; /* where the chunk begins on disk */
        size_t used;     /* bytes of the chunk */
        bool sparse;     /* the target is a fresh file: zeros may stay holes */
        ErofsProgress progress;
        void *data;
        Error *error;
        uint8_t chunk[CHUNK_SIZE];
} Writer;

/* ---- bytes in order ---- */

static bool is_zero(const uint8_t *data, size_t size)
{
        return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

static int flush(Writer *writer)
{
        int r = 0;

        if (!writer->sparse || !is_zero(writer->chunk, writer->used))
                r = pwrite_full(writer->fd, writer->chunk, writer->used, writer->offset);
        if (r < 0)
                return error_set(writer->error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                "Cannot write the root image: %s", strerror(-r));
        writer->offset += writer->used;
        writer->used = 0;
        r = writer->progress ? writer->progress(writer->offset, writer->data) : 0;
        return r < 0 ? error_set(writer->error, ERROR_CANCELLED, -r, "Writing the root image was stopped")
                     : 0;
}

/* Room for up to `size` bytes in the chunk; *ret_size tells for how many. */
static int room(Writer *writer, uint64_t size, uint8_t **ret, size_t *ret_size)
{
        int r = writer->used == CHUNK_SIZE ? flush(writer) : 0;
        if (r < 0)
                return r;
        *ret = writer->chunk + writer->used;
        *ret_size = (size_t)MIN_OF(size, (uint64_t)(CHUNK_SIZE - writer->used));
        writer->used += *ret_size;
        return 0;
}

static int put_zeros(Writer *writer, uint64_t size)
{
        while (size > 0) {
                uint8_t *at;
                size_t n;

                int r = room(writer, size, &at, &n);
                if (r < 0)
                        return r;
                memset(at, 0, n);
                size -= n;
        }
        return 0;
}

static int put(Writer *writer, const void *bytes, size_t size)
{
        const uint8_t *from = bytes;

        while (size > 0) {
                uint8_t *at;
                size_t n;

                int r = room(writer, size, &at, &n);
                if (r < 0)
                        return r;
                memcpy(at, from, n);
                from += n;
                size -= n;
        }
        return 0;
}

/* Bytes of a file, straight into the chunk. */
static int put_file(Writer *writer, const TreeNode *node, uint64_t offset, uint64_t size)
{
        while (size > 0) {
                uint8_t *at;
                size_t n;

                int r = room(writer, size, &at, &n);
                if (r < 0)
                        return r;
                r = tree_read(writer->plan->tree, node->inode, offset, at, n);
                if (r < 0) {
                        _cleanup_free_ char *path = tree_node_path(node);

                        return error_set(writer->error, ERROR_IO, -r,
                                        "Cannot read what is to become /%s: %s", path ? path : "?",
                                        r == -EIO ? "it is shorter than it was, or damaged" : strerror(-r));
                }
                offset += n;
                size -= n;
        }
        return 0;
}

static uint64_t position(const Writer *writer)
{
        return writer->offset + writer->used;
}

/* ---- contents ---- */

/* Which part of an item's content is wanted: bytes `from` up to `to`. */
typedef struct Part {
        Writer *writer;
        uint64_t at, from, to;
} Part;

static int put_part(const uint8_t *block, size_t size, void *data, Error *error)
{
        Part *part = data;
        uint64_t start = part->at;

        part->at += size;
        return start >= part->from && start < part->to ? put(part->writer, block, size) : 0;
}

/* Content bytes from `from` (a multiple of the block size) up to `to`. */
static int put_content(Writer *writer, const ErofsItem *item, uint64_t from, uint64_t to)
{
        const TreeInode *inode = item->node->inode;
        Part part = { .writer = writer, .from = from, .to = to };

        if (from == to)
                return 0;
        if (S_ISDIR(inode->mode))
                return erofs_directory_write(writer->plan, item, put_part, &part, writer->error);
        if (S_ISLNK(inode->mode))
                return put(writer, inode->symlink_target + from, to - from);
        return put_file(writer, item->node, from, to - from);
}

/* ---- inodes ---- */

/* As the kernel's new_encode_dev(). */
static uint32_t encode_device(const TreeInode *inode)
{
        return (inode->minor & 0xff) | inode->major << 8 | (inode->minor & ~UINT32_C(0xff)) << 12;
}

static uint32_t place_field(const ErofsItem *item)
{
        if (S_ISCHR(item->node->inode->mode) || S_ISBLK(item->node->inode->mode))
                return encode_device(item->node->inode);
        return item->block_count > 0 ? (uint32_t)item->first_block : EROFS_NO_BLOCK;
}

static void encode_inode(const ErofsItem *item, uint8_t *ret)
{
        const TreeInode *inode = item->node->inode;
        uint16_t layout = item->tail_bytes > 0 ? EROFS_LAYOUT_FLAT_INLINE : EROFS_LAYOUT_FLAT_PLAIN;
        uint32_t inode_size = item->is_extended ? EROFS_INODE_EXTENDED_SIZE : EROFS_INODE_COMPACT_SIZE;
        uint32_t xattrs = item->header_bytes - inode_size;

        memset(ret, 0, inode_size);
        write_le16(ret + EROFS_INODE_FORMAT_AT, (uint16_t)(layout << 1 | (item->is_extended ? 1 : 0)));
        write_le16(ret + EROFS_INODE_XATTR_COUNT_AT,
                        xattrs > 0 ? (uint16_t)(1 + (xattrs - EROFS_XATTR_HEADER_SIZE) / 4) : 0);
        write_le16(ret + EROFS_INODE_MODE_AT, (uint16_t)inode->mode);
        write_le32(ret + EROFS_INODE_PLACE_AT, place_field(item));
        write_le32(ret + EROFS_INODE_NUMBER_AT, (uint32_t)(item->offset / EROFS_SLOT_SIZE));
        if (item->is_extended) {
                write_le64(ret + EROFS_EXTENDED_SIZE_AT, item->size_bytes);
                write_le32(ret + EROFS_EXTENDED_UID_AT, inode->uid);
                write_le32(ret + EROFS_EXTENDED_GID_AT, inode->gid);
                write_le64(ret + EROFS_EXTENDED_MTIME_AT, (uint64_t)inode->mtime);
                write_le32(ret + EROFS_EXTENDED_LINKS_AT, item->link_count);
        } else {
                write_le16(ret + EROFS_COMPACT_LINKS_AT, (uint16_t)item->link_count);
                write_le32(ret + EROFS_COMPACT_SIZE_AT, (uint32_t)item->size_bytes);
                write_le16(ret + EROFS_COMPACT_UID_AT, (uint16_t)inode->uid);
                write_le16(ret + EROFS_COMPACT_GID_AT, (uint16_t)inode->gid);
        }
}

static int put_xattrs(Writer *writer, const TreeInode *inode)
{
        static const uint8_t header[EROFS_XATTR_HEADER_SIZE];
        int r = inode->xattr_count > 0 ? put(writer, header, sizeof(header)) : 0;

        for (size_t i = 0; r >= 0 && i < inode->xattr_count; i++) {
                const TreeXattr *xattr = &inode->xattrs[i];
                uint8_t entry[EROFS_XATTR_ENTRY_SIZE];
                const char *rest = "";

                entry[1] = erofs_xattr_prefix(xattr->name, &rest);
                entry[0] = (uint8_t)strlen(rest);
                write_le16(entry + 2, (uint16_t)xattr->size_bytes);
                size_t size = sizeof(entry) + entry[0] + xattr->size_bytes;
                r = put(writer, entry, sizeof(entry));
                if (r >= 0)
                        r = put(writer, rest, entry[0]);
                if (r >= 0)
                        r = put(writer, xattr->value, xattr->size_bytes);
                if (r >= 0)
                        r = put_zeros(writer, (4 - size % 4) % 4);
        }
        return r;
}

static int put_inode(Writer *writer, const ErofsItem *item)
{
        uint8_t inode[EROFS_INODE_EXTENDED_SIZE];

        encode_inode(item, inode);
        int r = put(writer, inode, item->is_extended ? EROFS_INODE_EXTENDED_SIZE : EROFS_INODE_COMPACT_SIZE);
        if (r >= 0)
                r = put_xattrs(writer, item->node->inode);
        if (r >= 0 && item->tail_bytes > 0)
                r = put_content(writer, item, item->size_bytes - item->tail_bytes, item->size_bytes);
        return r;
}

/* ---- the image ---- */

static int put_superblock(Writer *writer)
{
        const ErofsPlan *plan = writer->plan;
        uint8_t block[EROFS_BLOCK_SIZE] = { 0 };
        uint8_t *super = block + EROFS_SUPER_OFFSET;

        write_le32(super + EROFS_SUPER_MAGIC_AT, EROFS_MAGIC);
        write_le32(super + EROFS_SUPER_COMPAT_AT, EROFS_COMPAT_CHECKSUM | EROFS_COMPAT_MTIME);
        super[EROFS_SUPER_BLOCK_BITS_AT] = EROFS_BLOCK_BITS;
        write_le16(super + EROFS_SUPER_ROOT_NID_AT, (uint16_t)(plan->items[0].offset / EROFS_SLOT_SIZE));
        write_le64(super + EROFS_SUPER_INODES_AT, plan->item_count);
        write_le64(super + EROFS_SUPER_TIME_AT, (uint64_t)plan->options.epoch);
        write_le32(super + EROFS_SUPER_BLOCKS_AT, (uint32_t)plan->block_count);
        memcpy(super + EROFS_SUPER_UUID_AT, plan->options.uuid, sizeof(plan->options.uuid));
        memcpy(super + EROFS_SUPER_LABEL_AT, plan->label, EROFS_SUPER_LABEL_SIZE);
        write_le32(super + EROFS_SUPER_CHECKSUM_AT, erofs_checksum(block));
        return put(writer, block, sizeof(block));
}

static int compare_pieces(const void *a, const void *b)
{
        const Piece *x = a, *y = b;

        return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static Piece *sort_pieces(const ErofsPlan *plan, size_t *ret_count)
{
        size_t count = 0;

        Piece *pieces = calloc(plan->item_count, 2 * sizeof(*pieces));
        if (!pieces)
                return NULL;
        for (size_t i = 0; i < plan->item_count; i++) {
                const ErofsItem *item = &plan->items[i];

                pieces[count++] = (Piece){ .offset = item->offset, .item = item };
                if (item->block_count > 0)
                        pieces[count++] = (Piece){ .offset = item->first_block * EROFS_BLOCK_SIZE,
                                .item = item,
                                .is_content = true };
        }
        qsort(pieces, count, sizeof(*pieces), compare_pieces);
        *ret_count = count;
        return pieces;
}

static int put_pieces(Writer *writer)
{
        size_t count = 0;
        int r = 0;

        _cleanup_free_ Piece *pieces = sort_pieces(writer->plan, &count);
        if (!pieces)
                return error_oom(writer->error);
        for (size_t i = 0; r >= 0 && i < count; i++) {
                const ErofsItem *item = pieces[i].item;

                r = put_zeros(writer, pieces[i].offset - position(writer));
                if (r >= 0)
                        r = pieces[i].is_content ? put_content(writer, item, 0,
                                                                   item->size_bytes - item->tail_bytes)
                                                 : put_inode(writer, item);
        }
        return r;
}

int erofs_write(const ErofsPlan *plan, int fd, ErofsProgress progress, void *data, Error *error)
{
        uint64_t size = erofs_plan_size(plan);
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_set(error, ERROR_IO, errno, "Cannot write the root image: %s", strerror(errno));
        _cleanup_free_ Writer *writer = calloc(1, sizeof(*writer));
        if (!writer)
                return error_oom(error);
        writer->plan = plan;
        writer->fd = fd;
        writer->sparse = S_ISREG(st.st_mode) && st.st_size == 0;
        writer->progress = progress;
        writer->data = data;
        writer->error = error;
        int r = put_superblock(writer);
        if (r >= 0)
                r = put_pieces(writer);
        if (r >= 0)
                r = put_zeros(writer, size - position(writer));
        if (r >= 0)
                r = flush(writer);
        if (r >= 0 && writer->sparse && ftruncate(fd, (off_t)size) < 0)
                r = error_set(error, ERROR_IO, errno, "Cannot write the root image: %s", strerror(errno));
        return r;
}
