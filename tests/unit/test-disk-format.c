/* SPDX-License-Identifier: Apache-2.0 */
/* Golden bytes of what no library of another makes, and what the tools of others read of each format. */

#include "disk-format.h"
#include "erofs-writer.h"
#include "hex.h"
#include "own-folder.h"
#include "recipe.h"
#include "tar.h"
#include "test.h"
#include "tree.h"

#include <fcntl.h>
#include <string.h>

#define DISK_SIZE (UINT64_C(80) * MIB)

/* A sparse disk with something at both ends, across borders of blocks, and with zeros that are no hole. */
static DiskSource open_disk(void)
{
        static const uint64_t places[] = { 0, 65536 - 3, 1 * MIB - 512, 33 * MIB + 7, 64 * MIB,
                DISK_SIZE - 512 };
        DiskSource source = {
                .size_bytes = DISK_SIZE, .name = "tiny", .version = "1.0", .epoch = 1767323045
        };
        uint8_t noise[1024], zeros[8192] = { 0 };
        int fd = open(in_folder("disk.raw"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        uint32_t state = 1;

        if (fd < 0 || ftruncate(fd, (off_t)DISK_SIZE) < 0)
                abort();
        for (size_t i = 0; i < ELEMENTS(places); i++) {
                size_t size = (size_t)MIN_OF((uint64_t)sizeof(noise), DISK_SIZE - places[i]);

                for (size_t j = 0; j < sizeof(noise); j++) {
                        state = state * 1103515245 + 12345;
                        noise[j] = (uint8_t)(state >> 16);
                }
                if (pwrite_full(fd, noise, size, places[i]) < 0)
                        abort();
        }
        if (pwrite_full(fd, zeros, sizeof(zeros), 20 * MIB) < 0)
                abort();
        source.fd = fd;
        memset(source.seed, 0xa5, sizeof(source.seed));
        return source;
}

static const DiskFormat *find(const char *name)
{
        for (size_t i = 0; i < DISK_FORMAT_COUNT; i++)
                if (strcmp(disk_formats[i].name, name) == 0)
                        return &disk_formats[i];
        return NULL;
}

/* Makes the format's file twice; "" unless both are the same, or else the SHA-256 of the first `size` bytes.
 */
static const char *make(const char *name, uint64_t size)
{
        static char hex[2][SHA256_HEX_SIZE];
        const DiskFormat *format = find(name);
        DiskSource source = open_disk();

        for (unsigned i = 0; i < 2; i++) {
                const char *path = in_folder(format->file);
                _cleanup_fd_ int fd = -1;
                uint8_t hash[SHA256_SIZE];
                uint64_t whole;

                (void)unlink(path);
                if (disk_format_make(format, &source, path, NULL) < 0)
                        return "";
                fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0 || fd_size(fd, &whole) < 0 ||
                                sha256_of_fd(fd, 0, i == 0 && size ? size : whole, hash) < 0)
                        return "";
                hex_encode(hash, sizeof(hash), hex[i]);
        }
        source.fd = fd_close(source.fd);
        if (size)
                return hex[0];
        return strcmp(hex[0], hex[1]) == 0 ? hex[0] : "";
}

static bool has_tool(const char *name)
{
        char command[128];

        (void)snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", name);
        return system(command) == 0;
}

/* Runs it in the folder. */
static int judge(const char *command)
{
        _cleanup_free_ char *text = string_format("cd %s && { %s; } >log 2>&1", in_folder(""), command);

        return text ? system(text) : -1;
}

/* The SHA-256 of what a command prints in the folder; "" when that cannot be told. */
static const char *hash_of(const char *command)
{
        static char hex[SHA256_HEX_SIZE];
        _cleanup_free_ char *pipe = string_format("%s | sha256sum >hash", command);
        _cleanup_free_ char *text = NULL;
        size_t size;

        hex[0] = 0;
        if (pipe && judge(pipe) == 0 && file_read(AT_FDCWD, in_folder("hash"), 4 * KIB, &text, &size) >= 0 &&
                        size >= sizeof(hex))
                (void)snprintf(hex, sizeof(hex), "%s", text);
        return hex;
}

/* A comparison takes zeros behind the end of one for nothing. */
#define SIZE_OF(format) "qemu-img info --output=json -f " format

TEST(a_vhd_is_what_it_was_and_others_read_it)
{
        CHECK_STR(make("vhd", 0), "9236d3fb84d71c83033271cef7971e76f870a537461f697f98ffc3ff87a29a21");
        if (!has_tool("qemu-img"))
                TEST_SKIP("qemu-img is not installed");
        CHECK_EQ(judge("qemu-img compare -f raw -F vpc disk.raw disk.vhd"), 0);
        CHECK_EQ(judge(SIZE_OF("vpc") " disk.vhd | grep -q 83886080"), 0);
}

TEST(a_vdi_is_what_it_was_and_others_read_it)
{
        CHECK_STR(make("vdi", 0), "6a0ee94bc0aacb9fb8ae8bc5be73b9649acd19d63a35053ce58a4d62f43a035c");
        if (!has_tool("qemu-img"))
                TEST_SKIP("qemu-img is not installed");
        CHECK_EQ(judge("qemu-img check -f vdi disk.vdi"), 0);
        CHECK_EQ(judge("qemu-img compare -f raw -F vdi disk.raw disk.vdi"), 0);
        CHECK_EQ(judge(SIZE_OF("vdi") " disk.vdi | grep -q 83886080"), 0);
}

/* Its head; what follows is zlib's. */
TEST(a_vmdk_begins_as_it_did_and_others_read_it)
{
        CHECK_STR(make("vmdk", 65536), "08d9d89fa1b9c06f6d92b5f00fd5299ab5061cf14deb62c033c15d51b1273ca7");
        if (!has_tool("qemu-img"))
                TEST_SKIP("qemu-img is not installed");
        CHECK_EQ(judge("qemu-img check -f vmdk disk.vmdk"), 0);
        CHECK_EQ(judge("qemu-img compare -f raw -F vmdk disk.raw disk.vmdk"), 0);
        CHECK_EQ(judge(SIZE_OF("vmdk") " disk.vmdk | grep -q 83886080"), 0);
        CHECK_EQ(judge("qemu-img info -f vmdk disk.vmdk | grep -q 'create type: streamOptimized'"), 0);
}

TEST(a_second_reader_finds_the_same_disk_in_each)
{
        static const char *const names[] = { "vhd", "vdi", "vmdk" };

        if (!has_tool("7z"))
                TEST_SKIP("7z is not installed");
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                char command[128];

                CHECK(make(names[i], 0)[0]);
                (void)snprintf(command, sizeof(command), "7z e -so -t%s disk.%s 2>errors | cmp - disk.raw",
                                names[i], names[i]);
                CHECK_EQ(judge(command), 0);
        }
}

