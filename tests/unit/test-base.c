/* SPDX-License-Identifier: Apache-2.0 */
#include "base-folder.h"
#include "own-folder.h"
#include "tar-writer.h"
#include "tar.h"
#include "test.h"
#include "tree-archive.h"
#include "unpack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

static void put(const char *name, const char *text, mode_t mode)
{
        if (file_replace(AT_FDCWD, in_folder(name), text, strlen(text), mode) < 0 ||
                        chmod(in_folder(name), mode) < 0)
                abort();
}

/* ---- layers ---- */

/* A layer of members; what ends in '/' is a folder, and the others hold their name. */
static int make_layer(const char *const *names)
{
        int fd = memfd_create("layer", MFD_CLOEXEC);
        TarWriter writer = TAR_WRITER(fd);

        for (; *names; names++) {
                bool is_folder = (*names)[strlen(*names) - 1] == '/';
                TarHeader header = { .type = is_folder ? TAR_TYPE_DIRECTORY : TAR_TYPE_FILE,
                        .mode = 0755,
                        .size_bytes = is_folder ? 0 : strlen(*names) };

                tar_writer_begin(&writer);
                if (tar_writer_header(&writer, &header, *names, NULL) < 0 ||
                                (!is_folder && tar_writer_put(&writer, *names, strlen(*names)) < 0))
                        abort();
                tar_writer_pad(&writer);
        }
        if (tar_writer_end(&writer) < 0)
                abort();
        tar_writer_done(&writer);
        return fd;
}

static int apply(Tree *tree, const char *const *names, Error *error)
{
        _cleanup_fd_ int fd = make_layer(names);
        int r = tar_read(tree, fd, &(TarOptions){ .pass = TAR_WHITEOUTS }, error);

        return r < 0 ? r : tar_read(tree, fd, &(TarOptions){ .pass = TAR_LAYER }, error);
}

static Tree *lower_tree(void)
{
        Tree *tree = tree_new();

        if (!tree || tree_make_text(tree, "a/one", "1", 0644, NULL) < 0 ||
                        tree_make_text(tree, "a/two", "2", 0644, NULL) < 0 ||
                        tree_make_text(tree, "b/three", "3", 0644, NULL) < 0 ||
                        tree_make_symlink(tree, "link", "a", NULL, NULL) < 0)
                abort();
        return tree;
}

TEST(a_whiteout_hides_what_lies_below_and_nothing_of_its_own_layer)
{
        _cleanup_tree_ Tree *tree = lower_tree();

        CHECK_OK(apply(tree,
                        (const char *const[]){ "a/.wh.one", "b/new", "b/.wh..wh..opq", "b/.wh.new", NULL },
                        NULL));
        CHECK(!tree_lookup(tree, "a/one"));
        CHECK(tree_lookup(tree, "a/two"));
        CHECK(!tree_lookup(tree, "b/three"));
        CHECK(tree_lookup(tree, "b/new"));
        CHECK(!tree_lookup(tree, "b/.wh..wh..opq"));
        CHECK_OK(apply(tree, (const char *const[]){ ".wh.b", ".wh.nothing", "nowhere/.wh.x", NULL }, NULL));
        CHECK(!tree_lookup(tree, "b"));
        CHECK_OK(apply(tree, (const char *const[]){ "x", ".wh..wh..opq", NULL }, NULL));
        CHECK_EQ(tree_inode_count(tree), 2);
}

TEST(a_layer_replaces_folders_files_and_links)
{
        _cleanup_tree_ Tree *tree = lower_tree();

        CHECK_OK(apply(tree,
                        (const char *const[]){ "a", "b/three/", "b/three/in", "link/", "link/in", NULL },
                        NULL));
        CHECK(S_ISREG(tree_lookup(tree, "a")->inode->mode));
        CHECK(tree_lookup(tree, "b/three/in"));
        CHECK(S_ISDIR(tree_lookup(tree, "link")->inode->mode));
}

