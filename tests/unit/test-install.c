/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-image.h"
#include "install-check.h"
#include "partition-role.h"
#include "printable.h"
#include "strv.h"
#include "test.h"

/* Bytes in a slot and in var, a hole between. */
static void fill(int fd)
{
        uint8_t block[4096];

        memset(block, 0x5a, sizeof(block));
        (void)pwrite_full(fd, block, sizeof(block), 3 * MIB + 8192);
        (void)pwrite_full(fd, block, sizeof(block), 21 * MIB);
        (void)pwrite_full(fd, block, sizeof(block), 25 * MIB - 4096);
}

/* A target full of what was there before. */
static int dirty_target(uint64_t size)
{
        int fd = memfd_create("target", MFD_CLOEXEC);
        _cleanup_free_ uint8_t *chunk = malloc(MIB);

        memset(chunk, 0xdd, MIB);
        for (uint64_t at = 0; fd >= 0 && at < size; at += MIB)
                if (pwrite_full(fd, chunk, MIN_OF(size - at, MIB), at) < 0)
                        return fd_close(fd);
        return fd;
}

static int install(int image, int target, InstallResult *ret, Error *error)
{
        _cleanup_(install_target_freep) InstallTarget *look = NULL;
        char image_name[64], target_name[64];
        int r = install_target_look(image_path(target, target_name), &look, error);

        return r < 0 ? r : install_image(image_path(image, image_name), look, NULL, ret, error);
}

TEST(image_arrives_whole_with_identifiers_of_its_own)
{
        static const unsigned sector_sizes[] = { 512, 4096 };

        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++) {
                _cleanup_fd_ int image = image_new(sector_sizes[i]), target = -1;
                _cleanup_(disk_freep) Disk *disk = NULL;
                DiskLayout layout = image_layout(sector_sizes[i]);
                InstallResult result;
                uint8_t *a, *b;

                fill(image);
                CHECK_OK(image_seal(image));
                target = dirty_target(40 * MIB);
                CHECK_OK(install(image, target, &result, NULL));
                CHECK_EQ(result.var_bytes, 18 * MIB);
                CHECK_OK(image_open(target, &disk, NULL));
                CHECK(gpt_report_is_good(&disk->table));
                CHECK_EQ(disk->sector_size_bytes, sector_sizes[i]);
                CHECK_EQ(disk->partitions[PARTITION_VAR].size_bytes, 18 * MIB);
                CHECK_MEM(disk->uuid, result.disk_uuid, UUID_SIZE);
                for (unsigned role = 0; role < PARTITION_ROLE_MAX; role++) {
                        bool fresh = role == PARTITION_ESP || role == PARTITION_VAR;

                        CHECK_EQ(memcmp(disk->partitions[role].uuid, layout.partition_uuids[role],
                                                 UUID_SIZE) != 0,
                                        fresh);
                }
                CHECK(memcmp(disk->uuid, layout.disk_uuid, UUID_SIZE) != 0);
                a = malloc(24 * MIB);
                b = malloc(24 * MIB);
                CHECK(a && b);
                CHECK_OK(pread_full(image, a, 24 * MIB, MIB));
                CHECK_OK(pread_full(target, b, 24 * MIB, MIB));
                CHECK_EQ(memcmp(a, b, 24 * MIB), 0);
                free(a);
                free(b);
        }
}

TEST(what_must_not_be_written_is_refused_and_the_target_stays_as_it_was)
{
        enum { SMALL, CUT_OFF, NO_TABLE, QCOW2, ITSELF, WAYS };
        static const struct {
                const char *name;
                ErrorCode code;
        } ways[WAYS] = {
                [SMALL] = { "target-too-small", ERROR_NO_SPACE },
                [CUT_OFF] = { "image-cut-off", ERROR_CORRUPT },
                [NO_TABLE] = { "image-without-table", ERROR_CORRUPT },
                [QCOW2] = { "image-is-qcow2", ERROR_INCOMPATIBLE },
                [ITSELF] = { "target-is-the-image", ERROR_USAGE },
        };

        for (int way = 0; way < WAYS; way++) {
                _cleanup_fd_ int image = image_new(512),
                                 target = dirty_target(way == SMALL ? 25 * MIB : 40 * MIB);
                InstallResult result;
                Error error = { 0 };
                uint8_t first[2] = { 0 };

                if (way == CUT_OFF)
                        CHECK_OK(ftruncate(image, (off_t)(25 * MIB)));
                if (way == NO_TABLE)
                        CHECK_OK(ftruncate(image, 0));
                if (way == QCOW2)
                        CHECK_OK(pwrite_full(image, "QFI\xfb", 4, 0));
                CHECK_EQ(install(image, way == ITSELF ? image : target, &result, &error) < 0, true);
                if (error.code != ways[way].code)
                        TEST_FAIL("%s: %s: %s", ways[way].name, error_code_name(error.code), error.message);
                CHECK_OK(pread_full(target, first, 2, 0));
                CHECK_EQ(first[0], 0xdd);
        }
}

