/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "cpio.h"
#include "initrd.h"
#include "raw-disk.h"
#include "strv.h"
#include "test.h"
#include "uki.h"

/* ---- cpio ---- */

TEST(cpio_headers_are_as_the_kernel_reads_them)
{
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(4096);
        CpioWriter writer = { .out = &out };

        CHECK_OK(cpio_add_folder(&writer, "etc", 0755));
        CHECK_OK(cpio_add_file(&writer, "etc/a", 0644, "hello", 5));
        CHECK_OK(cpio_add_link(&writer, "b", "etc/a"));
        CHECK_OK(cpio_add_character_device(&writer, "dev", 0600, 5, 1));
        CHECK_OK(cpio_finish(&writer));
        CHECK_EQ(out.size % 512, 0);
        CHECK_MEM(out.data,
                        "070701"
                        "00000001"
                        "000041ED"
                        "00000000"
                        "00000000"
                        "00000002"
                        "00000000"
                        "00000000",
                        62);
        CHECK_MEM(out.data + 94,
                        "00000004"
                        "00000000"
                        "etc",
                        20);
        /* 110 bytes of header, "etc" and its NUL, padded to 4: the next one begins at 116. */
        CHECK_MEM(out.data + 116,
                        "070701"
                        "00000002"
                        "000081A4",
                        22);
        CHECK_MEM(out.data + 116 + 54, "00000005", 8);
        CHECK_MEM(out.data + 116 + 116,
                        "hello\0\0\0"
                        "070701",
                        14);
        CHECK(memmem(out.data, out.size, "TRAILER!!!", 11));
}

TEST(cpio_refuses_paths_that_are_not_relative)
{
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(4096);
        CpioWriter writer = { .out = &out };

        CHECK_EQ(cpio_add_folder(&writer, "/etc", 0755), -EINVAL);
        CHECK_EQ(cpio_add_folder(&writer, "", 0755), -EINVAL);
        CHECK_EQ(out.size, 0);
}

TEST(cpio_stops_at_the_cap)
{
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(200);
        CpioWriter writer = { .out = &out };
        char data[200] = { 0 };

        CHECK_EQ(cpio_add_file(&writer, "a", 0644, data, sizeof(data)), -E2BIG);
}

/* ---- PE ---- */

#define STUB_SIZE 0x600
#define TABLE (0x40 + 24 + 240)

/* The headers of a 64-bit EFI program with one section at 0x400, and a symbol table after it. */
static void make_stub(uint8_t stub[static STUB_SIZE])
{
        memset(stub, 0, STUB_SIZE);
        memcpy(stub, "MZ", 2);
        write_le32(stub + 0x3c, 0x40);
        memcpy(stub + 0x40, "PE\0\0", 4);
        write_le16(stub + 0x40 + 4, 0x8664);
        write_le16(stub + 0x40 + 6, 1);
        write_le32(stub + 0x40 + 12, 0x580);
        write_le32(stub + 0x40 + 16, 3);
        write_le16(stub + 0x40 + 20, 240);
        write_le16(stub + 0x58, 0x20b);
        write_le32(stub + 0x58 + 32, 0x200);
        write_le32(stub + 0x58 + 36, 0x200);
        write_le32(stub + 0x58 + 60, 0x400);
        memcpy(stub + TABLE, ".text", 5);
        write_le32(stub + TABLE + 8, 0x123);
        write_le32(stub + TABLE + 12, 0x1000);
        write_le32(stub + TABLE + 16, 0x180);
        write_le32(stub + TABLE + 20, 0x400);
}

static int write_uki(const uint8_t *stub, size_t size, Buffer *out, Error *error)
{
        UkiParts parts = { .stub = stub,
                .stub_size = size,
                .osrel = "ID=x\n",
                .osrel_size = 5,
                .cmdline = "quiet",
                .cmdline_size = 5,
                .initrd = "initrd",
                .initrd_size = 6,
                .kernel = "kernel!",
                .kernel_size = 7,
                .release = "6.1" };

        return uki_write(&parts, out, error);
}

