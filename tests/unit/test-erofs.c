/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "erofs-scene.h"
#include "own-folder.h"
#include "sha256.h"
#include "test.h"

#include <fcntl.h>
#include <sys/mman.h>

/* ---- helpers ---- */

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

/* ---- from folders of this machine ---- */

static const char *const host_files[] = { "a", "B", "sub/y", "sub/x", "z-", "z/deep/file", "\xc3\xa4" };

/* The same files, made one after the other from either end. */
static void make_host_folder(const char *folder, bool backwards)
{
        for (size_t i = 0; i < ELEMENTS(host_files); i++) {
                const char *name = host_files[backwards ? ELEMENTS(host_files) - 1 - i : i];
                _cleanup_free_ char *path = path_join(folder, name), *parent = path ? strdup(path) : NULL;

                if (!parent)
                        abort();
                *strrchr(parent, '/') = 0;
                if (directory_make(AT_FDCWD, parent, 0755) < 0 ||
                                file_replace(AT_FDCWD, path, name, strlen(name), 0644) < 0)
                        abort();
        }
}

/* As Tree= and File= bring them into an image. */
static Tree *take_host_folder(const char *folder, bool backwards)
{
        _cleanup_tree_ Tree *tree = tree_new();
        int r = backwards ? 0 : tree_import_host(tree, "usr/whole", folder, NULL);

        for (size_t i = 0; r >= 0 && i < ELEMENTS(host_files); i++) {
                const char *name = host_files[backwards ? ELEMENTS(host_files) - 1 - i : i];
                _cleanup_free_ char *path = path_join("usr/single", name);
                _cleanup_free_ char *host_path = path_join(folder, name);

                r = tree_make_host_file(tree, path, host_path, 0644, NULL, NULL);
        }
        if (r >= 0 && backwards)
                r = tree_import_host(tree, "usr/whole", folder, NULL);
        return r < 0 ? NULL : TAKE_PTR(tree);
}

TEST(the_order_in_which_files_were_made_does_not_show)
{
        char images[2][SHA256_HEX_SIZE], keys[2][SHA256_HEX_SIZE];

        for (unsigned i = 0; i < 2; i++) {
                const char *folder = in_folder(i == 0 ? "forwards" : "backwards");
                _cleanup_cache_key_ CacheKey key = { 0 };

                make_host_folder(folder, i > 0);
                _cleanup_tree_ Tree *tree = take_host_folder(folder, i > 0);
                CHECK(tree);
                _cleanup_fd_ int fd = write_image(tree, NULL);
                CHECK_OK(fd);
                CHECK(image_is(fd, tree));
                hash_of(fd, images[i]);
                cache_key_begin(&key, "step");
                CHECK_OK(cache_key_add_folder(&key, "folder", folder, NULL));
                CHECK_OK(cache_key_finish(&key, NULL));
                memcpy(keys[i], key.text, sizeof(keys[i]));
        }
        CHECK_STR(images[0], images[1]);
        CHECK_STR(keys[0], keys[1]);
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

TEST_MAIN