/* Six partitions of four KiB each, on half a MiB. */
static int tiny_image(void)
{
        static uint8_t entries[128 * GPT_ENTRY_SIZE];
        Gpt gpt = { .sector_size_bytes = 512,
                .disk_sectors = 1024,
                .first_usable_lba = 34,
                .last_usable_lba = 1024 - 34,
                .primary_entries_lba = 2,
                .entry_count = 128,
                .entries = entries };
        int fd = memfd_create("tiny", MFD_CLOEXEC), r = ftruncate(fd, 512 * 1024);

        for (unsigned role = 0; r >= 0 && role < PARTITION_ROLE_MAX; role++) {
                GptEntry entry = { .uuid = { (uint8_t)(role + 1) }, .first_lba = 40 + 8 * role };

                entry.last_lba = entry.first_lba + 7;
                (void)snprintf(entry.name, sizeof(entry.name), "%s",
                                partition_role_name((PartitionRole)role));
                (void)uuid_parse(partition_role_type((PartitionRole)role, "x86-64"), entry.type);
                r = gpt_put(&gpt, role, &entry);
        }
        if (r >= 0)
                r = gpt_write(fd, &gpt, NULL);
        return r < 0 ? fd_close(fd) : fd;
}

TEST(a_disk_below_a_mib_is_too_small_for_any_image)
{
        _cleanup_fd_ int image = tiny_image(), target = tiny_image(), large = dirty_target(2 * MIB);
        InstallResult result;
        Error error = { 0 };
        uint64_t size;

        CHECK(image >= 0 && target >= 0);
        CHECK_EQ(install(image, target, &result, &error), -ENOSPC);
        CHECK_EQ(error.code, ERROR_NO_SPACE);
        CHECK_OK(fd_size(target, &size));
        CHECK_EQ(size, 512 * 1024);
        /* It holds no release, and that is found last. */
        error_clear(&error);
        CHECK_EQ(install(image, large, &result, &error), -EBADMSG);
        CHECK(strstr(error.message, "holds no release"));
}

TEST(a_release_that_reads_badly_is_no_disk)
{
        enum { DATA, TREE, SUPERBLOCK, NONE, WAYS };
        static const uint64_t damaged_at[WAYS] = { 3 * MIB + 5000, 11 * MIB + 4096, 11 * MIB + 8, 0 };

        for (unsigned way = 0; way < WAYS; way++) {
                _cleanup_fd_ int image = image_new(512), target = dirty_target(40 * MIB);
                _cleanup_(gpt_freep) Gpt *gpt = NULL;
                InstallResult result;
                Error error = { 0 };

                if (way != NONE) {
                        CHECK_OK(image_seal(image));
                        image_damage(image, damaged_at[way]);
                }
                CHECK_EQ(install(image, target, &result, &error), -EBADMSG);
                CHECK_EQ(error.code, ERROR_CORRUPT);
                CHECK(strstr(error.message, "write the medium anew"));
                CHECK_EQ(gpt_read(target, 0, &gpt, NULL), -ENODATA);
        }
}

TEST(a_disk_that_cannot_be_read_is_told_from_a_medium_that_is_damaged)
{
        /* The disk ends in the superblock, and before the tree. */
        static const uint64_t readable_bytes[] = { 11 * MIB + 100, 11 * MIB + 4096 };

        for (size_t i = 0; i < ELEMENTS(readable_bytes); i++) {
                _cleanup_fd_ int image = image_new(512);
                _cleanup_(gpt_freep) Gpt *gpt = NULL;
                Error error = { 0 };

                CHECK_OK(image_seal(image));
                CHECK_OK(gpt_read(image, 512, &gpt, NULL));
                CHECK_OK(install_verify(gpt, image, NULL, NULL));
                CHECK_OK(ftruncate(image, (off_t)readable_bytes[i]));
                CHECK_EQ(install_verify(gpt, image, NULL, &error), -EIO);
                CHECK_EQ(error.code, ERROR_IO);
                CHECK(!strstr(error.message, "medium"));
        }
}

