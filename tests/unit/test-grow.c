/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-image.h"
#include "ext4-size.h"
#include "grow.h"
#include "partition-role.h"
#include "sha256.h"
#include "test.h"

#include <sys/sysmacros.h>

static const unsigned sector_sizes[] = { 512, 4096 };

static int grow(int fd, GrowResult *ret, Error *error)
{
        char path[64];

        return grow_disk(image_path(fd, path), ret, error);
}

static uint64_t image_size(int fd)
{
        uint64_t size = 0;

        (void)fd_size(fd, &size);
        return size;
}

TEST(var_takes_the_rest_of_a_larger_disk_and_then_nothing_changes)
{
        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++) {
                _cleanup_fd_ int fd = image_new(sector_sizes[i]);
                _cleanup_(disk_freep) Disk *disk = NULL;
                uint8_t before[SHA256_SIZE], after[SHA256_SIZE];
                GrowResult result;
                uint64_t size = image_size(fd) + 10 * MIB;

                CHECK_OK(ftruncate(fd, (off_t)size));
                CHECK_OK(grow(fd, &result, NULL));
                CHECK(result.table_written);
                CHECK_EQ(result.var_before_bytes, 4 * MIB);
                CHECK_EQ(result.var_after_bytes, 14 * MIB);
                CHECK_EQ(result.filesystem, GROW_FILESYSTEM_NONE);
                CHECK_OK(image_open(fd, &disk, NULL));
                CHECK(gpt_report_is_good(&disk->table));
                CHECK_OK(sha256_of_fd(fd, 0, size, before));
                CHECK_OK(grow(fd, &result, NULL));
                CHECK(!result.table_written);
                CHECK_EQ(result.var_before_bytes, result.var_after_bytes);
                CHECK_OK(sha256_of_fd(fd, 0, size, after));
                CHECK_MEM(before, after, SHA256_SIZE);
        }
}

TEST(disk_that_grew_by_less_than_a_mib_only_moves_its_backup)
{
        _cleanup_fd_ int fd = image_new(512);
        GrowResult result;

        CHECK_OK(ftruncate(fd, (off_t)(image_size(fd) + 8 * 512)));
        CHECK_OK(grow(fd, &result, NULL));
        CHECK(result.table_written);
        CHECK_EQ(result.var_after_bytes, 4 * MIB);
        CHECK_OK(grow(fd, &result, NULL));
        CHECK(!result.table_written);
}

TEST(partition_behind_var_stops_growth)
{
        _cleanup_fd_ int fd = image_new(512);
        uint8_t entry[GPT_ENTRY_SIZE] = { [0] = 0x11, [GPT_ENTRY_UUID_AT] = 0x22 };
        uint64_t first = 26 * 2048;
        GrowResult result;
        Error error = { 0 };

        CHECK_OK(ftruncate(fd, (off_t)(image_size(fd) + 10 * MIB)));
        CHECK_OK(grow(fd, &result, NULL)); /* so that the table has room */
        write_le64(entry + GPT_ENTRY_FIRST_AT, 34 * 2048);
        write_le64(entry + GPT_ENTRY_LAST_AT, 35 * 2048);
        CHECK_OK(image_patch(fd, 512, true, GPT_ENTRY_SIZE * PARTITION_VAR + GPT_ENTRY_LAST_AT,
                        &(uint64_t){ first - 1 }, 8));
        CHECK_OK(image_patch(fd, 512, true, GPT_ENTRY_SIZE * PARTITION_ROLE_MAX, entry, sizeof(entry)));
        CHECK_EQ(grow(fd, &result, &error), -EEXIST);
        CHECK(strstr(error.message, "behind var"));
}