TEST(uki_sections_follow_the_stub)
{
        static const char *const names[] = { ".text", ".osrel", ".cmdline", ".uname", ".initrd", ".linux" };
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(1 * MIB);
        uint8_t stub[STUB_SIZE];
        uint32_t file_end = 0x400, memory_end = 0x1000;

        make_stub(stub);
        CHECK_OK(write_uki(stub, sizeof(stub), &out, NULL));
        CHECK_EQ(read_le16(out.data + 0x40 + 6), ELEMENTS(names));
        CHECK_EQ(read_le32(out.data + 0x40 + 12), 0);
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                const uint8_t *section = out.data + TABLE + i * 40;

                CHECK(strncmp((const char *)section, names[i], 8) == 0);
                /* no gap in the file, none shared in memory */
                CHECK_EQ(read_le32(section + 20), file_end);
                CHECK(read_le32(section + 12) >= memory_end);
                CHECK_EQ(read_le32(section + 12) % 4096, 0);
                CHECK(i == 0 || read_le32(section + 20) % 4096 == 0);
                CHECK(read_le32(section + 8) <= read_le32(section + 16));
                file_end += read_le32(section + 16);
                memory_end = read_le32(section + 12) + read_le32(section + 8);
        }
        CHECK_EQ(out.size, file_end);
        CHECK(read_le32(out.data + 0x58 + 56) >= memory_end);
        CHECK_MEM(out.data + file_end - 4096, "kernel!", 8);
}

TEST(uki_carries_a_policy_before_what_is_large)
{
        static const char *const names[] = { ".text", ".osrel", ".pcrsig", ".pcrpkey", ".linux" };
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(1 * MIB);
        uint8_t stub[STUB_SIZE];
        UkiParts parts = { .stub = stub,
                .stub_size = STUB_SIZE,
                .osrel = "ID=x\n",
                .osrel_size = 5,
                .kernel = "kernel!",
                .kernel_size = 7,
                .pcr_signature = "{}",
                .pcr_public_key = "a key" };

        make_stub(stub);
        CHECK_OK(uki_write(&parts, &out, NULL));
        CHECK_EQ(read_le16(out.data + 0x40 + 6), ELEMENTS(names));
        for (size_t i = 0; i < ELEMENTS(names); i++)
                CHECK(strncmp((const char *)out.data + TABLE + i * 40, names[i], 8) == 0);
        CHECK_EQ(read_le32(out.data + TABLE + 3 * 40 + 8), 5);
        CHECK_MEM(out.data + read_le32(out.data + TABLE + 3 * 40 + 20), "a key", 6);
}

TEST(uki_is_the_same_twice)
{
        _cleanup_buffer_ Buffer one = BUFFER_WITH_CAP(1 * MIB), two = BUFFER_WITH_CAP(1 * MIB);
        uint8_t stub[STUB_SIZE];

        make_stub(stub);
        CHECK_OK(write_uki(stub, sizeof(stub), &one, NULL));
        CHECK_OK(write_uki(stub, sizeof(stub), &two, NULL));
        CHECK_EQ(one.size, two.size);
        CHECK_MEM(one.data, two.data, one.size);
}

TEST(uki_refuses_what_is_no_stub)
{
        static const struct {
                size_t offset;
                uint32_t value;
        } damages[] = {
                { 0x3c, 0xfffffff0 },       /* headers beyond the end */
                { 0x40, 0 },                /* no signature */
                { 0x58, 0x10b },            /* 32 bits */
                { 0x40 + 6, 0 },            /* no section */
                { 0x40 + 6, 2000 },         /* too many */
                { TABLE + 20, 0x401 },      /* a gap */
                { TABLE + 16, 0xfffff000 }, /* beyond the end */
                { 0x58 + 60, 0x158 },       /* no room for headers */
                { 0x58 + 144, 1 },          /* signed */
                { 0x58 + 32, 0x10000 },     /* large alignment */
        };

        for (size_t i = 0; i < ELEMENTS(damages); i++) {
                _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(1 * MIB);
                uint8_t stub[STUB_SIZE];
                Error error = { 0 };

                make_stub(stub);
                if (damages[i].offset == 0x40 + 6)
                        write_le16(stub + damages[i].offset, (uint16_t)damages[i].value);
                else
                        write_le32(stub + damages[i].offset, damages[i].value);
                if (write_uki(stub, sizeof(stub), &out, &error) != -EBADMSG)
                        TEST_FAIL("damage %zu is not seen", i);
        }
        for (size_t size = 0; size < STUB_SIZE - 0x100; size += 7) {
                _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(1 * MIB);
                uint8_t stub[STUB_SIZE];

                make_stub(stub);
                if (write_uki(stub, size, &out, NULL) != -EBADMSG)
                        TEST_FAIL("%zu bytes are taken for a stub", size);
        }
}

/* ---- modules ---- */

