/* SPDX-License-Identifier: Apache-2.0 */
#include "erofs-reader.h"
#include "erofs-format.h"
#include "file.h"

#include <search.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_LENGTH_MAX 255
#define PATH_LENGTH_MAX 4096
#define DEPTH_MAX 256
/* Says only something about compressed data, and mkfs.erofs sets it on images that have none. */
#define INCOMPAT_HARMLESS UINT32_C(1)

struct ErofsImage {
        int fd; /* borrowed */
        ErofsSuperblock super;
        uint64_t meta_offset, xattr_offset; /* bytes */
};

static int corrupt(Error *error, uint64_t nid, const char *why)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "The EROFS image is damaged at inode %llu: %s",
                        (unsigned long long)nid, why);
}

static int unsupported(Error *error, const char *what)
{
        return error_set(error, ERROR_INCOMPATIBLE, EOPNOTSUPP,
                        "The EROFS image uses %s, which this program does not read", what);
}

/* Whether `size` bytes at `offset` are in the image. */
static bool in_image(const ErofsImage *image, uint64_t offset, uint64_t size)
{
        return offset <= image->super.size_bytes && size <= image->super.size_bytes - offset;
}

static int read_bytes(const ErofsImage *image, uint64_t offset, void *ret, size_t size, Error *error)
{
        if (!in_image(image, offset, size))
                return error_set(error, ERROR_CORRUPT, EBADMSG, "The EROFS image points outside of itself");
        int r = pread_full(image->fd, ret, size, offset);
        return r < 0 ? error_set(error, ERROR_IO, -r, "Cannot read the EROFS image: %s", strerror(-r)) : 0;
}

static int parse_super(ErofsImage *image, const uint8_t *block, uint64_t file_size, Error *error)
{
        const uint8_t *super = block + EROFS_SUPER_OFFSET;
        uint32_t compat = read_le32(super + EROFS_SUPER_COMPAT_AT);

        if (read_le32(super + EROFS_SUPER_MAGIC_AT) != EROFS_MAGIC)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "This is not an EROFS image");
        if (super[EROFS_SUPER_BLOCK_BITS_AT] != EROFS_BLOCK_BITS)
                return unsupported(error, "blocks that are not 4096 bytes");
        if ((compat & EROFS_COMPAT_CHECKSUM) &&
                        erofs_checksum(block) != read_le32(super + EROFS_SUPER_CHECKSUM_AT))
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "The EROFS image is damaged: bad checksum of the superblock");
        if ((read_le32(super + EROFS_SUPER_INCOMPAT_AT) & ~INCOMPAT_HARMLESS) != 0 ||
                        read_le16(super + EROFS_SUPER_EXTRA_DEVICES_AT) != 0)
                return unsupported(error, "compression, chunks or several devices");
        image->super.size_bytes = (uint64_t)read_le32(super + EROFS_SUPER_BLOCKS_AT) * EROFS_BLOCK_SIZE;
        if (image->super.size_bytes > file_size)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "The EROFS image is cut off");
        memcpy(image->super.uuid, super + EROFS_SUPER_UUID_AT, sizeof(image->super.uuid));
        memcpy(image->super.label, super + EROFS_SUPER_LABEL_AT, EROFS_SUPER_LABEL_SIZE);
        image->super.epoch = (int64_t)read_le64(super + EROFS_SUPER_TIME_AT);
        image->super.inode_count = read_le64(super + EROFS_SUPER_INODES_AT);
        image->super.root_nid = read_le16(super + EROFS_SUPER_ROOT_NID_AT);
        image->meta_offset = (uint64_t)read_le32(super + EROFS_SUPER_META_BLOCK_AT) * EROFS_BLOCK_SIZE;
        image->xattr_offset = (uint64_t)read_le32(super + EROFS_SUPER_XATTR_BLOCK_AT) * EROFS_BLOCK_SIZE;
        return 0;
}