/* Made by whoever made the image, not by us. */
TEST(disk_below_a_mib_does_not_wrap_around)
{
        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++) {
                uint64_t sectors = MIB / sector_sizes[i] - 1;
                uint8_t entries[4 * GPT_ENTRY_SIZE] = { 0 };
                Gpt gpt = { .sector_size_bytes = sector_sizes[i],
                        .disk_sectors = sectors,
                        .first_usable_lba = 10,
                        .last_usable_lba = 20,
                        .primary_entries_lba = 2,
                        .entry_count = 4,
                        .entries = entries,
                        .report = { .primary = GPT_COPY_GOOD, .backup = GPT_COPY_GOOD } };
                GptEntry var = { .uuid = { 1 }, .first_lba = 10, .last_lba = 12, .name = "var" };
                bool needed = false;

                CHECK_OK(uuid_parse(partition_role_type(PARTITION_VAR, "x86-64"), var.type));
                CHECK_OK(gpt_put(&gpt, 0, &var));
                CHECK_OK(grow_table(&gpt, &needed, NULL));
                CHECK(gpt_get(&gpt, 0, &var));
                CHECK_EQ(var.last_lba, 12);
                CHECK(gpt.last_usable_lba < sectors);
                CHECK_OK(gpt_check(&gpt, NULL));
        }
}

TEST(disk_without_var_does_not_grow)
{
        _cleanup_fd_ int fd = image_new(512);
        const uint8_t nil[16] = { 0 };
        GrowResult result;

        CHECK_OK(image_patch(fd, 512, true, GPT_ENTRY_SIZE * PARTITION_VAR, nil, 16));
        CHECK_EQ(grow(fd, &result, NULL), -ENOENT);
}

TEST(growing_mends_a_damaged_copy_from_the_other)
{
        for (int copy = 0; copy < 2; copy++) {
                _cleanup_fd_ int fd = image_new(512);
                _cleanup_(disk_freep) Disk *disk = NULL;
                GrowResult result;

                image_damage(fd, copy == 0 ? 512 + 60 : image_size(fd) - 512 + 60);
                CHECK_OK(grow(fd, &result, NULL));
                CHECK(result.table_written);
                CHECK_OK(image_open(fd, &disk, NULL));
                CHECK(gpt_report_is_good(&disk->table));
        }
}

/* What a power cut leaves: every sector that growth writes, in the order of its flushes, is there or not.
 * The writes of one flush interval are tried in all prefixes, forwards and backwards. */
typedef struct Cut {
        uint8_t *before, *after; /* whole disk */
        uint64_t size;
} Cut;

typedef struct Region {
        uint64_t first, count; /* sectors */
} Region;

static int check_cut(const Cut *cut, const uint8_t *state, uint64_t old_var, uint64_t new_var)
{
        _cleanup_fd_ int fd = memfd_create("disk", MFD_CLOEXEC);
        _cleanup_(disk_freep) Disk *disk = NULL;
        GrowResult result;
        uint64_t found;
        int r = ftruncate(fd, (off_t)cut->size) < 0 ? -errno : 0;

        /* The tables, and for speed nothing between them. */
        if (r >= 0)
                r = pwrite_full(fd, state, MIB, 0);
        if (r >= 0)
                r = pwrite_full(fd, state + cut->size - MIB, MIB, cut->size - MIB);
        if (r >= 0)
                r = image_open(fd, &disk, NULL);
        if (r < 0)
                return r;
        found = disk->partitions[PARTITION_VAR].size_bytes;
        if (found != old_var && found != new_var)
                return -EBADMSG;
        r = grow(fd, &result, NULL);
        if (r < 0)
                return r;
        disk = disk_free(disk);
        r = image_open(fd, &disk, NULL);
        if (r < 0)
                return r;
        return gpt_report_is_good(&disk->table) && disk->partitions[PARTITION_VAR].size_bytes == new_var
                               ? 0
                               : -EILSEQ;
}

static void copy_sector(const Cut *cut, uint8_t *state, uint64_t sector)
{
        memcpy(state + sector * 512, cut->after + sector * 512, 512);
}

/* All prefixes of one flush interval; leaves the interval fully applied. */
static int cut_interval(const Cut *cut, uint8_t *state, Region region, uint64_t old_var, uint64_t new_var)
{
        _cleanup_free_ uint8_t *backwards = malloc(cut->size);
        int r = 0;

        if (!backwards)
                return -ENOMEM;
        memcpy(backwards, state, cut->size);
        for (uint64_t i = 0; r >= 0 && i < region.count; i++) {
                copy_sector(cut, state, region.first + i);
                copy_sector(cut, backwards, region.first + region.count - 1 - i);
                r = check_cut(cut, state, old_var, new_var);
                if (r >= 0)
                        r = check_cut(cut, backwards, old_var, new_var);
        }
        return r;
}