static Tree *make_kernel(void)
{
        static const char dep[] = "kernel/fs/erofs/erofs.ko: kernel/lib/libcrc32c.ko\n"
                                  "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko\n"
                                  "kernel/fs/jbd2/jbd2.ko: kernel/fs/mbcache.ko\n"
                                  "kernel/fs/mbcache.ko:\n"
                                  "kernel/lib/libcrc32c.ko:\n"
                                  "kernel/crypto/crc32c_generic.ko:\n"
                                  "kernel/drivers/md/dm-verity.ko: kernel/drivers/md/dm-bufio.ko "
                                  "kernel/drivers/md/dm-mod.ko\n"
                                  "kernel/drivers/md/dm-bufio.ko: kernel/drivers/md/dm-mod.ko\n"
                                  "kernel/drivers/md/dm-mod.ko:\n"
                                  "kernel/fs/overlayfs/overlay.ko:\n"
                                  "kernel/drivers/block/virtio_blk.ko:\n";
        Tree *tree = tree_new();

        if (!tree || tree_make_text(tree, "m/modules.dep", dep, 0644, NULL) < 0 ||
                        tree_make_text(tree, "m/modules.softdep", "# x\nsoftdep libcrc32c pre: crc32c\n",
                                        0644, NULL) < 0 ||
                        tree_make_text(tree, "m/modules.alias",
                                        "# y\nalias crc32c crc32c_intel\nalias crc32c crc32c_generic\n",
                                        0644, NULL) < 0 ||
                        tree_make_text(tree, "m/modules.builtin",
                                        "kernel/drivers/nvme/host/nvme-core.ko\nkernel/fs/efivarfs/"
                                        "efivarfs.ko\n",
                                        0644, NULL) < 0)
                abort();
        return tree;
}

static size_t position(char *const *list, const char *path)
{
        size_t i = 0;

        for (; list[i] && strcmp(list[i], path) != 0; i++)
                continue;
        return i;
}

TEST(modules_come_after_what_they_need)
{
        _cleanup_tree_ Tree *tree = make_kernel();
        char release[] = "6.1", modules_path[] = "m";
        TreeKernel kernel = { .release = release, .modules_path = modules_path };
        _cleanup_strv_ char **names = NULL, **list = NULL;

        CHECK_OK(strv_append_words(&names, "virtio-blk nvme_core virtio_blk"));
        CHECK_OK(initrd_order_modules(tree, &kernel, names, &list, NULL));
        CHECK_EQ(strv_length(list), 11);
        CHECK(position(list, "kernel/lib/libcrc32c.ko") < position(list, "kernel/fs/erofs/erofs.ko"));
        CHECK(position(list, "kernel/crypto/crc32c_generic.ko") < position(list, "kernel/lib/libcrc32c.ko"));
        CHECK(position(list, "kernel/drivers/md/dm-mod.ko") <
                        position(list, "kernel/drivers/md/dm-bufio.ko"));
        CHECK(position(list, "kernel/drivers/md/dm-bufio.ko") <
                        position(list, "kernel/drivers/md/dm-verity.ko"));
        CHECK(position(list, "kernel/fs/mbcache.ko") < position(list, "kernel/fs/jbd2/jbd2.ko"));
        CHECK(position(list, "kernel/fs/jbd2/jbd2.ko") < position(list, "kernel/fs/ext4/ext4.ko"));
}

TEST(an_unknown_module_gets_a_suggestion)
{
        _cleanup_tree_ Tree *tree = make_kernel();
        char release[] = "6.1", modules_path[] = "m";
        TreeKernel kernel = { .release = release, .modules_path = modules_path };
        _cleanup_strv_ char **names = NULL, **list = NULL;
        Error error = { 0 };

        CHECK_OK(strv_append(&names, "virtio_bla"));
        CHECK_EQ(initrd_order_modules(tree, &kernel, names, &list, &error), -ENOENT);
        CHECK_EQ(error.code, ERROR_CONFIG);
        CHECK(strstr(error.message, "did you mean \"virtio_blk\"?"));
}

/* ---- disk ---- */

TEST(an_esp_that_is_too_small_says_by_how_much)
{
        RawDiskParts parts = { .esp_size_bytes = 64 * MIB, .uki_size_bytes = 30 * MIB };
        Error error = { 0 };

        CHECK_OK(raw_disk_check(&parts, &error));
        parts.uki_size_bytes = 31 * MIB;
        CHECK_EQ(raw_disk_check(&parts, &error), -ENOSPC);
        CHECK_EQ(error.code, ERROR_NO_SPACE);
        CHECK(strstr(error.message, "too small by 2.0 MiB"));
}

TEST(uuids_differ_by_name_and_content)
{
        uint8_t hash[SHA256_SIZE] = { 1 }, a[16], b[16], c[16];

        raw_disk_uuid("var", hash, a);
        raw_disk_uuid("esp", hash, b);
        hash[31] = 1;
        raw_disk_uuid("var", hash, c);
        CHECK(memcmp(a, b, 16) != 0 && memcmp(a, c, 16) != 0);
        CHECK_EQ(a[6] >> 4, 8);
        CHECK_EQ(a[8] >> 6, 2);
}

TEST_MAIN
