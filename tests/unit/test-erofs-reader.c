/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader makes of images that no writer has made. */
#include "erofs-scene.h"
#include "test.h"

static uint8_t *image_bytes(size_t *ret_size)
{
        _cleanup_tree_ Tree *tree = every_kind();
        _cleanup_fd_ int fd = write_image(tree, NULL);
        uint64_t size = 0;

        (void)fd_size(fd, &size);
        uint8_t *data = malloc(size);
        if (pread_full(fd, data, size, 0) < 0)
                abort();
        *ret_size = size;
        return data;
}

static int visit_nothing(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        return 0;
}

/* Opens and walks `data` as an image; the checksum is made right first. */
static int walk_bytes(uint8_t *data, size_t size, Error *error)
{
        _cleanup_fd_ int fd = memfd_create("image", MFD_CLOEXEC);
        _cleanup_erofs_ ErofsImage *image = NULL;

        write_le32(data + EROFS_SUPER_OFFSET + EROFS_SUPER_CHECKSUM_AT, erofs_checksum(data));
        if (pwrite_full(fd, data, size, 0) < 0)
                return -EIO;
        int r = erofs_open(fd, &image, error);
        return r < 0 ? r : erofs_walk(image, visit_nothing, NULL, error);
}

TEST(damaged_images_are_refused)
{
        static const struct {
                size_t at; /* from the superblock */
                uint8_t value;
                int r;
        } super[] = {
                { EROFS_SUPER_MAGIC_AT, 0, -EBADMSG },
                { EROFS_SUPER_BLOCK_BITS_AT, 9, -EOPNOTSUPP },
                { EROFS_SUPER_INCOMPAT_AT, 4, -EOPNOTSUPP },
                { EROFS_SUPER_EXTRA_DEVICES_AT, 1, -EOPNOTSUPP },
                { EROFS_SUPER_BLOCKS_AT + 2, 1, -EBADMSG },
                { EROFS_SUPER_META_BLOCK_AT + 3, 0xff, -EBADMSG },
                { EROFS_SUPER_ROOT_NID_AT + 1, 0xff, -EBADMSG },
        };
        size_t size;
        _cleanup_free_ uint8_t *good = image_bytes(&size);

        CHECK_OK(walk_bytes(good, size, NULL));
        for (size_t i = 0; i < ELEMENTS(super); i++) {
                uint8_t *byte = good + EROFS_SUPER_OFFSET + super[i].at, kept = *byte;

                *byte = super[i].value;
                int r = walk_bytes(good, size, NULL);
                if (r != super[i].r)
                        TEST_FAIL("row %zu: %d", i, r);
                *byte = kept;
        }
        good[EROFS_SUPER_OFFSET + EROFS_SUPER_UUID_AT] ^= 1;
        _cleanup_fd_ int fd = memfd_create("image", MFD_CLOEXEC);
        ErofsImage *image;
        CHECK_OK(pwrite_full(fd, good, size, 0));
        CHECK_EQ(erofs_open(fd, &image, NULL), -EBADMSG);
}

TEST(damaged_inodes_and_folders_are_refused)
{
        const size_t root = EROFS_BLOCK_SIZE, entries = root + EROFS_INODE_COMPACT_SIZE;
        static const struct {
                size_t at;
                bool in_entries;
                uint8_t value;
                const char *why;
        } rows[] = {
                { EROFS_INODE_FORMAT_AT, false, 2, "" }, /* compressed */
                { EROFS_INODE_MODE_AT + 1, false, 0xff, "type" },
                { EROFS_COMPACT_SIZE_AT + 3, false, 0xff, "outside" },
                { EROFS_INODE_XATTR_COUNT_AT + 1, false, 0xff, "" },
                { EROFS_DIRENT_NAME_AT, true, 1, "damaged" },
                { EROFS_DIRENT_NAME_AT + 1, true, 0xff, "damaged" },
                { EROFS_DIRENT_SIZE + EROFS_DIRENT_NAME_AT, true, 0, "damaged" },
                { EROFS_DIRENT_NID_AT, true, EROFS_BLOCK_SIZE / EROFS_SLOT_SIZE,
                                "twice" }, /* "!first": the root again */
                { EROFS_DIRENT_NID_AT + 7, true, 0x80, "too large" },
        };
        size_t size;
        _cleanup_free_ uint8_t *good = image_bytes(&size);

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                uint8_t *byte = good + (rows[i].in_entries ? entries : root) + rows[i].at, kept = *byte;
                Error error = { 0 };

                *byte = rows[i].value;
                int r = walk_bytes(good, size, &error);
                if (r >= 0 || !strstr(error.message, rows[i].why))
                        TEST_FAIL("row %zu: %d %s", i, r, error.message);
                *byte = kept;
        }
}

TEST_MAIN