static int try_all_cuts(uint64_t more_bytes, uint64_t new_var)
{
        _cleanup_fd_ int fd = image_new(512);
        _cleanup_free_ uint8_t *before = NULL, *after = NULL, *state = NULL;
        GrowResult result;
        Cut cut = { .size = image_size(fd) + more_bytes };
        const Region order[] = { { cut.size / 512 - 33, 33 }, { 1, 33 }, { 0, 1 } };
        int r;

        cut.before = before = malloc(cut.size);
        cut.after = after = malloc(cut.size);
        state = malloc(cut.size);
        if (!before || !after || !state || ftruncate(fd, (off_t)cut.size) < 0)
                return -ENOMEM;
        r = pread_full(fd, before, cut.size, 0);
        if (r >= 0)
                r = grow(fd, &result, NULL);
        if (r >= 0)
                r = pread_full(fd, after, cut.size, 0);
        if (r < 0)
                return r;
        memcpy(state, before, cut.size);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(order); i++)
                r = cut_interval(&cut, state, order[i], 4 * MIB, new_var);
        if (r < 0)
                return r;
        /* Nothing was written that the three intervals do not cover. */
        return memcmp(state, after, cut.size) == 0 ? 0 : -ERANGE;
}

TEST(power_cut_at_any_sector_of_growth_leaves_a_table_and_growth_goes_on)
{
        CHECK_OK(try_all_cuts(10 * MIB, 14 * MIB));
}

/* The new backup then overwrites the old one. */
TEST(power_cut_is_survived_when_old_and_new_backup_overlap)
{
        CHECK_OK(try_all_cuts(9 * 512, 4 * MIB));
}

TEST(size_of_ext4_is_read)
{
        static const struct {
                const char *name;
                uint32_t log_size, low, high, incompat;
                uint16_t magic;
                int result;
                uint64_t blocks;
        } cases[] = {
                { "small", 2, 1000, 0, 0x40, 0xef53, 0, 1000 },
                { "high-bits-ignored-without-64bit", 2, 1000, 5, 0x40, 0xef53, 0, 1000 },
                { "64bit", 2, 1000, 5, 0xc0, 0xef53, 0, UINT64_C(5) << 32 | 1000 },
                { "no-magic", 2, 1000, 0, 0x40, 0xef54, -ENODATA, 0 },
                { "ext3", 2, 1000, 0, 0, 0xef53, -ENODATA, 0 },
                { "block-size-huge", 7, 1000, 0, 0x40, 0xef53, -EBADMSG, 0 },
                { "no-blocks", 2, 0, 0, 0x40, 0xef53, -EBADMSG, 0 },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_fd_ int fd = memfd_create("ext4", MFD_CLOEXEC);
                uint8_t superblock[1024] = { 0 };
                Ext4Size size = { 0 };

                write_le32(superblock + 4, cases[i].low);
                write_le32(superblock + 24, cases[i].log_size);
                write_le16(superblock + 56, cases[i].magic);
                write_le32(superblock + 96, cases[i].incompat);
                write_le32(superblock + 336, cases[i].high);
                CHECK_OK(pwrite_full(fd, superblock, sizeof(superblock), MIB + 1024));
                if (ext4_size_read(fd, MIB, &size) != cases[i].result || size.blocks != cases[i].blocks)
                        TEST_FAIL("%s: %ju blocks", cases[i].name, (uintmax_t)size.blocks);
        }
}

TEST(mount_points_are_found_and_unescaped)
{
        static const char text[] = "22 1 253:0 / / ro - erofs /dev/dm-0 ro\n"
                                   "30 22 254:6 /lib /opt rw - ext4 /dev/vda6 rw\n"
                                   "31 22 254:6 / /mnt/a\\040b\\134 rw,nosuid shared:1 - ext4 /dev/vda6 rw\n"
                                   "nonsense\n";
        _cleanup_free_ char *path = NULL;

        CHECK_OK(mount_point_in(text, makedev(254, 6), &path));
        CHECK_STR(path, "/mnt/a b\\");
        CHECK_EQ(mount_point_in(text, makedev(254, 7), &path), -ENOENT);
        CHECK_EQ(mount_point_in("", makedev(254, 7), &path), -ENOENT);
}

TEST_MAIN
