/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS images. An input changes a good image: records of u24 offset, u8 length, bytes; the checksum of the
 * superblock is made right afterwards.
 *
 * Whatever comes out of it: a walk ends, all that the reader hands out can be read or is refused, and a tree
 * that is laid out after the image becomes a good image itself. */

#include "fuzz.h"

#include "erofs-format.h"
#include "erofs-reader.h"
#include "erofs-writer.h"
#include "file.h"

#include <string.h>
#include <sys/mman.h>

#define CONTENT_READ_MAX 65536 /* of each file */
#define IMAGE_MAX (64 * MIB)   /* that a walk is tried on */

static int count_xattr(const char *name, const uint8_t *value, size_t size, void *data, Error *error)
{
        for (size_t i = 0; i < size; i++)
                *(unsigned *)data += value[i];
        return 0;
}

static int read_node(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        uint8_t chunk[4096];
        unsigned sum = 0;
        uint64_t end = MIN_OF(inode->size_bytes, (uint64_t)CONTENT_READ_MAX);

        MUST(strlen(path) < 4096 && path[0] != '/');
        MUST(inode->data_bytes + inode->tail_bytes == inode->size_bytes);
        (void)erofs_read_xattrs(data, inode, count_xattr, &sum, NULL);
        for (uint64_t at = 0; at < end; at += sizeof(chunk))
                MUST(erofs_read(data, inode, at, chunk, (size_t)MIN_OF((uint64_t)sizeof(chunk), end - at),
                                     NULL) >= 0);
        return 0;
}

static int count_node(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        (*(size_t *)data)++;
        return 0;
}

/* A small tree whose paths are also those of the good image. */
static Tree *sample(void)
{
        static const char text[5000] = "text";
        Tree *tree = tree_new();
        TreeNode *node;

        MUST(tree && tree_make_file(tree, "a/file", text, sizeof(text), 0644, &node, NULL) >= 0);
        MUST(tree_set_xattr(node->inode, "user.name", "value", 5) >= 0);
        MUST(tree_make_hardlink(tree, "a/hard", node, NULL, NULL) >= 0);
        MUST(tree_make_file(tree, "a/large", text, sizeof(text) - 904, 0644, NULL, NULL) >= 0);
        MUST(tree_make_text(tree, "b/lib-1.2", "small", 0600, NULL) >= 0);
        MUST(tree_make_symlink(tree, "c", "b/lib-1.2", &node, NULL) >= 0);
        node->inode->uid = 100000;
        MUST(tree_make_special(tree, "null", S_IFCHR, 0666, 1, 3, NULL, NULL) >= 0);
        return tree;
}

static int write_image(Tree *tree, const ErofsImage *previous)
{
        const ErofsOptions options = { .epoch = 0, .previous = previous };
        _cleanup_erofs_plan_ ErofsPlan *plan = NULL;
        int fd = memfd_create("image", MFD_CLOEXEC);

        MUST(fd >= 0);
        if (erofs_plan_new(tree, &options, &plan, NULL) < 0) {
                MUST(previous);
                return fd_close(fd);
        }
        MUST(erofs_plan_size(plan) < IMAGE_MAX);
        MUST(erofs_write(plan, fd, NULL, NULL, NULL) >= 0);
        return fd;
}

static void follow_layout(const ErofsImage *previous)
{
        _cleanup_tree_ Tree *tree = sample();
        _cleanup_erofs_ ErofsImage *image = NULL;
        _cleanup_fd_ int fd = write_image(tree, previous);
        size_t names = 0;

        if (fd < 0)
                return;
        MUST(erofs_open(fd, &image, NULL) >= 0);
        MUST(erofs_walk(image, count_node, &names, NULL) >= 0);
        MUST(names == 9);
}

static void apply(uint8_t *image, size_t image_size, const uint8_t *data, size_t size)
{
        for (size_t at = 0; size - at >= 4 && size - at - 4 >= data[at + 3];
                        at += 4 + (size_t)data[at + 3]) {
                size_t offset = (size_t)read_le16(data + at) | (size_t)data[at + 2] << 16,
                       length = data[at + 3];

                if (offset < image_size && length <= image_size - offset)
                        memcpy(image + offset, data + at + 4, length);
        }
}

/* The good image, made once. */
static const uint8_t *good_image(size_t *ret_size)
{
        static uint8_t *bytes;
        static uint64_t size;

        if (!bytes) {
                _cleanup_tree_ Tree *tree = sample();
                _cleanup_fd_ int fd = write_image(tree, NULL);

                MUST(fd >= 0 && fd_size(fd, &size) >= 0);
                bytes = malloc(size);
                MUST(bytes && pread_full(fd, bytes, size, 0) >= 0);
        }
        *ret_size = size;
        return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_erofs_ ErofsImage *image = NULL;
        _cleanup_fd_ int fd = memfd_create("bad", MFD_CLOEXEC);
        Error error = { 0 };
        size_t length;
        const uint8_t *good = good_image(&length);

        _cleanup_free_ uint8_t *bytes = malloc(length);
        MUST(bytes && fd >= 0);
        memcpy(bytes, good, length);
        apply(bytes, length, data, size);
        write_le32(bytes + EROFS_SUPER_OFFSET + EROFS_SUPER_CHECKSUM_AT, erofs_checksum(bytes));
        MUST(pwrite_full(fd, bytes, length, 0) >= 0);
        int r = erofs_open(fd, &image, &error);
        MUST((r < 0) == error_is_set(&error));
        if (r < 0)
                return 0;
        (void)erofs_walk(image, read_node, image, NULL);
        follow_layout(image);
        return 0;
}