int erofs_open(int fd, ErofsImage **ret, Error *error)
{
        uint8_t block[EROFS_BLOCK_SIZE];
        uint64_t size;

        int r = fd_size(fd, &size);
        if (r >= 0 && size < sizeof(block))
                return error_set(error, ERROR_CORRUPT, EBADMSG, "This is not an EROFS image");
        if (r >= 0)
                r = pread_full(fd, block, sizeof(block), 0);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "Cannot read the EROFS image: %s", strerror(-r));
        _cleanup_erofs_ ErofsImage *image = calloc(1, sizeof(*image));
        if (!image)
                return error_oom(error);
        image->fd = fd;
        r = parse_super(image, block, size, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(image);
        return 0;
}

ErofsImage *erofs_close(ErofsImage *image)
{
        free(image);
        return NULL;
}

const ErofsSuperblock *erofs_superblock(const ErofsImage *image)
{
        return &image->super;
}

/* ---- inodes ---- */

static void parse_compact(const ErofsImage *image, const uint8_t *raw, ErofsInode *inode)
{
        inode->link_count = read_le16(raw + EROFS_COMPACT_LINKS_AT);
        inode->size_bytes = read_le32(raw + EROFS_COMPACT_SIZE_AT);
        inode->uid = read_le16(raw + EROFS_COMPACT_UID_AT);
        inode->gid = read_le16(raw + EROFS_COMPACT_GID_AT);
        inode->mtime = image->super.epoch;
}

static void parse_extended(const uint8_t *raw, ErofsInode *inode)
{
        inode->link_count = read_le32(raw + EROFS_EXTENDED_LINKS_AT);
        inode->size_bytes = read_le64(raw + EROFS_EXTENDED_SIZE_AT);
        inode->uid = read_le32(raw + EROFS_EXTENDED_UID_AT);
        inode->gid = read_le32(raw + EROFS_EXTENDED_GID_AT);
        inode->mtime = (int64_t)read_le64(raw + EROFS_EXTENDED_MTIME_AT);
}

/* Where the content lies; `inode->tail_offset` is where a tail would be. */
static int locate_content(
                const ErofsImage *image, ErofsInode *inode, unsigned layout, uint32_t place, Error *error)
{
        uint64_t tail_at = inode->tail_offset;

        inode->tail_offset = 0;
        if (inode->size_bytes == 0)
                return 0;
        inode->data_bytes = inode->size_bytes;
        if (layout == EROFS_LAYOUT_FLAT_INLINE) {
                inode->data_bytes = (inode->size_bytes - 1) / EROFS_BLOCK_SIZE * EROFS_BLOCK_SIZE;
                inode->tail_bytes = inode->size_bytes - inode->data_bytes;
                inode->tail_offset = tail_at;
                if (tail_at % EROFS_BLOCK_SIZE + inode->tail_bytes > EROFS_BLOCK_SIZE ||
                                !in_image(image, tail_at, inode->tail_bytes))
                        return corrupt(error, inode->nid, "the end of its content crosses a block");
        }
        if (inode->data_bytes > 0) {
                inode->data_offset = (uint64_t)place * EROFS_BLOCK_SIZE;
                if (!in_image(image, inode->data_offset, inode->data_bytes))
                        return corrupt(error, inode->nid, "its content lies outside of the image");
        }
        return 0;
}

static bool has_content(mode_t mode)
{
        return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode);
}