TEST(an_ova_is_an_archive_whose_hashes_hold)
{
        CHECK(make("ova", 0)[0]);
        CHECK_EQ(judge("tar -tf disk.ova >list && printf 'disk.ovf\\ndisk.mf\\ndisk.vmdk\\n' | cmp - list"),
                        0);
        CHECK_EQ(judge("rm -rf ova && mkdir ova && tar -C ova -xf disk.ova && cd ova && "
                       "sed 's/SHA256(\\(.*\\))= \\(.*\\)/\\2  \\1/' disk.mf | sha256sum -c"),
                        0);
        CHECK_EQ(judge("\"$SOURCE_ROOT\"/tests/tools/ova_check.py disk.ova 83886080"), 0);
        /* The description is what it was, but for the length of the disk, which is zlib's. */
        CHECK_STR(hash_of("sed 's/ovf:size=\"[0-9]*\"/ovf:size=\"\"/' ova/disk.ovf"),
                        "3ac7fc4f3dfeb38f4d6b6f2157d1a848f7017b343fbf55968e723a0306d0d2ab");
        /* The judge can say no: another disk, and a description that was changed. */
        CHECK(judge("\"$SOURCE_ROOT\"/tests/tools/ova_check.py disk.ova 83886592") != 0);
        CHECK(judge("sed 's/ovf:fileRef=\"file1\"/ovf:fileRef=\"file2\"/' disk.ova >other.ova && "
                    "\"$SOURCE_ROOT\"/tests/tools/ova_check.py other.ova 83886080") != 0);
        if (!has_tool("qemu-img"))
                TEST_SKIP("qemu-img is not installed");
        CHECK_EQ(judge("qemu-img compare -f raw -F vmdk disk.raw ova/disk.vmdk"), 0);
}

TEST(a_compressed_disk_is_the_disk_again)
{
        CHECK(make("raw.zst", 0)[0]);
        if (!has_tool("zstd"))
                TEST_SKIP("zstd is not installed");
        CHECK_EQ(judge("zstd -q -dc disk.raw.zst | cmp - disk.raw"), 0);
}

