/* SPDX-License-Identifier: Apache-2.0 */
#include "erofs-format.h"
#include "erofs-reader.h"
#include "erofs-writer.h"
#include "file.h"
#include "sha256.h"
#include "test.h"

#include <fcntl.h>
#include <sys/mman.h>

#define EPOCH 1700000000

/* ---- helpers ---- */

/* Writes the tree to a fresh file in memory; the caller closes it. Negative errno. */
static int write_image(Tree *tree, const ErofsImage *previous)
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

/* Compares each name of the image with the tree's. */
typedef struct Comparison {
        Tree *tree;
        const ErofsImage *image;
        size_t names, xattrs;
        const TreeInode *inode;
} Comparison;

static int differs(const char *path, const char *what)
{
        printf("# /%s: %s differs\n", path, what);
        return -EINVAL;
}

static int compare_xattr(const char *name, const uint8_t *value, size_t size, void *data, Error *error)
{
        Comparison *comparison = data;
        const TreeXattr *xattr = tree_get_xattr(comparison->inode, name);

        comparison->xattrs++;
        return xattr && xattr->size_bytes == size && memcmp(xattr->value, value, size) == 0
                               ? 0
                               : differs(name, "xattr");
}

static int compare_content(Comparison *comparison, const char *path, const ErofsInode *inode)
{
        const TreeInode *expected = comparison->inode;
        uint8_t a[4096], b[4096];

        if (S_ISLNK(inode->mode)) {
                size_t length = strlen(expected->symlink_target);

                if (inode->size_bytes != length ||
                                erofs_read(comparison->image, inode, 0, a, length, NULL) < 0 ||
                                memcmp(a, expected->symlink_target, length) != 0)
                        return differs(path, "target");
        }
        if (!S_ISREG(inode->mode))
                return 0;
        if (inode->size_bytes != expected->content.size_bytes)
                return differs(path, "size");
        for (uint64_t at = 0; at < inode->size_bytes; at += sizeof(a)) {
                size_t n = (size_t)MIN_OF((uint64_t)sizeof(a), inode->size_bytes - at);

                if (erofs_read(comparison->image, inode, at, a, n, NULL) < 0 ||
                                tree_read(comparison->tree, expected, at, b, n) < 0 || memcmp(a, b, n) != 0)
                        return differs(path, "content");
        }
        return erofs_read(comparison->image, inode, inode->size_bytes, a, 1, NULL) == -EINVAL
                               ? 0
                               : differs(path, "end");
}

static int compare_node(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        Comparison *comparison = data;
        const TreeNode *node = tree_lookup(comparison->tree, path);

        comparison->names++;
        if (!node)
                return differs(path, "existence");
        const TreeInode *expected = comparison->inode = node->inode;
        if (inode->mode != expected->mode || inode->uid != expected->uid || inode->gid != expected->gid ||
                        inode->mtime != EPOCH || inode->major != expected->major ||
                        inode->minor != expected->minor)
                return differs(path, "attributes");
        if (!S_ISDIR(inode->mode) && inode->link_count != expected->link_count)
                return differs(path, "link count");
        comparison->xattrs = 0;
        int r = erofs_read_xattrs(comparison->image, inode, compare_xattr, comparison, NULL);
        if (r >= 0 && comparison->xattrs != expected->xattr_count)
                r = differs(path, "number of xattrs");
        return r < 0 ? r : compare_content(comparison, path, inode);
}

static int count_node(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        (*(size_t *)data)++;
        return 0;
}

/* Whether the image holds exactly the tree. */
static bool image_is(int fd, Tree *tree)
{
        _cleanup_erofs_ ErofsImage *image = NULL;
        Comparison comparison = { .tree = tree };
        size_t names = 0;
        Error error = { 0 };

        int r = erofs_open(fd, &image, &error);
        comparison.image = image;
        if (r >= 0)
                r = erofs_walk(image, compare_node, &comparison, &error);
        if (r >= 0)
                r = tree_walk(tree, tree_root(tree), count_node, &names, &error);
        if (r < 0)
                printf("# %s\n", error.message);
        return r >= 0 && names == comparison.names &&
               erofs_superblock(image)->inode_count == tree_inode_count(tree);
}

static void hash_of(int fd, char ret[static SHA256_HEX_SIZE])
{
        uint8_t *data;
        uint64_t size = 0;

        (void)fd_size(fd, &size);
        data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        sha256_hex_of(data, size, ret);
        (void)munmap(data, size);
}