TEST(a_name_that_came_to_mean_another_disk_is_refused)
{
        _cleanup_fd_ int image = image_new(512), target = dirty_target(40 * MIB),
                         other = dirty_target(40 * MIB);
        _cleanup_(install_target_freep) InstallTarget *look = NULL;
        char image_name[64], target_name[64];
        InstallResult result;
        Error error = { 0 };
        uint8_t first[1] = { 0 };

        CHECK_OK(image_seal(image));
        CHECK_OK(install_target_look(image_path(target, target_name), &look, NULL));
        CHECK(install_target_is(look, target) && !install_target_is(look, other));
        CHECK(dup2(other, target) >= 0);
        CHECK_EQ(install_image(image_path(image, image_name), look, NULL, &result, &error), -ESTALE);
        CHECK_EQ(error.code, ERROR_REFUSED);
        CHECK_OK(pread_full(other, first, 1, 0));
        CHECK_EQ(first[0], 0xdd);
}

TEST(what_a_disk_holds_is_told_before_it_is_lost)
{
        _cleanup_fd_ int old = image_new(512);
        _cleanup_(install_target_freep) InstallTarget *target = NULL;
        char path[64];

        CHECK_OK(install_target_look(image_path(old, path), &target, NULL));
        CHECK_EQ(target->size_bytes, 26 * MIB);
        CHECK(!target->is_block_device);
        CHECK_EQ(strv_length(target->contents), PARTITION_ROLE_MAX);
        CHECK_STR(target->contents[0], "partition 1 esp, 2.0 MiB");
        CHECK_STR(target->serial, "");
}

TEST(what_a_disk_says_cannot_command_a_terminal)
{
        static const char *const texts[][2] = {
                { "Nice Disk", "Nice Disk" },
                { "a\x1b[2Jb\n\x7f", "a?[2Jb??" },
                { "a\xc2\x9b"
                  "31m",
                                "a??31m" },
                { "a\x9b"
                  "31m",
                                "a?31m" },
                { "\xe0\x82\x9bx\xf0\x80\x82\x9b", "???x????" },
                { "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
                                "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80" },
                { "\xe2\x82", "??" },
        };
        static const uint8_t name[] = { 'a', 0, 0x9b, 0, 'J', 0, 0, 0 };
        _cleanup_(install_target_freep) InstallTarget *target = NULL;
        _cleanup_fd_ int disk = image_new(512);
        char path[64];

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                char text[64];

                (void)snprintf(text, sizeof(text), "%s", texts[i][0]);
                printable_make(text);
                CHECK_STR(text, texts[i][1]);
        }
        CHECK_OK(image_patch(disk, 512, true, GPT_ENTRY_NAME_AT, name, sizeof(name)));
        CHECK_OK(install_target_look(image_path(disk, path), &target, NULL));
        CHECK_STR(target->contents[0], "partition 1 a??J, 2.0 MiB");
}

TEST(what_a_disk_says_does_not_fill_the_screen)
{
        static const struct {
                const char *text;
                size_t max_bytes, length;
        } cuts[] = {
                { "", 4, 0 },
                { "abcd", 4, 4 },
                { "abcde", 4, 4 },
                { "abc\xc3\xbc", 4, 3 },
                { "ab\xc3\xbc", 4, 4 },
                { "\xf0\x9f\x98\x80x", 3, 0 },
        };
        _cleanup_(install_target_freep) InstallTarget *target = NULL;
        _cleanup_fd_ int disk = image_new(512);
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        GptEntry entry;
        char path[64];

        for (size_t i = 0; i < ELEMENTS(cuts); i++)
                CHECK_EQ(printable_length(cuts[i].text, cuts[i].max_bytes), cuts[i].length);
        CHECK_OK(gpt_read(disk, 0, &gpt, NULL));
        CHECK(gpt_get(gpt, PARTITION_VAR, &entry));
        for (uint32_t i = PARTITION_VAR; i < 100; i++) {
                CHECK_OK(gpt_put(gpt, i, &entry));
                gpt_set_last_lba(gpt, i, entry.first_lba++);
        }
        CHECK_OK(gpt_write(disk, gpt, NULL));
        CHECK_OK(install_target_look(image_path(disk, path), &target, NULL));
        CHECK_EQ(strv_length(target->contents), INSTALL_CONTENTS_MAX + 1);
        CHECK_STR(target->contents[INSTALL_CONTENTS_MAX], "and 84 partitions more");
}

TEST(no_disk_at_all_is_refused)
{
        InstallTarget *target = NULL;
        Error error = { 0 };

        CHECK_EQ(install_target_look("/dev/null", &target, &error), -EINVAL);
        CHECK_EQ(error.code, ERROR_USAGE);
        error_clear(&error);
        CHECK_EQ(install_target_look("/no/such/disk", &target, &error), -ENOENT);
        CHECK_EQ(error.code, ERROR_USAGE);
}

TEST_MAIN
