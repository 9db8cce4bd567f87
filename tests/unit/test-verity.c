/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "file.h"
#include "hex.h"
#include "test.h"
#include "verity-format.h"
#include "verity.h"

#include <fcntl.h>
#include <sys/mman.h>

static const uint8_t salt[32] = { 1, 2, 3, 0xfe, [31] = 0xff };

/* The same bytes each time; no two blocks alike. */
static int make_data(uint64_t blocks)
{
        int fd = memfd_create("data", MFD_CLOEXEC);
        uint8_t block[VERITY_BLOCK_SIZE];

        for (uint64_t i = 0; fd >= 0 && i < blocks; i++) {
                memset(block, (int)(i * 7 + 3), sizeof(block));
                write_le64(block + 100, i);
                if (write_full(fd, block, sizeof(block)) < 0)
                        return fd_close(fd);
        }
        return fd;
}

/* Tree and superblock for what is in data_fd; the name is the descriptor's path for other programs. */
static int make_tree(int data_fd, uint64_t blocks, uint8_t root_hash[static SHA256_SIZE])
{
        VeritySuperblock superblock = { .data_blocks = blocks, .salt_size = sizeof(salt) };
        int fd = memfd_create("hash", MFD_CLOEXEC);

        if (verity_build(data_fd, 0, blocks * VERITY_BLOCK_SIZE, salt, sizeof(salt), fd, 0, root_hash, NULL,
                            NULL, NULL) < 0)
                return fd_close(fd);
        memcpy(superblock.uuid, root_hash, sizeof(superblock.uuid));
        memcpy(superblock.salt, salt, sizeof(salt));
        if (verity_superblock_write(fd, 0, &superblock) < 0)
                return fd_close(fd);
        return fd;
}

/* Flips one bit. */
static void damage(int fd, uint64_t offset)
{
        uint8_t byte = 0;

        (void)pread_full(fd, &byte, 1, offset);
        byte ^= 0x10;
        (void)pwrite_full(fd, &byte, 1, offset);
}

static bool have_veritysetup(void)
{
        return access("/usr/sbin/veritysetup", X_OK) == 0 || access("/sbin/veritysetup", X_OK) == 0;
}

/* Runs veritysetup; its standard output, cut at 8 KiB, is the caller's. */
static char *run_veritysetup(const char *arguments, int *ret_status)
{
        _cleanup_free_ char *command =
                        string_format("PATH=$PATH:/usr/sbin:/sbin veritysetup %s 2>&1", arguments);
        char *output = calloc(1, 8192);
        FILE *pipe = command && output ? popen(command, "r") : NULL;

        *ret_status = -1;
        if (pipe) {
                size_t size = fread(output, 1, 8191, pipe);

                output[size] = 0;
                *ret_status = pclose(pipe);
        }
        return output;
}

/* Formats with veritysetup beside us, and compares root hash and every byte of the hash area. */
static int compare_with_veritysetup(uint64_t blocks)
{
        _cleanup_fd_ int data_fd = make_data(blocks), theirs_fd = memfd_create("theirs", MFD_CLOEXEC),
                         ours_fd = -1;
        _cleanup_free_ char *arguments = NULL, *output = NULL;
        uint8_t root_hash[SHA256_SIZE];
        char root_text[SHA256_HEX_SIZE], salt_text[65], uuid[33];
        uint64_t ours_size = 0, theirs_size = 0;
        int status;

        ours_fd = make_tree(data_fd, blocks, root_hash);
        if (ours_fd < 0)
                return -EIO;
        hex_encode(root_hash, sizeof(root_hash), root_text);
        hex_encode(salt, sizeof(salt), salt_text);
        hex_encode(root_hash, 16, uuid);
        arguments = string_format(
                        "format --salt=%s --uuid=%.8s-%.4s-%.4s-%.4s-%.12s /proc/%d/fd/%d /proc/%d/fd/%d",
                        salt_text, uuid, uuid + 8, uuid + 12, uuid + 16, uuid + 20, getpid(), data_fd,
                        getpid(), theirs_fd);
        output = run_veritysetup(arguments, &status);
        if (status != 0 || !strstr(output, root_text)) {
                printf("# %ju blocks: we say %s, veritysetup:\n# %s\n", (uintmax_t)blocks, root_text,
                                output);
                return -EBADMSG;
        }
        if (fd_size(ours_fd, &ours_size) < 0 || fd_size(theirs_fd, &theirs_size) < 0 ||
                        ours_size > theirs_size ||
                        ours_size != verity_hash_area_size(blocks * VERITY_BLOCK_SIZE))
                return -ERANGE;
        for (uint64_t at = 0; at < ours_size; at += VERITY_BLOCK_SIZE) {
                uint8_t a[VERITY_BLOCK_SIZE], b[VERITY_BLOCK_SIZE];

                if (pread_full(ours_fd, a, sizeof(a), at) < 0 ||
                                pread_full(theirs_fd, b, sizeof(b), at) < 0 || memcmp(a, b, sizeof(a)) != 0)
                        return -EILSEQ;
        }
        return 0;
}

