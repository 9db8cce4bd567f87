/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "cpio.h"
#include "hex.h"
#include "raw-disk.h"
#include "test.h"
#include "uki.h"

#define STUB_SIZE 0x600
#define TABLE (0x40 + 24 + 240)

static void hash_of(const Buffer *buffer, char hex[static SHA256_HEX_SIZE])
{
        sha256_hex_of(buffer->data, buffer->size, hex);
}

TEST(a_cpio_archive_is_written_as_ever)
{
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(64 * KIB);
        CpioWriter writer = { .out = &out };
        char hex[SHA256_HEX_SIZE];

        CHECK_OK(cpio_add_folder(&writer, "dev", 0755));
        CHECK_OK(cpio_add_character_device(&writer, "dev/console", 0600, 5, 1));
        CHECK_OK(cpio_add_file(&writer, "init", 0755, "#!/bin/true\n", 12));
        CHECK_OK(cpio_add_link(&writer, "sbin", "usr/sbin"));
        CHECK_OK(cpio_finish(&writer));
        hash_of(&out, hex);
        CHECK_STR(hex, "fbc098f8cf96c7df35130aa98dd03c990d9ee77d1f90f0dfa8c2baec1762a44c");
}

TEST(a_kernel_image_is_written_as_ever)
{
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(1 * MIB);
        uint8_t stub[STUB_SIZE] = "MZ";
        UkiParts parts = { .stub = stub,
                .stub_size = sizeof(stub),
                .osrel = "ID=golden\n",
                .osrel_size = 10,
                .cmdline = "quiet",
                .cmdline_size = 5,
                .initrd = "initrd",
                .initrd_size = 6,
                .kernel = "kernel",
                .kernel_size = 6,
                .release = "6.1.0" };
        char hex[SHA256_HEX_SIZE];

        write_le32(stub + 0x3c, 0x40);
        memcpy(stub + 0x40, "PE\0\0", 4);
        write_le16(stub + 0x40 + 6, 1);
        write_le16(stub + 0x40 + 20, 240);
        write_le16(stub + 0x58, 0x20b);
        write_le32(stub + 0x58 + 32, 0x200);
        write_le32(stub + 0x58 + 60, 0x400);
        memcpy(stub + TABLE, ".text", 5);
        write_le32(stub + TABLE + 8, 0x123);
        write_le32(stub + TABLE + 12, 0x1000);
        write_le32(stub + TABLE + 16, 0x200);
        write_le32(stub + TABLE + 20, 0x400);
        CHECK_OK(uki_write(&parts, &out, NULL));
        hash_of(&out, hex);
        CHECK_STR(hex, "207fe0a13ea292d040e7e854f4fa9a879077588e16c2142144459552e0a03f8a");
}

TEST(uuids_of_a_disk_follow_from_its_content_as_ever)
{
        const uint8_t root_hash[SHA256_SIZE] = { 1, 2, 3 };
        uint8_t uuid[16];
        char hex[33];

        raw_disk_uuid("disk", root_hash, uuid);
        hex_encode(uuid, sizeof(uuid), hex);
        CHECK_STR(hex, "bf49910daa2286b38c99232897a3f914");
}

TEST_MAIN