TEST(a_layer_stays_in_its_place)
{
        static const char *const bad[][2] = { { "link/x", NULL }, { "a/.wh.", NULL }, { "a/.wh..", NULL },
                { "a/.wh...", NULL }, { "../.wh.x", NULL }, { "a/../.wh.b", NULL } };

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                _cleanup_tree_ Tree *tree = lower_tree();
                Error error = { 0 };

                CHECK_EQ(apply(tree, bad[i], &error), -EBADMSG);
                CHECK_EQ(error.code, ERROR_CORRUPT);
        }
        /* In an archive that is no layer these are names like others. */
        _cleanup_tree_ Tree *tree = lower_tree();
        _cleanup_fd_ int fd = make_layer((const char *const[]){ "a/.wh.one", NULL });
        CHECK_OK(tar_read(tree, fd, NULL, NULL));
        CHECK(tree_lookup(tree, "a/.wh.one") && tree_lookup(tree, "a/one"));
}

/* ---- archives of trees ---- */

TEST(an_archive_of_a_tree_reads_as_the_tree)
{
        _cleanup_tree_ Tree *tree = lower_tree(), *again = tree_new();
        _cleanup_fd_ int fd = memfd_create("tree", MFD_CLOEXEC);
        char name[300] = "a/";
        TreeNode *node;

        memset(name + 2, 'n', 200);
        CHECK_OK(tree_make_file(tree, name, "long", 4, 04755, &node, NULL));
        node->inode->uid = 3000000000U;
        node->inode->mtime = -5;
        CHECK_OK(tree_set_xattr(node->inode, "security.capability", "\0=\n", 3));
        CHECK_OK(tree_make_hardlink(tree, "z", node, NULL, NULL));
        CHECK_OK(tree_write_archive(tree, fd, NULL));
        CHECK_OK(tar_read(again, fd, NULL, NULL));
        CHECK_EQ(tree_inode_count(again), tree_inode_count(tree));
        node = tree_lookup(again, name);
        CHECK(node && node->inode == tree_lookup(again, "z")->inode);
        CHECK_EQ(node->inode->mode, S_IFREG | 04755);
        CHECK_EQ(node->inode->uid, 3000000000U);
        CHECK_EQ(node->inode->mtime, 0);
        CHECK_EQ(tree_get_xattr(node->inode, "security.capability")->size_bytes, 3);
        CHECK_STR(tree_lookup(again, "link")->inode->symlink_target, "a");
}

/* ---- streams ---- */

static int unpack_bytes(const void *data, size_t size, uint64_t limit, Unpacked *ret, Error *error)
{
        _cleanup_fd_ int from = memfd_create("from", MFD_CLOEXEC), to = memfd_create("to", MFD_CLOEXEC);
        UnpackSource source = { .read = unpack_read_fd, .data = &from, .size_bytes = size };

        if (pwrite_full(from, data, size, 0) < 0)
                abort();
        return unpack(&source, to, limit, ret, error);
}

/* A gzip member of so many zeros; the caller's. */
static size_t pack_zeros(size_t count, uint8_t *ret, size_t cap)
{
        z_stream stream = { 0 };
        uint8_t *zeros = calloc(1, count);
        size_t size;

        if (!zeros || deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
                abort();
        stream.next_in = zeros;
        stream.avail_in = (uInt)count;
        stream.next_out = ret;
        stream.avail_out = (uInt)cap;
        if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
                abort();
        size = cap - stream.avail_out;
        (void)deflateEnd(&stream);
        free(zeros);
        return size;
}

TEST(what_is_unpacked_is_bounded_and_whole)
{
        static uint8_t packed[64 * 1024];
        size_t size = pack_zeros(1 << 20, packed, sizeof(packed));
        Unpacked unpacked;
        Error error = { 0 };
        uint8_t hash[SHA256_SIZE];

        CHECK_OK(unpack_bytes(packed, size, 1 << 20, &unpacked, &error));
        CHECK_EQ(unpacked.size_bytes, 1 << 20);
        sha256_of(packed, size, hash);
        CHECK_MEM(unpacked.packed_sha256, hash, SHA256_SIZE);
        CHECK_EQ(unpack_bytes(packed, size, (1 << 20) - 1, &unpacked, &error), -EFBIG);
        CHECK_EQ(error.code, ERROR_REFUSED);
        memcpy(packed + size, packed, size); /* two members */
        CHECK_OK(unpack_bytes(packed, 2 * size, 4 << 20, &unpacked, NULL));
        CHECK_EQ(unpacked.size_bytes, 2 << 20);
        for (size_t cut = 2; cut < size; cut += 97)
                CHECK_EQ(unpack_bytes(packed, cut, 4 << 20, &unpacked, NULL), -EBADMSG);
        packed[size + 1] ^= 1;
        CHECK_EQ(unpack_bytes(packed, size + 20, 4 << 20, &unpacked, NULL), -EBADMSG);
        CHECK_OK(unpack_bytes("plain", 5, 5, &unpacked, NULL));
        CHECK_EQ(unpacked.size_bytes, 5);
        CHECK_EQ(unpack_bytes("plain", 5, 4, &unpacked, NULL), -EFBIG);
        CHECK_OK(unpack_bytes("", 0, 0, &unpacked, NULL));
}

/* The last call of the decoder may fill its buffer of 256 KiB to the last byte. */
TEST(a_stream_of_zstd_may_have_any_size)
{
        static const size_t sizes[] = { 1, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 512 * KIB };
        static uint8_t plain[512 * 1024], packed[64 * 1024];
        Unpacked unpacked;

        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                size_t size = ZSTD_compress(packed, sizeof(packed) / 2, plain, sizes[i], 3);

                CHECK(!ZSTD_isError(size));
                CHECK_OK(unpack_bytes(packed, size, GIB, &unpacked, NULL));
                CHECK_EQ(unpacked.size_bytes, sizes[i]);
                CHECK_EQ(unpack_bytes(packed, size - 1, GIB, &unpacked, NULL), -EBADMSG);
                memcpy(packed + size, packed, size); /* two frames */
                CHECK_OK(unpack_bytes(packed, 2 * size, GIB, &unpacked, NULL));
                CHECK_EQ(unpacked.size_bytes, 2 * sizes[i]);
        }
}

