/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"
#include "file.h"
#include "tar-format.h"
#include "tar.h"
#include "test.h"

#include <sys/mman.h>

/* ---- a small writer of archives, right and wrong ---- */

typedef struct Header {
        const char *name;
        char type;
        const char *link;
        const char *size; /* the field's bytes, NULL: of the data */
        const char *prefix;
} Header;

static void put_member(Buffer *out, Header header, const void *data, size_t size)
{
        uint8_t block[TAR_BLOCK_SIZE] = { 0 };
        char *text = (char *)block;
        uint32_t sum = 0;

        memcpy(text + TAR_NAME_AT, header.name, strnlen(header.name, TAR_NAME_SIZE));
        memcpy(text + TAR_MODE_AT, "0000640", 8);
        memcpy(text + TAR_UID_AT, "0001750", 8); /* 1000 */
        memcpy(text + TAR_GID_AT, "0000144", 8); /* 100 */
        (void)snprintf(text + TAR_SIZE_AT, 12, "%011zo", size);
        if (header.size)
                memcpy(text + TAR_SIZE_AT, header.size, 12);
        memcpy(text + TAR_MTIME_AT, "00000000012", 12);
        memset(text + TAR_CHECKSUM_AT, ' ', 8);
        block[TAR_TYPE_AT] = (uint8_t)header.type;
        if (header.link)
                memcpy(text + TAR_LINK_AT, header.link, strlen(header.link));
        memcpy(text + TAR_MAGIC_AT, "ustar\00000", 8);
        memcpy(text + TAR_MAJOR_AT, "0000001", 8);
        memcpy(text + TAR_MINOR_AT, "0000003", 8);
        if (header.prefix)
                memcpy(text + TAR_PREFIX_AT, header.prefix, strlen(header.prefix));
        for (size_t i = 0; i < sizeof(block); i++)
                sum += block[i];
        (void)snprintf(text + TAR_CHECKSUM_AT, 8, "%06o", sum);
        (void)buffer_append(out, block, sizeof(block));
        (void)buffer_append(out, data, size);
        (void)buffer_append_zeros(out, (TAR_BLOCK_SIZE - size % TAR_BLOCK_SIZE) % TAR_BLOCK_SIZE);
}

static void put_simple(Buffer *out, const char *name, char type, const char *link)
{
        put_member(out, (Header){ .name = name, .type = type, .link = link }, NULL, 0);
}

static void put_text(Buffer *out, const char *name, char type, const char *text)
{
        put_member(out, (Header){ .name = name, .type = type }, text, strlen(text));
}

static int read_archive(Buffer *archive, bool finish, const TarOptions *options, Tree **ret, Error *error)
{
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_fd_ int fd = memfd_create("archive", MFD_CLOEXEC);

        if (finish)
                (void)buffer_append_zeros(archive, 2 * TAR_BLOCK_SIZE);
        if (!tree || fd < 0 || pwrite_full(fd, archive->data, archive->size, 0) < 0)
                return -EIO;
        int r = tar_read(tree, fd, options, error);
        if (r >= 0 && ret)
                *ret = TAKE_PTR(tree);
        return r;
}

/* Reads an archive that must be refused with `why` in the sentence. */
static bool is_refused(Buffer *archive, const char *why)
{
        Error error = { 0 };

        int r = read_archive(archive, true, NULL, NULL, &error);
        bool good = r == -EBADMSG && error.code == ERROR_CORRUPT && strstr(error.message, why);
        if (!good)
                printf("# %d %s\n", r, error.message);
        return good;
}

#define ARCHIVE(name) _cleanup_buffer_ Buffer name = BUFFER_WITH_CAP(8 * MIB)

