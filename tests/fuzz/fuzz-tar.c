/* SPDX-License-Identifier: Apache-2.0 */
/* Archives. The first byte of an input holds flags (1: make the checksum of every header right, so that it
 * need not be guessed; 2: allow devices); the rest is the archive.
 *
 * Whatever comes out of it: every name of the tree is a plain one, every content can be read whole, and the
 * tree can be written as an image unless it has what EROFS cannot hold. */

#include "fuzz.h"

#include "erofs-writer.h"
#include "file.h"
#include "tar-format.h"
#include "tar.h"

#include <string.h>
#include <sys/mman.h>

#define IMAGE_MAX (64 * MIB)

static void mend_header(uint8_t *block)
{
        uint32_t sum = 0;

        memset(block + TAR_CHECKSUM_AT, ' ', TAR_CHECKSUM_SIZE);
        for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
                sum += block[i];
        (void)snprintf((char *)block + TAR_CHECKSUM_AT, TAR_CHECKSUM_SIZE, "%06o", sum);
}

/* Mends each block that says it is a header. */
static void mend(uint8_t *data, size_t size)
{
        for (size_t at = 0; at + TAR_BLOCK_SIZE <= size; at += TAR_BLOCK_SIZE)
                if (memcmp(data + at + TAR_MAGIC_AT, "ustar", 5) == 0)
                        mend_header(data + at);
}

static int check_node(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        uint8_t chunk[4096];

        MUST(strlen(node->name) <= TREE_NAME_MAX && strlen(path) < TREE_PATH_MAX);
        MUST(!node->parent || (node->name[0] && !strchr(node->name, '/')));
        MUST(strcmp(node->name, ".") != 0 && strcmp(node->name, "..") != 0);
        MUST(!node->parent || tree_lookup(tree, path) == node);
        if (!S_ISREG(node->inode->mode))
                return 0;
        for (uint64_t at = 0; at < node->inode->content.size_bytes; at += sizeof(chunk)) {
                size_t n = (size_t)MIN_OF((uint64_t)sizeof(chunk), node->inode->content.size_bytes - at);

                MUST(tree_read(tree, node->inode, at, chunk, n) >= 0);
        }
        return 0;
}

static void write_image(Tree *tree)
{
        const ErofsOptions options = { .epoch = 1 };
        _cleanup_erofs_plan_ ErofsPlan *plan = NULL;

        if (erofs_plan_new(tree, &options, &plan, NULL) < 0 || erofs_plan_size(plan) > IMAGE_MAX)
                return;
        _cleanup_fd_ int image = memfd_create("image", MFD_CLOEXEC);
        MUST(image >= 0 && erofs_write(plan, image, NULL, NULL, NULL) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_fd_ int fd = memfd_create("archive", MFD_CLOEXEC);
        Error error = { 0 };

        if (size == 0)
                return 0;
        _cleanup_free_ uint8_t *archive = malloc(size);
        MUST(tree && fd >= 0 && archive);
        memcpy(archive, data + 1, size - 1);
        if (data[0] & 1)
                mend(archive, size - 1);
        MUST(pwrite_full(fd, archive, size - 1, 0) >= 0);
        int r = tar_read(tree, fd, &(TarOptions){ .allow_devices = (data[0] & 2) != 0 }, &error);
        MUST((r < 0) == error_is_set(&error));
        if (r < 0)
                return 0;
        MUST(tree_walk(tree, tree_root(tree), check_node, NULL, NULL) >= 0);
        write_image(tree);
        return 0;
}
