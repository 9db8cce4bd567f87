/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "file.h"
#include "test.h"
#include "uki.h"

#include <sys/mman.h>

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

TEST(finds_the_root_hash_on_a_command_line)
{
        uint8_t hash[SHA256_SIZE];
        CHECK_OK(command_line_root_hash("quiet bascule.roothash=" HASH " panic=5", hash));
        CHECK_EQ(hash[1], 0x11);
        CHECK_OK(command_line_root_hash("bascule.roothash=" OTHER " bascule.roothash=" HASH "\n", hash));
        CHECK_EQ(hash[1], 0x11);
        CHECK_EQ(command_line_root_hash("quiet xbascule.roothash=" HASH, hash), -ENODATA);
        CHECK_EQ(command_line_root_hash("", hash), -ENODATA);
        CHECK_EQ(command_line_root_hash("bascule.roothash=12", hash), -EINVAL);
        CHECK_EQ(command_line_root_hash("bascule.roothash=" HASH "0", hash), -EINVAL);
        CHECK_EQ(command_line_root_hash("bascule.roothash="
                                        "zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
                                 hash),
                        -EINVAL);
}

/* A PE with one section; returns a descriptor. */
static int make(unsigned sections, uint32_t virtual_size, uint32_t raw_size, uint32_t raw_offset)
{
        uint8_t file[2048] = { 'M', 'Z' };
        static const char line[] = "bascule.roothash=" HASH;
        int fd = memfd_create("uki", MFD_CLOEXEC);
        write_le32(file + 0x3c, 64);
        memcpy(file + 64, "PE", 2);
        write_le16(file + 64 + 6, (uint16_t)sections);
        write_le16(file + 64 + 20, 16);
        memcpy(file + 64 + 24 + 16, ".cmdline", 8);
        write_le32(file + 64 + 24 + 16 + 8, virtual_size);
        write_le32(file + 64 + 24 + 16 + 16, raw_size);
        write_le32(file + 64 + 24 + 16 + 20, raw_offset);
        memcpy(file + 1024, line, sizeof(line) - 1);
        if (fd >= 0 && pwrite_full(fd, file, sizeof(file), 0) < 0)
                return -1;
        return fd;
}

TEST(reads_the_section)
{
        uint8_t hash[SHA256_SIZE];
        _cleanup_fd_ int fd = make(1, 81, 512, 1024);
        CHECK_OK(uki_read_root_hash(fd, hash));
        CHECK_EQ(hash[2], 0x22);
}

TEST(rejects_what_is_no_uki)
{
        uint8_t hash[SHA256_SIZE];
        static const struct {
                unsigned sections;
                uint32_t virtual_size, raw_size, raw_offset;
        } bad[] = { { 0, 81, 512, 1024 }, { 97, 81, 512, 1024 }, { 65535, 81, 512, 1024 },
                { 1, 81, 512, UINT32_MAX }, { 1, UINT32_MAX, UINT32_MAX, 1024 }, { 1, 81, 512, 2000 },
                { 1, 0, 512, 1024 }, { 1, 80, 512, 1024 } };
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                _cleanup_fd_ int fd = make(
                                bad[i].sections, bad[i].virtual_size, bad[i].raw_size, bad[i].raw_offset);
                if (uki_read_root_hash(fd, hash) >= 0)
                        TEST_FAIL("accepted number %zu", i);
        }
        _cleanup_fd_ int empty = memfd_create("empty", MFD_CLOEXEC);
        CHECK_EQ(uki_read_root_hash(empty, hash), -EBADMSG);
}

TEST_MAIN