TEST(reads_every_type_that_a_root_filesystem_has)
{
        const TarOptions options = { .allow_devices = true };
        _cleanup_tree_ Tree *tree = NULL;
        _cleanup_free_ char *text = NULL;
        ARCHIVE(archive);

        put_simple(&archive, "./", TAR_TYPE_DIRECTORY, NULL);
        put_simple(&archive, "./etc/", TAR_TYPE_DIRECTORY, NULL);
        put_text(&archive, "./etc/file", TAR_TYPE_FILE, "content");
        put_text(&archive, "etc/old", TAR_TYPE_FILE_OLD, "");
        put_simple(&archive, "etc/hard", TAR_TYPE_HARDLINK, "./etc/file");
        put_simple(&archive, "etc/soft", TAR_TYPE_SYMLINK, "../..//etc/file");
        put_simple(&archive, "dev/null", TAR_TYPE_CHARACTER, NULL);
        put_simple(&archive, "dev/pipe", TAR_TYPE_FIFO, NULL);
        put_member(&archive, (Header){ .name = "in", .prefix = "under/prefix", .type = TAR_TYPE_FILE }, "x",
                        1);
        CHECK_OK(read_archive(&archive, true, &options, &tree, NULL));
        const TreeInode *file = tree_lookup(tree, "etc/file")->inode;
        CHECK_EQ(file->mode, S_IFREG | 0640);
        CHECK_EQ(file->uid, 1000);
        CHECK_EQ(file->gid, 100);
        CHECK_EQ(file->mtime, 10);
        CHECK_EQ(file->link_count, 2);
        CHECK_EQ(tree_root(tree)->inode->mode, S_IFDIR | 0640);
        CHECK_STR(tree_lookup(tree, "etc/soft")->inode->symlink_target, "../..//etc/file");
        CHECK_EQ(tree_lookup(tree, "dev/null")->inode->minor, 3);
        CHECK(S_ISFIFO(tree_lookup(tree, "dev/pipe")->inode->mode));
        CHECK(tree_lookup(tree, "under/prefix/in"));
        CHECK_OK(tree_read_file(tree, "etc/soft", 100, &text, NULL));
        CHECK_STR(text, "content");
}

/* "LENGTH KEY=VALUE\n", the length counting itself. */
static void put_record(Buffer *out, const char *record, size_t size)
{
        size_t length = size + 2, digits = 1;

        for (; (size_t)snprintf(NULL, 0, "%zu", length + digits) != digits; digits++)
                ;
        (void)buffer_printf(out, "%zu ", length + digits);
        (void)buffer_append(out, record, size);
        (void)buffer_append_byte(out, '\n');
}

TEST(pax_headers_give_names_numbers_and_xattrs)
{
        static const char capability[] = "SCHILY.xattr.security.capability=\1\0\0\2\0\n4\0\0\0\n\n";
        static const char *const records[] = { "uid=3000000000", "mtime=-5.1234567", "size=000000000004",
                "comment=of no matter", "gid=1" };
        _cleanup_tree_ Tree *tree = NULL;
        char name[TREE_NAME_MAX + 1] = { 0 }, path[300];
        ARCHIVE(archive);
        ARCHIVE(pax);

        memset(name, 'l', 255);
        put_record(&pax, path, (size_t)snprintf(path, sizeof(path), "path=long/%s", name));
        for (size_t i = 0; i < ELEMENTS(records); i++)
                put_record(&pax, records[i], strlen(records[i]));
        put_record(&pax, capability, sizeof(capability) - 1);
        put_member(&archive, (Header){ .name = "x", .type = TAR_TYPE_PAX }, pax.data, pax.size);
        put_text(&archive, "short", TAR_TYPE_FILE, "four");
        put_text(&archive, "after", TAR_TYPE_FILE, "");
        Error error = { 0 };
        if (read_archive(&archive, true, NULL, &tree, &error) < 0)
                TEST_FAIL("%s", error.message);
        TreeNode *folder = tree_lookup(tree, "long");
        CHECK(folder);
        TreeNode *node = tree_child(folder, name);
        CHECK(node);
        CHECK_EQ(node->inode->uid, 3000000000);
        CHECK_EQ(node->inode->mtime, -5);
        CHECK_EQ(node->inode->content.size_bytes, 4);
        const TreeXattr *xattr = tree_get_xattr(node->inode, "security.capability");
        CHECK(xattr);
        CHECK_EQ(xattr->size_bytes, 12);
        CHECK_EQ(tree_lookup(tree, "after")->inode->xattr_count, 0);
        CHECK_EQ(tree_lookup(tree, "after")->inode->uid, 1000);
}