/* `size` bytes that look like nothing else. */
static int make_noise(Tree *tree, const char *path, size_t size, unsigned seed)
{
        _cleanup_free_ uint8_t *data = malloc(size + 1);

        for (size_t i = 0; i < size; i++)
                data[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
        return tree_make_file(tree, path, data, size, 0644, NULL, NULL);
}

static Tree *every_kind(void)
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

/* ---- tests ---- */

TEST(an_image_holds_exactly_the_tree)
{
        _cleanup_tree_ Tree *tree = every_kind();

        CHECK(tree);
        _cleanup_fd_ int fd = write_image(tree, NULL);
        CHECK_OK(fd);
        CHECK(image_is(fd, tree));
}

TEST(the_bytes_of_an_image_are_pinned)
{
        _cleanup_tree_ Tree *tree = every_kind();
        char hash[SHA256_HEX_SIZE];

        _cleanup_fd_ int fd = write_image(tree, NULL);
        CHECK_OK(fd);
        hash_of(fd, hash);
        CHECK_STR(hash, "e3248442fceb2b51ac9dd8ee5e7e62c7f492062f4d09079d20c578785700dab2");
}

TEST(large_folders_and_long_names)
{
        _cleanup_tree_ Tree *tree = tree_new();
        char path[TREE_NAME_MAX + 8];

        for (unsigned i = 0; i < 100000; i++) {
                (void)snprintf(path, sizeof(path), "many/%0*u", (int)(1 + i % 40), i * 7919 % 100003);
                CHECK_OK(tree_make_text(tree, path, i % 2 ? "x" : "", 0644, NULL));
        }
        for (unsigned i = 0; i < 300; i++) {
                (void)snprintf(path, sizeof(path), "wide/%0255u", i);
                CHECK_OK(tree_make_directory(tree, path, 0755, NULL, NULL));
        }
        _cleanup_fd_ int fd = write_image(tree, NULL);
        CHECK_OK(fd);
        CHECK(image_is(fd, tree));
}

TEST(deep_folders)
{
        _cleanup_tree_ Tree *tree = tree_new();
        char path[2 * TREE_DEPTH_MAX + 1] = { 0 };

        for (size_t i = 0; i < TREE_DEPTH_MAX; i++)
                memcpy(path + 2 * i, "d/", 2);
        CHECK_OK(tree_make_directory(tree, path, 0700, NULL, NULL));
        _cleanup_fd_ int fd = write_image(tree, NULL);
        CHECK_OK(fd);
        CHECK(image_is(fd, tree));
}

TEST(large_xattrs_span_blocks)
{
        _cleanup_tree_ Tree *tree = tree_new();
        static uint8_t value[TREE_XATTR_VALUE_MAX];
        TreeNode *node;

        for (size_t i = 0; i < sizeof(value); i++)
                value[i] = (uint8_t)(i * 31 >> 3);
        CHECK_OK(make_noise(tree, "f", 5000, 1));
        CHECK_OK(make_noise(tree, "g", 700, 2));
        node = tree_lookup(tree, "f");
        CHECK_OK(tree_set_xattr(node->inode, "user.large", value, sizeof(value)));
        CHECK_OK(tree_set_xattr(node->inode, "user.more", value, 5000));
        CHECK_OK(tree_set_xattr(tree_lookup(tree, "g")->inode, "user.block", value, 3400));
        _cleanup_fd_ int fd = write_image(tree, NULL);
        CHECK_OK(fd);
        CHECK(image_is(fd, tree));
}

TEST(what_erofs_cannot_hold_is_refused)
{
        const ErofsOptions options = { .epoch = EPOCH }, labelled = { .label = "0123456789abcdef" };
        static uint8_t value[TREE_XATTR_VALUE_MAX];
        _cleanup_tree_ Tree *tree = tree_new();
        ErofsPlan *plan;
        char name[16];

        CHECK_EQ(erofs_plan_new(tree, &labelled, &plan, NULL), -ENAMETOOLONG);
        CHECK_OK(tree_set_xattr(tree_root(tree)->inode, "strange.name", "", 0));
        CHECK_EQ(erofs_plan_new(tree, &options, &plan, NULL), -EOPNOTSUPP);
        tree_drop_xattr(tree_root(tree)->inode, "strange.name");
        for (char c = 'a'; c < 'f'; c++) {
                (void)snprintf(name, sizeof(name), "user.%c", c);
                CHECK_OK(tree_set_xattr(tree_root(tree)->inode, name, value, sizeof(value)));
        }
        CHECK_EQ(erofs_plan_new(tree, &options, &plan, NULL), -E2BIG);
}

TEST(files_past_4_gib_have_their_whole_size)
{
        const uint64_t size = 4 * GIB + 5;
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_fd_ int backing = memfd_create("sparse", MFD_CLOEXEC);
        _cleanup_erofs_ ErofsImage *image = NULL;
        ErofsInode inode;
        char end[5];

        CHECK_EQ(ftruncate(backing, (off_t)size), 0);
        CHECK_OK(pwrite_full(backing, "12345", 5, size - 5));
        int number = tree_add_backing(tree, backing);
        CHECK_OK(number);
        CHECK_OK(tree_make_backed_file(tree, "big", (unsigned)number, 0, size, 0644, NULL, NULL));
        _cleanup_fd_ int fd = write_image(tree, NULL);
        CHECK_OK(fd);
        CHECK_OK(erofs_open(fd, &image, NULL));
        for (uint64_t nid = 129; nid < 140; nid++)
                if (erofs_read_inode(image, nid, &inode, NULL) >= 0 && inode.size_bytes == size)
                        break;
        CHECK_EQ(inode.size_bytes, size);
        CHECK_OK(erofs_read(image, &inode, size - 5, end, 5, NULL));
        CHECK_MEM(end, "12345", 5);
}

TEST(a_source_that_became_shorter_is_an_error)
{
        const ErofsOptions options = { .epoch = EPOCH };
        _cleanup_erofs_plan_ ErofsPlan *plan = NULL;
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_fd_ int backing = memfd_create("short", MFD_CLOEXEC),
                         fd = memfd_create("image", MFD_CLOEXEC);
        Error error = { 0 };

        int number = tree_add_backing(tree, backing);
        CHECK_OK(number);
        CHECK_OK(tree_make_backed_file(tree, "f", (unsigned)number, 0, 100, 0644, NULL, NULL));
        CHECK_OK(erofs_plan_new(tree, &options, &plan, NULL));
        CHECK_EQ(erofs_write(plan, fd, NULL, NULL, &error), -EIO);
        CHECK(strstr(error.message, "/f"));
}

/* ---- keeping places ---- */

typedef struct Places {
        const ErofsImage *old;
        size_t same, moved;
} Places;

static int find_old(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        ErofsInode *wanted = data;

        /* The wanted one is told by size, which each file of these tests has for itself. */
        if (S_ISREG(inode->mode) && inode->size_bytes == wanted->size_bytes)
                *wanted = *inode;
        return 0;
}

static int note_place(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        Places *places = data;
        ErofsInode old = { .size_bytes = inode->size_bytes };

        if (!S_ISREG(inode->mode))
                return 0;
        int r = erofs_walk(places->old, find_old, &old, error);
        if (old.offset == inode->offset && old.data_offset == inode->data_offset)
                places->same++;
        else
                places->moved++;
        return r;
}

static Tree *release(const char *version, bool extra)
{
        Tree *tree = tree_new();
        char path[128];
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < 50; i++) {
                (void)snprintf(path, sizeof(path), "usr/lib/modules/%s/m%c%c.ko", version, 'a' + i / 10,
                                'a' + i % 10);
                r = make_noise(tree, path, 3000 + 911 * i, i);
        }
        if (r >= 0 && extra)
                r = make_noise(tree, "a/first/of/all", 100000, 99);
        return r < 0 ? tree_free(tree) : tree;
}