TEST(hash_area_has_the_same_bytes_as_veritysetup_makes)
{
        static const uint64_t sizes[] = { 1, 2, 3, 127, 128, 129, 255, 256, 1000, 16384, 16385 };

        if (!have_veritysetup())
                TEST_SKIP("veritysetup is not installed");
        for (size_t i = 0; i < ELEMENTS(sizes); i++)
                CHECK_OK(compare_with_veritysetup(sizes[i]));
}

TEST(root_hash_is_pinned)
{
        _cleanup_fd_ int data_fd = make_data(300), hash_fd = -1;
        uint8_t root_hash[SHA256_SIZE], again[SHA256_SIZE];
        char text[SHA256_HEX_SIZE];

        hash_fd = make_tree(data_fd, 300, root_hash);
        CHECK(hash_fd >= 0);
        hex_encode(root_hash, sizeof(root_hash), text);
        CHECK_STR(text, "2fc20b9afadf0211e31027c52a2c3e840a3faae3ee5be52cd3dbde09c038b199");
        CHECK_OK(verity_build(data_fd, 0, 300 * VERITY_BLOCK_SIZE, salt, sizeof(salt), -1, 0, again, NULL,
                        NULL, NULL));
        CHECK_MEM(root_hash, again, SHA256_SIZE);
        CHECK_OK(verity_stored_root_hash(data_fd, 0, hash_fd, 0, again));
        CHECK_MEM(root_hash, again, SHA256_SIZE);
}

TEST(hash_area_sizes)
{
        CHECK_EQ(verity_hash_area_size(0), 0);
        CHECK_EQ(verity_hash_area_size(4095), 0);
        CHECK_EQ(verity_hash_area_size(4096), 4096);
        CHECK_EQ(verity_hash_area_size(2 * 4096), 2 * 4096);
        CHECK_EQ(verity_hash_area_size(128 * 4096), 2 * 4096);
        CHECK_EQ(verity_hash_area_size(129 * 4096), 4 * 4096);
        CHECK_EQ(verity_hash_area_size(GIB), 4096 * (1 + 1 + 16 + 2048));
        CHECK_EQ(verity_hash_area_size(VERITY_DATA_BLOCKS_MAX * 4096 + 4096), 0);
        CHECK(verity_hash_area_size(VERITY_DATA_BLOCKS_MAX * 4096) > 0);
}

TEST(no_data_and_odd_sizes_are_refused)
{
        _cleanup_fd_ int data_fd = make_data(2);
        uint8_t root_hash[SHA256_SIZE] = { 0 };
        Error error = { 0 };

        CHECK_EQ(verity_build(data_fd, 0, 0, salt, 32, -1, 0, root_hash, NULL, NULL, &error), -EINVAL);
        CHECK_EQ(verity_build(data_fd, 0, 5000, salt, 32, -1, 0, root_hash, NULL, NULL, NULL), -EINVAL);
        CHECK_EQ(verity_build(data_fd, 0, 3 * 4096, salt, 32, -1, 0, root_hash, NULL, NULL, NULL), -EIO);
        CHECK_EQ(root_hash[0], 0);
}