TEST(gnu_long_names_and_base_256_numbers)
{
        _cleanup_tree_ Tree *tree = NULL;
        char name[301] = { 0 };
        ARCHIVE(archive);

        memset(name, 'n', 300);
        name[150] = '/';
        put_member(&archive, (Header){ .name = "././@LongLink", .type = TAR_TYPE_GNU_LONG_NAME }, name, 301);
        put_member(&archive, (Header){ .name = "././@LongLink", .type = TAR_TYPE_GNU_LONG_LINK }, name, 301);
        put_simple(&archive, "cut", TAR_TYPE_SYMLINK, "cut");
        put_member(&archive,
                        (Header){ .name = "big",
                                        .type = TAR_TYPE_FILE,
                                        .size = "\x80\0\0\0\0\0\0\0\0\0\0\3" },
                        "abc", 3);
        CHECK_OK(read_archive(&archive, true, NULL, &tree, NULL));
        CHECK_STR(tree_lookup(tree, name)->inode->symlink_target, name);
        CHECK_EQ(tree_lookup(tree, "big")->inode->content.size_bytes, 3);
}

TEST(names_that_leave_the_tree_are_refused)
{
        static const char *const names[] = { "/etc/passwd", "../up", "a/../../up", "a/..", "./../x", "..",
                "" };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                ARCHIVE(archive);

                put_text(&archive, names[i], TAR_TYPE_FILE, "x");
                CHECK(is_refused(&archive, i == 0 || i == 6 ? "absolute or empty" : "\"..\""));
        }
}

TEST(members_below_a_link_are_refused)
{
        ARCHIVE(archive);
        ARCHIVE(directory);
        ARCHIVE(replaced);

        put_simple(&archive, "link", TAR_TYPE_SYMLINK, "/etc");
        put_text(&archive, "link/passwd", TAR_TYPE_FILE, "x");
        CHECK(is_refused(&archive, "not a folder"));
        put_simple(&directory, "link", TAR_TYPE_SYMLINK, "etc");
        put_simple(&directory, "link/", TAR_TYPE_DIRECTORY, NULL);
        CHECK(is_refused(&directory, "in the place of something else"));
        put_simple(&replaced, "etc", TAR_TYPE_DIRECTORY, NULL);
        put_simple(&replaced, "etc", TAR_TYPE_SYMLINK, "x");
        CHECK(is_refused(&replaced, "replace a folder"));
}

TEST(hard_links_must_lead_to_a_file_before_them)
{
        static const char *const targets[] = { "missing", "dir", "../x", "/dir/x" };

        for (size_t i = 0; i < ELEMENTS(targets); i++) {
                ARCHIVE(archive);

                put_simple(&archive, "dir", TAR_TYPE_DIRECTORY, NULL);
                put_simple(&archive, "hard", TAR_TYPE_HARDLINK, targets[i]);
                CHECK(is_refused(&archive, ""));
        }
}