static int parse_inode(const ErofsImage *image, const uint8_t *raw, uint64_t offset, ErofsInode *inode,
                Error *error)
{
        uint16_t format = read_le16(raw + EROFS_INODE_FORMAT_AT);
        uint32_t place = read_le32(raw + EROFS_INODE_PLACE_AT);
        bool extended = format & 1;
        unsigned layout = format >> 1 & 7;

        inode->mode = read_le16(raw + EROFS_INODE_MODE_AT);
        if (extended)
                parse_extended(raw, inode);
        else
                parse_compact(image, raw, inode);
        inode->xattr_offset = offset + (extended ? EROFS_INODE_EXTENDED_SIZE : EROFS_INODE_COMPACT_SIZE);
        uint16_t count = read_le16(raw + EROFS_INODE_XATTR_COUNT_AT);
        inode->xattr_bytes = count > 0 ? EROFS_XATTR_HEADER_SIZE + 4 * ((uint32_t)count - 1) : 0;
        if (!in_image(image, inode->xattr_offset, inode->xattr_bytes))
                return corrupt(error, inode->nid, "its extended attributes lie outside of the image");
        if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) {
                inode->major = place >> 8 & 0xfff;
                inode->minor = (place & 0xff) | (place >> 12 & 0xfff00);
        } else if (!has_content(inode->mode) && !S_ISFIFO(inode->mode) && !S_ISSOCK(inode->mode))
                return corrupt(error, inode->nid, "its type is not known");
        if (!has_content(inode->mode)) {
                inode->size_bytes = 0;
                return 0;
        }
        if (layout != EROFS_LAYOUT_FLAT_PLAIN && layout != EROFS_LAYOUT_FLAT_INLINE)
                return unsupported(error, "compressed or chunked files");
        inode->tail_offset = inode->xattr_offset + inode->xattr_bytes;
        return locate_content(image, inode, layout, place, error);
}

int erofs_read_inode(const ErofsImage *image, uint64_t nid, ErofsInode *ret, Error *error)
{
        uint8_t raw[EROFS_INODE_EXTENDED_SIZE];
        uint64_t offset;
        ErofsInode inode = { .nid = nid };

        if (MUL_OVERFLOWS(nid, (uint64_t)EROFS_SLOT_SIZE, &offset) ||
                        ADD_OVERFLOWS(offset, image->meta_offset, &offset))
                return corrupt(error, nid, "its number is too large");
        int r = read_bytes(image, offset, raw, EROFS_INODE_COMPACT_SIZE, error);
        if (r >= 0 && (raw[EROFS_INODE_FORMAT_AT] & 1))
                r = read_bytes(image, offset, raw, EROFS_INODE_EXTENDED_SIZE, error);
        inode.offset = offset;
        if (r >= 0)
                r = parse_inode(image, raw, offset, &inode, error);
        if (r < 0)
                return r;
        *ret = inode;
        return 0;
}

int erofs_read(const ErofsImage *image, const ErofsInode *inode, uint64_t offset_bytes, void *ret,
                size_t size, Error *error)
{
        uint8_t *to = ret;

        if (offset_bytes > inode->size_bytes || size > inode->size_bytes - offset_bytes)
                return -EINVAL;
        if (offset_bytes < inode->data_bytes) {
                size_t n = (size_t)MIN_OF((uint64_t)size, inode->data_bytes - offset_bytes);

                int r = read_bytes(image, inode->data_offset + offset_bytes, to, n, error);
                if (r < 0)
                        return r;
                to += n;
                size -= n;
                offset_bytes += n;
        }
        return size > 0 ? read_bytes(image, inode->tail_offset + (offset_bytes - inode->data_bytes), to,
                                          size, error)
                        : 0;
}

/* ---- folders ---- */

typedef struct DirectoryWalk {
        uint64_t nid;
        ErofsEntryVisit visit;
        void *data;
        Error *error;
        char previous[NAME_LENGTH_MAX + 1];
} DirectoryWalk;

static int take_name(DirectoryWalk *walk, const uint8_t *text, size_t length, uint64_t nid)
{
        char name[NAME_LENGTH_MAX + 1];

        if (length == 0 || length > NAME_LENGTH_MAX || memchr(text, 0, length) || memchr(text, '/', length))
                return corrupt(walk->error, walk->nid, "a name in this folder is not one");
        memcpy(name, text, length);
        name[length] = 0;
        if (strcmp(walk->previous, name) >= 0)
                return corrupt(walk->error, walk->nid, "the names in this folder are not in order");
        memcpy(walk->previous, name, sizeof(name));
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return 0;
        return walk->visit(name, nid, walk->data, walk->error);
}