TEST(verify_accepts_what_build_made)
{
        static const uint64_t sizes[] = { 1, 2, 128, 129, 16385 };

        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                _cleanup_fd_ int data_fd = make_data(sizes[i]), hash_fd = -1;
                uint8_t root_hash[SHA256_SIZE];

                hash_fd = make_tree(data_fd, sizes[i], root_hash);
                CHECK_OK(verity_verify(data_fd, 0, hash_fd, 0, root_hash, NULL, NULL, NULL));
                root_hash[31] ^= 1;
                CHECK_EQ(verity_verify(data_fd, 0, hash_fd, 0, root_hash, NULL, NULL, NULL), -EBADMSG);
        }
}

TEST(verify_names_the_bad_data_block)
{
        _cleanup_fd_ int data_fd = make_data(300), hash_fd = -1;
        uint8_t root_hash[SHA256_SIZE];
        Error error = { 0 };

        hash_fd = make_tree(data_fd, 300, root_hash);
        damage(data_fd, 299 * 4096 + 5);
        damage(data_fd, 129 * 4096 + 4095);
        CHECK_EQ(verity_verify(data_fd, 0, hash_fd, 0, root_hash, NULL, NULL, &error), -EBADMSG);
        CHECK_EQ(error.code, ERROR_CORRUPT);
        CHECK(strstr(error.message, "data block 129 (at byte 528384)"));
}

TEST(verify_names_the_bad_hash_block_and_not_the_data_below_it)
{
        _cleanup_fd_ int data_fd = make_data(300), hash_fd = -1;
        uint8_t root_hash[SHA256_SIZE];
        Error error = { 0 };

        hash_fd = make_tree(data_fd, 300, root_hash);
        damage(hash_fd, 4096 + 4096 + 4096 + 70); /* superblock, top, first of level 0, second */
        CHECK_EQ(verity_verify(data_fd, 0, hash_fd, 0, root_hash, NULL, NULL, &error), -EBADMSG);
        CHECK(strstr(error.message, "block 1 of level 0"));
        error_clear(&error);
        damage(hash_fd, 4096);
        CHECK_EQ(verity_verify(data_fd, 0, hash_fd, 0, root_hash, NULL, NULL, &error), -EBADMSG);
        CHECK(strstr(error.message, "block 0 of level 1"));
}

TEST(verify_without_data_checks_the_tree_alone)
{
        _cleanup_fd_ int data_fd = make_data(300), hash_fd = -1;
        uint8_t root_hash[SHA256_SIZE];

        hash_fd = make_tree(data_fd, 300, root_hash);
        damage(data_fd, 129 * 4096);
        CHECK_OK(verity_verify(-1, 0, hash_fd, 0, root_hash, NULL, NULL, NULL));
        damage(hash_fd, 4096 + 4096 + 4096 + 70);
        CHECK_EQ(verity_verify(-1, 0, hash_fd, 0, root_hash, NULL, NULL, NULL), -EBADMSG);
}

TEST(verify_reports_a_hash_area_that_ends_early)
{
        _cleanup_fd_ int data_fd = make_data(300), hash_fd = -1;
        uint8_t root_hash[SHA256_SIZE];
        Error error = { 0 };

        hash_fd = make_tree(data_fd, 300, root_hash);
        CHECK_OK(ftruncate(hash_fd, 3 * 4096));
        CHECK_EQ(verity_verify(data_fd, 0, hash_fd, 0, root_hash, NULL, NULL, &error), -EIO);
        CHECK_EQ(error.code, ERROR_IO);
}

TEST(tree_lies_at_an_offset_and_touches_nothing_else)
{
        _cleanup_fd_ int data_fd = make_data(40), fd = memfd_create("disk", MFD_CLOEXEC);
        uint8_t root_hash[SHA256_SIZE], alone[SHA256_SIZE], block[VERITY_BLOCK_SIZE],
                        zeros[VERITY_BLOCK_SIZE] = { 0 };

        CHECK_OK(ftruncate(fd, (off_t)MIB));
        CHECK_OK(verity_build(data_fd, 10 * 4096, 30 * 4096, salt, 32, fd, 128 * 4096, root_hash, NULL, NULL,
                        NULL));
        CHECK_OK(verity_build(data_fd, 10 * 4096, 30 * 4096, salt, 32, -1, 0, alone, NULL, NULL, NULL));
        CHECK_MEM(root_hash, alone, SHA256_SIZE);
        for (uint64_t i = 0; i < MIB / 4096; i++) {
                CHECK_OK(pread_full(fd, block, sizeof(block), i * 4096));
                CHECK_EQ(memcmp(block, zeros, sizeof(block)) != 0, i == 129);
        }
}