TEST(bad_numbers_sizes_and_types_are_refused)
{
        static const struct {
                Header header;
                const char *why;
        } rows[] = {
                { { .name = "f", .type = '0', .size = "77777777777\0" }, "past the end" },
                { { .name = "f", .type = '0', .size = "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff" },
                                "past the end" },
                { { .name = "f", .type = '0', .size = "\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff" },
                                "past the end" },
                { { .name = "f", .type = '0', .size = "\x80\0\1\0\0\0\0\0\0\0\0\0" }, "too large" },
                { { .name = "f", .type = '0', .size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" },
                                "negative" },
                { { .name = "f", .type = '0', .size = "0000000009x\0" }, "broken" },
                { { .name = "f", .type = 'S' }, "sparse" },
                { { .name = "f", .type = 'V' }, "not known" },
                { { .name = "f", .type = '3' }, "not allowed" },
                { { .name = "f", .type = 'L', .size = "77777777777\0" }, "past the end" },
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                ARCHIVE(archive);

                put_member(&archive, rows[i].header, NULL, 0);
                CHECK(is_refused(&archive, rows[i].why));
        }
}

TEST(damaged_pax_headers_are_refused)
{
        static const char *const texts[] = { "99 path=x\n", "11 path=xyz", "path=x\n", "0 path=x\n",
                "7 path=x\n", "8 =abcd\n", "8 \n", "x" };
        static const char *const records[] = { "size=1x", "size=99999999999999999999",
                "size=", "path=", "linkpath=", "uid=-1", "GNU.sparse.major=1", "SCHILY.xattr.=x" };

        for (size_t i = 0; i < ELEMENTS(texts) + ELEMENTS(records); i++) {
                ARCHIVE(archive);
                ARCHIVE(pax);

                if (i < ELEMENTS(texts))
                        (void)buffer_append_string(&pax, texts[i]);
                else
                        put_record(&pax, records[i - ELEMENTS(texts)], strlen(records[i - ELEMENTS(texts)]));
                put_member(&archive, (Header){ .name = "x", .type = TAR_TYPE_PAX }, pax.data, pax.size);
                put_text(&archive, "f", TAR_TYPE_FILE, "");
                CHECK(is_refused(&archive, ""));
        }
}

/* One header with so many xattrs, numbered from `first`. */
static void put_xattrs(Buffer *out, unsigned first, unsigned count)
{
        ARCHIVE(pax);

        for (unsigned i = first; i < first + count; i++) {
                char record[64];

                put_record(&pax, record,
                                (size_t)snprintf(record, sizeof(record), "SCHILY.xattr.user.%03u=x", i));
        }
        put_member(out, (Header){ .name = "x", .type = TAR_TYPE_PAX }, pax.data, pax.size);
}

TEST(xattrs_of_a_member_are_bounded)
{
        _cleanup_tree_ Tree *tree = NULL;
        ARCHIVE(most);
        ARCHIVE(more);
        ARCHIVE(split);

        put_xattrs(&most, 0, TAR_XATTRS_MAX);
        put_text(&most, "f", TAR_TYPE_FILE, "");
        put_xattrs(&most, 0, TAR_XATTRS_MAX); /* of another member */
        put_text(&most, "g", TAR_TYPE_FILE, "");
        CHECK_OK(read_archive(&most, true, NULL, &tree, NULL));
        CHECK_EQ(tree_lookup(tree, "g")->inode->xattr_count, TAR_XATTRS_MAX);
        put_xattrs(&more, 0, TAR_XATTRS_MAX + 1);
        put_text(&more, "f", TAR_TYPE_FILE, "");
        CHECK(is_refused(&more, "too many extended attributes"));
        put_xattrs(&split, 0, TAR_XATTRS_MAX);
        put_xattrs(&split, TAR_XATTRS_MAX, 1);
        put_text(&split, "f", TAR_TYPE_FILE, "");
        CHECK(is_refused(&split, "too many extended attributes"));
}

TEST(extended_headers_need_a_member)
{
        ARCHIVE(archive);
        ARCHIVE(global);

        put_text(&archive, "x", TAR_TYPE_PAX, "10 path=x\n");
        CHECK(is_refused(&archive, "without its member"));
        put_text(&global, "x", TAR_TYPE_PAX_GLOBAL, "10 path=x\n");
        CHECK(is_refused(&global, "global"));
}

TEST(archives_that_are_cut_off_or_damaged_are_refused)
{
        Error error = { 0 };
        ARCHIVE(archive);
        ARCHIVE(flipped);

        put_text(&archive, "f", TAR_TYPE_FILE, "text");
        CHECK_EQ(read_archive(&archive, false, NULL, NULL, &error), -EBADMSG);
        CHECK(strstr(error.message, "cut off"));
        put_text(&flipped, "f", TAR_TYPE_FILE, "text");
        flipped.data[3] ^= 1;
        CHECK(is_refused(&flipped, "checksum"));
}

TEST(a_later_member_replaces_an_earlier_one)
{
        _cleanup_tree_ Tree *tree = NULL;
        _cleanup_free_ char *text = NULL;
        ARCHIVE(archive);

        put_text(&archive, "f", TAR_TYPE_FILE, "first");
        put_text(&archive, "f", TAR_TYPE_FILE, "second");
        CHECK_OK(read_archive(&archive, true, NULL, &tree, NULL));
        CHECK_OK(tree_read_file(tree, "f", 10, &text, NULL));
        CHECK_STR(text, "second");
}

TEST_MAIN