TEST(an_archive_for_gce_holds_the_disk_in_whole_gibibytes)
{
        CHECK(make("gce", 0)[0]);
        /* Header and map of the member are what they were; of the compressed bytes, the first ten. */
        CHECK_STR(hash_of("gzip -dc disk.gce.tar.gz | head -c 1024"),
                        "e97162c423f097059310d675a37981a4355f5a90533f469e834e1a2927232005");
        CHECK_STR(hash_of("head -c 10 disk.gce.tar.gz"),
                        "9d1011ce9a9221ec2cbde2cc63ce50401fda24a6ffbf96a97b55552cc9e035e3");
        CHECK_EQ(judge("rm -rf gce && mkdir gce && tar -C gce -xzSf disk.gce.tar.gz && [ \"$(ls gce)\" = "
                       "disk.raw ]"),
                        0);
        CHECK_EQ(judge("[ $(stat -c %s gce/disk.raw) = 1073741824 ] && cmp -n 83886080 gce/disk.raw "
                       "disk.raw"),
                        0);
        CHECK_EQ(judge("[ $(du -k gce/disk.raw | cut -f1) -lt 4096 ]"), 0);
        /* In the old format of GNU, as Google asks. */
        CHECK_EQ(judge("[ \"$(gzip -dc disk.gce.tar.gz | head -c 264 | tail -c 7)\" = \"ustar  \" ]"), 0);
        CHECK_EQ(judge("python3 -c 'import tarfile; one, = tarfile.open(\"disk.gce.tar.gz\"); "
                       "assert (one.name, one.size, one.issparse()) == (\"disk.raw\", 1 << 30, True)'"),
                        0);
}

/* ---- the tree ---- */

static int fill(Tree *tree)
{
        char long_name[200];
        TreeNode *file;
        int r;

        memset(long_name, 'n', sizeof(long_name));
        memcpy(long_name, "usr/lib/", 8);
        long_name[sizeof(long_name) - 1] = 0;
        r = tree_make_text(tree, "usr/lib/a", "content\n", 0640, NULL);
        if (r >= 0)
                r = tree_make_text(tree, long_name, "long", 0644, NULL);
        if (r >= 0)
                r = tree_make_file(tree, "usr/bin/one", "#!", 2, 04755, &file, NULL);
        if (r >= 0)
                r = tree_make_hardlink(tree, "usr/bin/two", file, NULL, NULL);
        if (r >= 0)
                r = tree_make_symlink(tree, "bin", "usr/bin", NULL, NULL);
        return r < 0 ? r : tree_make_special(tree, "dev/null", S_IFCHR, 0666, 1, 3, NULL, NULL);
}

TEST(the_tree_as_an_archive_is_the_tree)
{
        _cleanup_tree_ Tree *tree = tree_new(), *again = tree_new();
        const ErofsOptions options = { .epoch = 1 };
        _cleanup_erofs_plan_ ErofsPlan *plan = NULL;
        _cleanup_fd_ int image = open(in_folder("root.erofs"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        _cleanup_fd_ int archive = -1;
        DiskSource source = { .fd = image };
        _cleanup_free_ char *text = NULL;
        size_t size;
        TreeNode *one, *two;

        CHECK(tree && again && image >= 0);
        CHECK_OK(fill(tree));
        CHECK_OK(erofs_plan_new(tree, &options, &plan, NULL));
        CHECK_OK(erofs_write(plan, image, NULL, NULL, NULL));
        CHECK_OK(disk_format_make(find("tar"), &source, in_folder("root.tar"), NULL));
        CHECK_STR(hash_of("cat root.tar"),
                        "14140ac50daf8c3ec9c25aeae0b8236e28d2b3b4a71fe6f989593768e23022de");
        archive = open(in_folder("root.tar"), O_RDONLY | O_CLOEXEC);
        CHECK_OK(tar_read(again, archive, &(TarOptions){ .allow_devices = true }, NULL));
        CHECK_EQ(tree_inode_count(again), tree_inode_count(tree));
        CHECK_OK(tree_read_file(again, "usr/lib/a", 100, &text, &size));
        CHECK_STR(text, "content\n");
        one = tree_lookup(again, "usr/bin/one");
        two = tree_lookup(again, "usr/bin/two");
        CHECK(one && two && one->inode == two->inode && (one->inode->mode & 07777) == 04755);
        CHECK_STR(tree_lookup(again, "bin")->inode->symlink_target, "usr/bin");
        CHECK_EQ(tree_lookup(again, "dev/null")->inode->minor, 3);
        CHECK_EQ(judge("tar -tvf root.tar >list && grep -q 'link to ./usr/bin/one' list && "
                       "[ \"$(tar -xOf root.tar ./usr/lib/a)\" = content ] && grep -q nnnnnnnnnn$ list"),
                        0);
}

TEST_MAIN