TEST(unchanged_and_renamed_files_keep_their_places)
{
        _cleanup_tree_ Tree *old = release("6.1.0-28", false), *new = release("6.1.0-29", true);
        _cleanup_erofs_ ErofsImage *old_image = NULL, *new_image = NULL;
        Places places = { 0 };

        _cleanup_fd_ int old_fd = write_image(old, NULL);
        CHECK_OK(old_fd);
        CHECK_OK(erofs_open(old_fd, &old_image, NULL));
        _cleanup_fd_ int new_fd = write_image(new, old_image);
        CHECK_OK(new_fd);
        CHECK(image_is(new_fd, new));
        CHECK_OK(erofs_open(new_fd, &new_image, NULL));
        places.old = old_image;
        CHECK_OK(erofs_walk(new_image, note_place, &places, NULL));
        CHECK_EQ(places.same, 50);
        CHECK_EQ(places.moved, 1);
}

TEST(a_tree_laid_out_after_itself_is_the_same_image)
{
        _cleanup_tree_ Tree *tree = every_kind();
        _cleanup_erofs_ ErofsImage *image = NULL;
        char first[SHA256_HEX_SIZE], second[SHA256_HEX_SIZE];

        _cleanup_fd_ int fd = write_image(tree, NULL);
        CHECK_OK(fd);
        CHECK_OK(erofs_open(fd, &image, NULL));
        _cleanup_fd_ int again = write_image(tree, image);
        CHECK_OK(again);
        hash_of(fd, first);
        hash_of(again, second);
        CHECK_STR(first, second);
}

TEST(a_layout_that_wastes_too_much_is_made_afresh)
{
        _cleanup_tree_ Tree *old = tree_new(), *new = tree_new();
        _cleanup_erofs_ ErofsImage *image = NULL;
        uint64_t size;

        CHECK_OK(make_noise(old, "a", 20 * MIB, 1));
        CHECK_OK(make_noise(old, "b", 50000, 2));
        CHECK_OK(make_noise(new, "b", 50000, 2));
        _cleanup_fd_ int old_fd = write_image(old, NULL);
        CHECK_OK(erofs_open(old_fd, &image, NULL));
        _cleanup_fd_ int new_fd = write_image(new, image);
        CHECK_OK(new_fd);
        CHECK(image_is(new_fd, new));
        CHECK_OK(fd_size(new_fd, &size));
        CHECK(size < MIB);
}

/* ---- hostile images ---- */

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
