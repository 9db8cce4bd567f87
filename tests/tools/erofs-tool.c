/* SPDX-License-Identifier: Apache-2.0 */

/* For tests: makes an EROFS image from a tar archive with the builder's own code, and lists an image with
 * its own reader, one line a name, so that other programs' view of the same image can be compared with it.
 *
 *   erofs-tool make ARCHIVE IMAGE [PREVIOUS]      erofs-tool normalise ARCHIVE IMAGE [PREVIOUS]
 *   erofs-tool list IMAGE                         erofs-tool same OLD NEW */

#include "buffer.h"
#include "erofs-format.h"
#include "erofs-reader.h"
#include "erofs-writer.h"
#include "file.h"
#include "hex.h"
#include "normalise.h"
#include "options.h"
#include "sha256.h"
#include "tar.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define EPOCH 1700000000

static int open_image(const char *path, int *ret_fd, ErofsImage **ret, Error *error)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "%s: %s", path, strerror(errno));
        *ret_fd = fd;
        return erofs_open(fd, ret, error);
}

/* As the builder does with what packages made. */
static int make_host(Tree *tree, Error *error)
{
        _cleanup_tree_kernel_ TreeKernel kernel = { 0 };
        _cleanup_free_ char *image = NULL;
        size_t size;

        int r = normalise_drop_state(tree, error);
        if (r >= 0)
                r = normalise_find_kernel(tree, &kernel, error);
        if (r >= 0)
                r = normalise_take_kernel(tree, &kernel, &image, &size, error);
        return r < 0 ? r : normalise_tree(tree, &(NormaliseOptions){ .epoch = EPOCH }, error);
}

static int make(char **arguments, bool normalise, Error *error)
{
        ErofsOptions options = { .uuid = { 1, 2, 3 }, .epoch = EPOCH };
        _cleanup_erofs_plan_ ErofsPlan *plan = NULL;
        _cleanup_erofs_ ErofsImage *previous = NULL;
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_fd_ int archive = open(arguments[0], O_RDONLY | O_CLOEXEC), old = -1;
        _cleanup_fd_ int image = open(arguments[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        if (!tree || archive < 0 || image < 0)
                return error_set(error, ERROR_IO, errno, "cannot open: %s", strerror(errno));
        int r = tar_read(tree, archive, &(TarOptions){ .allow_devices = true }, error);
        if (r >= 0)
                r = normalise ? make_host(tree, error) : tree_set_times(tree, EPOCH);
        if (r >= 0 && arguments[2])
                r = open_image(arguments[2], &old, &previous, error);
        options.previous = previous;
        if (r >= 0)
                r = erofs_plan_new(tree, &options, &plan, error);
        return r < 0 ? r : erofs_write(plan, image, NULL, NULL, error);
}

/* ---- listing ---- */

static int print_xattr(const char *name, const uint8_t *value, size_t size, void *data, Error *error)
{
        char hash[SHA256_HEX_SIZE];

        sha256_hex_of(value, size, hash);
        printf(" %s=%.16s", name, hash);
        return 0;
}

static int hash_content(
                ErofsImage *image, const ErofsInode *inode, char ret[static SHA256_HEX_SIZE], Error *error)
{
        _cleanup_sha256_ Sha256 *hash = sha256_new();
        uint8_t chunk[65536], digest[SHA256_SIZE];

        for (uint64_t at = 0; at < inode->size_bytes; at += sizeof(chunk)) {
                size_t n = (size_t)MIN_OF((uint64_t)sizeof(chunk), inode->size_bytes - at);

                int r = erofs_read(image, inode, at, chunk, n, error);
                if (r < 0)
                        return r;
                sha256_update(hash, chunk, n);
        }
        sha256_finish(hash, digest);
        hex_encode(digest, sizeof(digest), ret);
        return 0;
}

static int print_node(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        char hash[SHA256_HEX_SIZE] = "-";
        int r = 0;

        if (S_ISREG(inode->mode) || S_ISLNK(inode->mode))
                r = hash_content(data, inode, hash, error);
        printf("/%s %o %u:%u links=%u mtime=%" PRId64 " size=%" PRIu64 " dev=%u:%u %.16s", path, inode->mode,
                        inode->uid, inode->gid, inode->link_count, inode->mtime,
                        S_ISDIR(inode->mode) ? 0 : inode->size_bytes, inode->major, inode->minor, hash);
        if (r >= 0)
                r = erofs_read_xattrs(data, inode, print_xattr, NULL, error);
        printf("\n");
        return r;
}

static int list(const char *path, Error *error)
{
        _cleanup_erofs_ ErofsImage *image = NULL;
        _cleanup_fd_ int fd = -1;

        int r = open_image(path, &fd, &image, error);
        return r < 0 ? r : erofs_walk(image, print_node, image, error);
}

/* How many blocks of the new image stand at the same place in the old one. */
static int same(const char *old_path, const char *new_path, Error *error)
{
        _cleanup_fd_ int old = open(old_path, O_RDONLY | O_CLOEXEC),
                         new = open(new_path, O_RDONLY | O_CLOEXEC);
        uint8_t a[EROFS_BLOCK_SIZE], b[EROFS_BLOCK_SIZE];
        uint64_t blocks = 0, equal = 0;
        size_t n, m;

        if (old < 0 || new < 0)
                return error_set(error, ERROR_IO, errno, "cannot open: %s", strerror(errno));
        for (; read_up_to(new, a, sizeof(a), &n) == 0 && n > 0; blocks++)
                equal += read_up_to(old, b, sizeof(b), &m) == 0 && m == n && memcmp(a, b, n) == 0 ? 1 : 0;
        printf("%" PRIu64 " of %" PRIu64 " blocks are the same\n", equal, blocks);
        return 0;
}

int main(int argc, char **argv)
{
        Error error = { 0 };
        int r = -EINVAL;

        if (argc >= 4 && (strcmp(argv[1], "make") == 0 || strcmp(argv[1], "normalise") == 0))
                r = make(argv + 2, argv[1][0] == 'n', &error);
        else if (argc == 3 && strcmp(argv[1], "list") == 0)
                r = list(argv[2], &error);
        else if (argc == 4 && strcmp(argv[1], "same") == 0)
                r = same(argv[2], argv[3], &error);
        return program_exit("erofs-tool", r, &error, false);
}