/* ---- folders ---- */

static void hash_folder(uint8_t ret[static SHA256_SIZE])
{
        _cleanup_tree_ Tree *tree = tree_new();

        if (base_import_folder(tree, in_folder("root"), GIB, NULL) < 0 ||
                        base_hash_tree(tree, ret, NULL) < 0)
                abort();
}

TEST(a_folder_keeps_what_a_system_needs)
{
        _cleanup_tree_ Tree *tree = tree_new();
        char first[256];
        Error error = { 0 };

        (void)mkdir(in_folder("root"), 0755);
        (void)mkdir(in_folder("root/etc"), 0700);
        put("root/etc/shadow", "x", 0640);
        put("root/tool", "tool", 04755);
        (void)snprintf(first, sizeof(first), "%s", in_folder("root/tool"));
        CHECK_OK(link(first, in_folder("root/same")));
        CHECK_OK(symlink("/etc/shadow", in_folder("root/link")));
        CHECK_OK(base_import_folder(tree, in_folder("root"), 100, &error));
        CHECK_EQ(tree_lookup(tree, "etc")->inode->mode, S_IFDIR | 0700);
        CHECK_EQ(tree_lookup(tree, "etc/shadow")->inode->mode, S_IFREG | 0640);
        CHECK_EQ(tree_lookup(tree, "tool")->inode->mode, S_IFREG | 04755);
        CHECK_EQ(tree_lookup(tree, "tool")->inode->uid, 0); /* whoever runs this */
        CHECK_EQ(tree_lookup(tree, "tool")->inode->mtime, 0);
        CHECK(tree_lookup(tree, "tool")->inode == tree_lookup(tree, "same")->inode);
        CHECK_STR(tree_lookup(tree, "link")->inode->symlink_target, "/etc/shadow");
        _cleanup_tree_ Tree *other = tree_new();
        CHECK_EQ(base_import_folder(other, in_folder("root"), 4, &error), -EFBIG);
        CHECK_EQ(error.code, ERROR_REFUSED);
}

TEST(the_hash_of_a_folder_is_of_all_that_is_taken)
{
        uint8_t before[SHA256_SIZE], after[SHA256_SIZE];

        hash_folder(before);
        put("root/etc/shadow", "x", 0640); /* another time and inode */
        hash_folder(after);
        CHECK_MEM(before, after, SHA256_SIZE);
        put("root/etc/shadow", "x", 0644);
        hash_folder(after);
        CHECK(memcmp(before, after, SHA256_SIZE) != 0);
        put("root/etc/shadow", "y", 0640);
        hash_folder(after);
        CHECK(memcmp(before, after, SHA256_SIZE) != 0);
        put("root/etc/shadow", "x", 0640);
        put("root/same", "tool", 04755); /* no longer a hard link */
        hash_folder(after);
        CHECK(memcmp(before, after, SHA256_SIZE) != 0);
}

TEST_MAIN