static int walk_block(DirectoryWalk *walk, const uint8_t *block, size_t size)
{
        size_t names_at = size >= EROFS_DIRENT_SIZE ? read_le16(block + EROFS_DIRENT_NAME_AT) : 0;
        int r = 0;

        if (names_at < EROFS_DIRENT_SIZE || names_at % EROFS_DIRENT_SIZE != 0 || names_at > size)
                return corrupt(walk->error, walk->nid, "a block of this folder is damaged");
        for (size_t at = 0; r >= 0 && at < names_at; at += EROFS_DIRENT_SIZE) {
                bool last = at + EROFS_DIRENT_SIZE == names_at;
                size_t start = read_le16(block + at + EROFS_DIRENT_NAME_AT);
                size_t end = last ? size : read_le16(block + at + EROFS_DIRENT_SIZE + EROFS_DIRENT_NAME_AT);

                if (start < names_at || start > end || end > size)
                        return corrupt(walk->error, walk->nid, "a block of this folder is damaged");
                size_t length = last ? strnlen((const char *)block + start, end - start) : end - start;
                r = take_name(walk, block + start, length, read_le64(block + at + EROFS_DIRENT_NID_AT));
        }
        return r;
}

int erofs_read_directory(const ErofsImage *image, const ErofsInode *directory, ErofsEntryVisit visit,
                void *data, Error *error)
{
        DirectoryWalk walk = { .nid = directory->nid, .visit = visit, .data = data, .error = error };
        uint8_t block[EROFS_BLOCK_SIZE];

        if (!S_ISDIR(directory->mode))
                return -ENOTDIR;
        for (uint64_t at = 0; at < directory->size_bytes; at += sizeof(block)) {
                size_t size = (size_t)MIN_OF((uint64_t)sizeof(block), directory->size_bytes - at);

                int r = erofs_read(image, directory, at, block, size, error);
                if (r >= 0)
                        r = walk_block(&walk, block, size);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- xattrs ---- */

typedef struct XattrWalk {
        uint64_t nid;
        ErofsXattrVisit visit;
        void *data;
        Error *error;
} XattrWalk;

/* Takes one entry of at most `size` bytes; *ret_size is its length without padding. */
static int take_xattr(XattrWalk *walk, const uint8_t *entry, size_t size, size_t *ret_size)
{
        char name[2 * NAME_LENGTH_MAX + 2];

        if (size < EROFS_XATTR_ENTRY_SIZE)
                return corrupt(walk->error, walk->nid, "an extended attribute is cut off");
        size_t name_size = entry[0], value_size = read_le16(entry + 2);
        const char *prefix = erofs_xattr_prefix_text(entry[1]);
        if (EROFS_XATTR_ENTRY_SIZE + name_size + value_size > size)
                return corrupt(walk->error, walk->nid, "an extended attribute is cut off");
        const uint8_t *rest = entry + EROFS_XATTR_ENTRY_SIZE;
        if (!prefix || memchr(rest, 0, name_size))
                return corrupt(walk->error, walk->nid, "an extended attribute has a bad name");
        *ret_size = EROFS_XATTR_ENTRY_SIZE + name_size + value_size;
        (void)snprintf(name, sizeof(name), "%s%.*s", prefix, (int)name_size, (const char *)rest);
        return walk->visit(name, rest + name_size, value_size, walk->data, walk->error);
}

static int take_shared(const ErofsImage *image, XattrWalk *walk, uint32_t id)
{
        uint64_t offset = image->xattr_offset + (uint64_t)id * 4;
        uint8_t head[EROFS_XATTR_ENTRY_SIZE];
        size_t size;

        int r = read_bytes(image, offset, head, sizeof(head), walk->error);
        if (r < 0)
                return r;
        size = sizeof(head) + head[0] + read_le16(head + 2);
        _cleanup_free_ uint8_t *entry = malloc(size);
        if (!entry)
                return error_oom(walk->error);
        r = read_bytes(image, offset, entry, size, walk->error);
        return r < 0 ? r : take_xattr(walk, entry, size, &size);
}

static int take_xattrs(const ErofsImage *image, XattrWalk *walk, const uint8_t *area, size_t size)
{
        size_t shared = area[EROFS_XATTR_HEADER_SHARED_AT], at = EROFS_XATTR_HEADER_SIZE + 4 * shared;
        int r = 0;

        if (at > size)
                return corrupt(walk->error, walk->nid, "its list of shared attributes is cut off");
        for (size_t i = 0; r >= 0 && i < shared; i++)
                r = take_shared(image, walk, read_le32(area + EROFS_XATTR_HEADER_SIZE + 4 * i));
        while (r >= 0 && at < size) {
                size_t used = 0;

                r = take_xattr(walk, area + at, size - at, &used);
                at += (used + 3) / 4 * 4;
        }
        return r;
}

int erofs_read_xattrs(const ErofsImage *image, const ErofsInode *inode, ErofsXattrVisit visit, void *data,
                Error *error)
{
        XattrWalk walk = { .nid = inode->nid, .visit = visit, .data = data, .error = error };

        if (inode->xattr_bytes == 0)
                return 0;
        _cleanup_free_ uint8_t *area = malloc(inode->xattr_bytes);
        if (!area)
                return error_oom(error);
        int r = read_bytes(image, inode->xattr_offset, area, inode->xattr_bytes, error);
        return r < 0 ? r : take_xattrs(image, &walk, area, inode->xattr_bytes);
}

/* ---- the whole tree ---- */

typedef struct ImageWalk {
        const ErofsImage *image;
        ErofsVisit visit;
        void *data;
        void *folders;         /* nids of those seen */
        uint64_t folder_bytes; /* of content, all folders together */
        unsigned depth;
        size_t path_length;
        char path[PATH_LENGTH_MAX];
} ImageWalk;

static int compare_nids(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* Notes a folder. Each is seen once, and their contents do not overlap: so no image can make a walk longer
 * than itself. */
static int enter_folder(ImageWalk *walk, const ErofsInode *inode, Error *error)
{
        if (walk->depth > DEPTH_MAX)
                return corrupt(error, inode->nid, "its folders are too deep");
        walk->folder_bytes += inode->size_bytes;
        if (walk->folder_bytes > walk->image->super.size_bytes)
                return corrupt(error, inode->nid, "its folders are larger than the image");

        uint64_t *nid = malloc(sizeof(*nid));
        if (!nid)
                return error_oom(error);
        *nid = inode->nid;
        uint64_t **found = tsearch(nid, &walk->folders, compare_nids);
        if (!found || *found != nid) {
                free(nid);
                return found ? corrupt(error, inode->nid, "this folder appears twice") : error_oom(error);
        }
        return 0;
}

static int walk_node(ImageWalk *walk, uint64_t nid, Error *error);

static int walk_entry(const char *name, uint64_t nid, void *data, Error *error)
{
        ImageWalk *walk = data;
        size_t before = walk->path_length, length = strlen(name), slash = before > 0 ? 1 : 0;

        if (before + slash + length >= sizeof(walk->path))
                return corrupt(error, nid, "its path is too long");
        if (slash)
                walk->path[before] = '/';
        memcpy(walk->path + before + slash, name, length + 1);
        walk->path_length = before + slash + length;
        int r = walk_node(walk, nid, error);
        walk->path_length = before;
        walk->path[before] = 0;
        return r;
}

/* Recursion is bounded by DEPTH_MAX. */
static int walk_node(ImageWalk *walk, uint64_t nid, Error *error)
{
        ErofsInode inode;

        int r = erofs_read_inode(walk->image, nid, &inode, error);
        if (r >= 0)
                r = walk->visit(walk->path, &inode, walk->data, error);
        if (r < 0 || !S_ISDIR(inode.mode))
                return r;
        r = enter_folder(walk, &inode, error);
        if (r < 0)
                return r;
        walk->depth++;
        r = erofs_read_directory(walk->image, &inode, walk_entry, walk, error);
        walk->depth--;
        return r;
}

int erofs_walk(const ErofsImage *image, ErofsVisit visit, void *data, Error *error)
{
        ImageWalk walk = { .image = image, .visit = visit, .data = data };

        int r = walk_node(&walk, image->super.root_nid, error);
        while (walk.folders) {
                uint64_t *nid = *(uint64_t **)walk.folders;

                (void)tdelete(nid, &walk.folders, compare_nids);
                free(nid);
        }
        return r;
}