static int stop_at_once(void *data, uint64_t done_bytes)
{
        *(uint64_t *)data = done_bytes;
        return -EINTR;
}

TEST(progress_can_stop_the_work)
{
        _cleanup_fd_ int data_fd = make_data(300);
        uint8_t root_hash[SHA256_SIZE];
        uint64_t done = 0;
        Error error = { 0 };

        CHECK_EQ(verity_build(data_fd, 0, 300 * 4096, salt, 32, -1, 0, root_hash, stop_at_once, &done,
                                 &error),
                        -EINTR);
        CHECK_EQ(error.code, ERROR_CANCELLED);
        CHECK(done > 0 && done < 300 * 4096);
}

TEST(superblock_goes_there_and_back)
{
        _cleanup_fd_ int fd = memfd_create("hash", MFD_CLOEXEC);
        VeritySuperblock in = { .uuid = { 0xab, [15] = 1 },
                .data_blocks = 77,
                .salt = { 5 },
                .salt_size = 20 },
                         out;

        CHECK_OK(ftruncate(fd, 3 * 4096));
        CHECK_EQ(verity_superblock_read(fd, 4096, &out), -ENODATA);
        CHECK_OK(verity_superblock_write(fd, 4096, &in));
        CHECK_OK(verity_superblock_read(fd, 4096, &out));
        CHECK_MEM(out.uuid, in.uuid, 16);
        CHECK_MEM(out.salt, in.salt, 20);
        CHECK_EQ(out.data_blocks, 77);
        CHECK_EQ(out.salt_size, 20);
        CHECK_OK(verity_superblock_erase(fd, 4096));
        CHECK_EQ(verity_superblock_read(fd, 4096, &out), -ENODATA);
        CHECK_EQ(verity_superblock_read(fd, 3 * 4096, &out), -EIO);
}

TEST(superblocks_of_another_kind_are_refused)
{
        static const struct {
                const char *name;
                size_t at;
                uint8_t value;
                int result;
        } cases[] = {
                { "magic-damaged", 0, 'V', -ENODATA },
                { "version-2", VERITY_SB_VERSION_AT, 2, -EBADMSG },
                { "hash-type-0", VERITY_SB_HASH_TYPE_AT, 0, -EBADMSG },
                { "algorithm-unknown", VERITY_SB_ALGORITHM_AT + 3, '5', -EBADMSG },
                { "algorithm-with-a-tail", VERITY_SB_ALGORITHM_AT + 31, 'x', -EBADMSG },
                { "data-block-size-512", VERITY_SB_DATA_BLOCK_AT + 1, 2, -EBADMSG },
                { "hash-block-size-huge", VERITY_SB_HASH_BLOCK_AT + 3, 0xff, -EBADMSG },
                { "data-blocks-zero", VERITY_SB_DATA_BLOCKS_AT, 0, -EBADMSG },
                { "data-blocks-wrap", VERITY_SB_DATA_BLOCKS_AT + 7, 0xff, -EBADMSG },
                { "salt-too-long", VERITY_SB_SALT_SIZE_AT, 33, -EBADMSG },
                { "salt-past-the-superblock", VERITY_SB_SALT_SIZE_AT + 1, 0xff, -EBADMSG },
        };
        const VeritySuperblock good = { .data_blocks = 5, .salt_size = 32 };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                uint8_t bytes[VERITY_SUPERBLOCK_SIZE];
                VeritySuperblock out = { .data_blocks = 1234 };

                CHECK_OK(verity_superblock_encode(&good, bytes));
                bytes[cases[i].at] = cases[i].value;
                if (verity_superblock_decode(bytes, &out) != cases[i].result)
                        TEST_FAIL("%s was not refused as it should", cases[i].name);
                CHECK_EQ(out.data_blocks, 1234);
        }
}

TEST_MAIN
