/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Trees and their images, for the tests of writer and reader. */

#include "erofs-format.h"
#include "erofs-reader.h"
#include "erofs-writer.h"
#include "file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EPOCH 1700000000

/* Writes the tree to a fresh file in memory; the caller closes it. Negative errno. */
static inline int write_image(Tree *tree, const ErofsImage *previous)
{
        const ErofsOptions options = {
                .uuid = { 0xba, 0x5c }, .epoch = EPOCH, .label = "test", .previous = previous
        };
        _cleanup_erofs_plan_ ErofsPlan *plan = NULL;
        _cleanup_fd_ int fd = memfd_create("image", MFD_CLOEXEC);
        Error error = { 0 };
        uint64_t size;

        int r = fd < 0 ? -errno : tree_set_times(tree, EPOCH);
        if (r >= 0)
                r = erofs_plan_new(tree, &options, &plan, &error);
        if (r >= 0)
                r = erofs_write(plan, fd, NULL, NULL, &error);
        if (r < 0) {
                printf("# %s\n", error.message);
                return r;
        }
        if (fd_size(fd, &size) < 0 || size != erofs_plan_size(plan) || size % EROFS_BLOCK_SIZE != 0)
                return -EIO;
        return TAKE_FD(fd);
}

/* `size` bytes that look like nothing else. */
static inline int make_noise(Tree *tree, const char *path, size_t size, unsigned seed)
{
        _cleanup_free_ uint8_t *data = malloc(size + 1);

        for (size_t i = 0; i < size; i++)
                data[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
        return tree_make_file(tree, path, data, size, 0644, NULL, NULL);
}

static inline Tree *every_kind(void)
{
        Tree *tree = tree_new();
        TreeNode *node;
        char name[256];
        int r = 0;
        static const unsigned sizes[] = { 0, 1, 31, 4063, 4064, 4065, 4095, 4096, 4097, 8160, 8191, 8192,
                12289, 2500000 };

        for (size_t i = 0; r >= 0 && i < ELEMENTS(sizes); i++) {
                (void)snprintf(name, sizeof(name), "files/%u", sizes[i]);
                r = make_noise(tree, name, sizes[i], sizes[i]);
        }
        memset(name, 'n', 255);
        name[255] = 0;
        if (r < 0 || tree_make_text(tree, name, "long", 04755, &(Error){ 0 }) < 0 ||
                        tree_make_hardlink(tree, "links/hard", tree_lookup(tree, "files/4097"), NULL, NULL) <
                                        0 ||
                        tree_make_hardlink(tree, "!first", tree_lookup(tree, "files/1"), NULL, NULL) < 0 ||
                        tree_make_symlink(tree, "links/soft", "../files/1", NULL, NULL) < 0 ||
                        tree_make_special(tree, "dev/c", S_IFCHR, 0600, 4095, 1048575, NULL, NULL) < 0 ||
                        tree_make_special(tree, "dev/b", S_IFBLK, 0660, 8, 17, NULL, NULL) < 0 ||
                        tree_make_special(tree, "dev/p", S_IFIFO, 0640, 0, 0, NULL, NULL) < 0 ||
                        tree_make_text(tree, "owned", "x", 0600, NULL) < 0 ||
                        tree_make_directory(tree, "empty", 01777, NULL, NULL) < 0 ||
                        tree_make_text(tree, "capable", "y", 0755, NULL) < 0)
                return tree_free(tree);
        node = tree_lookup(tree, "owned");
        node->inode->uid = 3000000000;
        node->inode->gid = 65536;
        node = tree_lookup(tree, "capable");
        if (tree_set_xattr(node->inode, "security.capability", "\1\0\0\2\0 \0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                            20) < 0 ||
                        tree_set_xattr(node->inode, "user.empty", "", 0) < 0 ||
                        tree_set_xattr(node->inode, "trusted.t", "123", 3) < 0 ||
                        tree_set_xattr(tree_lookup(tree, "dev")->inode, "system.posix_acl_default", "acl!",
                                        4) < 0)
                return tree_free(tree);
        return tree;
}
