/* SPDX-License-Identifier: Apache-2.0 */
/* The medium of an installer, and what is installed from it. */
#include "disk-image.h"
#include "install-check.h"
#include "medium.h"
#include "sha256.h"
#include "test.h"

#define ESP_SIZE (3 * MIB)
#define DISK_END (25 * MIB) /* of the last partition of image_layout() */

static void fill(int fd, uint64_t at, uint64_t size, int byte)
{
        _cleanup_free_ uint8_t *bytes = malloc(size);

        memset(bytes, byte, size);
        (void)pwrite_full(fd, bytes, size, at);
}

/* A medium of the small disk: its ESP full of 5, that for large sectors of 4, slot A of 1. */
static int medium_new(MediumPlan *plan)
{
        const uint8_t uuids[3][UUID_SIZE] = { { 1 }, { 2 }, { 3 } };
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        _cleanup_fd_ int fd = image_new(512);

        if (fd < 0 || gpt_read(fd, 512, &gpt, NULL) < 0 || medium_plan(gpt, ESP_SIZE, plan, NULL) < 0 ||
                        ftruncate(fd, (off_t)plan->size_bytes) < 0)
                return -1;
        fill(fd, 0, MIB, 0);
        fill(fd, DISK_END, MIB, 0);
        fill(fd, MIB, 2 * MIB, 5);
        fill(fd, 3 * MIB, 8 * MIB, 1);
        fill(fd, plan->target_esp_4096_at, plan->target_esp_size_bytes, 4);
        fill(fd, plan->esp_at, ESP_SIZE, 7);
        fill(fd, plan->esp_at_4096, ESP_SIZE, 8);
        memset(gpt->disk_uuid, 0x77, UUID_SIZE);
        return medium_write_tables(fd, gpt, plan, uuids, NULL) < 0 ? -1 : TAKE_FD(fd);
}

static int install(int image, int target, unsigned sector_size, Error *error)
{
        _cleanup_(install_target_freep) InstallTarget *look = NULL;
        char image_name[64], target_name[64];
        InstallResult result;
        int r = install_target_look(image_path(target, target_name), &look, error);

        if (r < 0)
                return r;
        look->sector_size_bytes = sector_size;
        return install_image(image_path(image, image_name), look, NULL, &result, error);
}

static int target_new(uint64_t size)
{
        int fd = memfd_create("target", MFD_CLOEXEC);

        fill(fd, 0, size, 0xdd);
        return fd;
}

/* Every byte of the range is this one. */
static bool holds(int fd, uint64_t at, uint64_t size, uint8_t byte)
{
        _cleanup_free_ uint8_t *bytes = malloc(size);

        return pread_full(fd, bytes, size, at) >= 0 && bytes[0] == byte &&
               memcmp(bytes, bytes + 1, size - 1) == 0;
}

TEST(a_medium_has_a_whole_table_for_either_size_of_sectors)
{
        static const unsigned sector_sizes[] = { 512, 4096 };
        MediumPlan plan;
        _cleanup_fd_ int medium = medium_new(&plan);

        CHECK(medium >= 0);
        CHECK_EQ(plan.size_bytes % MIB, 0);
        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++) {
                uint64_t esp_at = sector_sizes[i] == 512 ? plan.esp_at : plan.esp_at_4096;
                _cleanup_(gpt_freep) Gpt *gpt = NULL;
                GptEntry esp, own;
                unsigned number;

                CHECK_OK(gpt_read(medium, sector_sizes[i], &gpt, NULL));
                CHECK_EQ(gpt->report.primary, GPT_COPY_GOOD);
                CHECK_EQ(gpt->report.backup, GPT_COPY_GOOD);
                CHECK(gpt->report.has_protective_mbr);
                CHECK_OK(gpt_check(gpt, NULL));
                CHECK(medium_is(gpt));
                CHECK_OK(medium_find_esp(gpt, &number, &own));
                CHECK_EQ(own.first_lba * sector_sizes[i], esp_at);
                CHECK_EQ(own.uuid[0], i + 1);
                CHECK_EQ(number, 8);
                /* Firmware sees one ESP and no other file system that it could read. */
                CHECK(gpt_get(gpt, 0, &esp));
                CHECK_STR(esp.name, "esp");
                CHECK_EQ(esp.flags, GPT_FLAG_NO_BLOCK_IO);
                CHECK(gpt_get(gpt, 6, &esp));
                CHECK_STR(esp.name, MEDIUM_ESP_4096_NAME);
                CHECK_EQ(esp.flags, GPT_FLAG_NO_BLOCK_IO);
                CHECK_EQ(own.flags, 0);
        }
}

TEST(a_medium_is_written_as_ever)
{
        MediumPlan plan;
        _cleanup_fd_ int medium = medium_new(&plan);
        uint8_t hash[SHA256_SIZE];
        char hex[SHA256_HEX_SIZE];

        CHECK(medium >= 0);
        CHECK_OK(sha256_of_fd(medium, 0, plan.size_bytes, hash));
        hex_encode(hash, sizeof(hash), hex);
        CHECK_STR(hex, "2c3e16729f7a3835e710f97834dbdbe0933c71519afa0174915708d857ad610b");
}

TEST(what_is_installed_has_the_sectors_of_its_disk_and_the_esp_for_them)
{
        static const unsigned sector_sizes[] = { 512, 4096 };
        MediumPlan plan;
        _cleanup_fd_ int medium = medium_new(&plan);

        CHECK(medium >= 0);
        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++) {
                _cleanup_fd_ int target = target_new(48 * MIB);
                _cleanup_(disk_freep) Disk *disk = NULL;
                _cleanup_(gpt_freep) Gpt *gpt = NULL;
                DiskLayout layout = image_layout(512);
                GptEntry entry;

                CHECK_OK(image_seal(medium));
                CHECK_OK(install(medium, target, sector_sizes[i], NULL));
                CHECK_OK(image_open(target, &disk, NULL));
                CHECK(gpt_report_is_good(&disk->table));
                CHECK_EQ(disk->sector_size_bytes, sector_sizes[i]);
                for (unsigned role = 0; role < PARTITION_VAR; role++) {
                        Partition wanted;

                        disk_layout_partition(&layout, (PartitionRole)role, &wanted);
                        CHECK_EQ(disk->partitions[role].offset_bytes, wanted.offset_bytes);
                        CHECK_EQ(disk->partitions[role].size_bytes, wanted.size_bytes);
                        CHECK_EQ(disk->partitions[role].number, wanted.number);
                }
                CHECK_EQ(disk->partitions[PARTITION_VAR].size_bytes, 26 * MIB);
                CHECK(holds(target, MIB, 2 * MIB, sector_sizes[i] == 512 ? 5 : 4));
                CHECK(holds(target, 3 * MIB, 8 * MIB, 1));
                CHECK(holds(target, 12 * MIB, 13 * MIB, 0));
                /* Nothing of the medium's own, and firmware sees the ESP. */
                CHECK_OK(gpt_read(target, 0, &gpt, NULL));
                CHECK(!medium_is(gpt));
                CHECK(gpt_get(gpt, 0, &entry));
                CHECK_EQ(entry.flags, 0);
                CHECK(!gpt_get(gpt, PARTITION_ROLE_MAX, &entry));
        }
}

TEST(what_does_not_fit_is_refused)
{
        static const unsigned shorter_by = 8;
        _cleanup_fd_ int plain = image_new(512), large = target_new(48 * MIB), small = target_new(25 * MIB);
        MediumPlan plan;
        _cleanup_fd_ int medium = medium_new(&plan);
        Error error = { 0 };
        uint8_t last[8];

        CHECK(medium >= 0);
        CHECK_EQ(install(plain, large, 4096, &error), -ENOTSUP);
        CHECK_EQ(error.code, ERROR_INCOMPATIBLE);
        error_clear(&error);
        CHECK_EQ(install(medium, small, 4096, &error), -ENOSPC);
        CHECK_EQ(error.code, ERROR_NO_SPACE);
        error_clear(&error);
        /* esp-4096, entry 7, is not as large as the ESP that it stands for. */
        write_le64(last, (plan.target_esp_4096_at + plan.target_esp_size_bytes) / 512 - 1 - shorter_by);
        {
                _cleanup_(gpt_freep) Gpt *gpt = NULL;

                CHECK_OK(gpt_read(medium, 512, &gpt, NULL));
                gpt_set_last_lba(gpt, 6, read_le64(last));
                gpt->disk_sectors = plan.size_bytes / 512;
                gpt->last_usable_lba = gpt_last_usable_lba(gpt, gpt->disk_sectors);
                CHECK_OK(gpt_write(medium, gpt, NULL));
        }
        CHECK_EQ(install(medium, large, 512, &error), -EBADMSG);
        CHECK_EQ(error.code, ERROR_CORRUPT);
        CHECK(holds(large, 0, MIB, 0xdd) && holds(small, 0, MIB, 0xdd));
}

TEST(a_copy_of_the_medium_is_no_target)
{
        MediumPlan plan;
        _cleanup_fd_ int medium = medium_new(&plan), copy = medium_new(&plan), disk = target_new(48 * MIB);
        Error error = { 0 };

        CHECK(medium >= 0 && copy >= 0);
        CHECK_OK(image_seal(medium));
        CHECK_OK(ftruncate(copy, 64 * MIB)); /* as on a larger stick */
        CHECK_EQ(install(medium, copy, 512, &error), -EPERM);
        CHECK_EQ(error.code, ERROR_REFUSED);
        CHECK(strstr(error.message, "a copy of it"));
        CHECK(holds(copy, plan.esp_at, ESP_SIZE, 7));
        CHECK_OK(install(medium, disk, 512, NULL));
}

/* What an unattended start from a forgotten medium meets. */
enum {
        INSTALLED,
        UPDATED,
        EMPTY_SLOTS,
        LARGE_SECTORS,
        RENAMED,
        TWICE,
        BACKUP_ONLY,
        NO_MBR,
        LOST,
        OVERLAP,
        BOTH_SIZES,
        FOREIGN,
        BLANK,
        WAYS
};

static int patch_entries(int disk, unsigned way)
{
        static const uint8_t unused[(PARTITION_ROLE_MAX - 1) * GPT_ENTRY_SIZE];
        static const uint8_t inside_esp[8] = { 0, 9 };

        switch (way) {
        case RENAMED:
                return image_patch(disk, 512, true, GPT_ENTRY_SIZE + GPT_ENTRY_NAME_AT, "X", 1);
        case TWICE: /* root-b becomes root-a */
                return image_patch(disk, 512, true, 3 * GPT_ENTRY_SIZE + GPT_ENTRY_NAME_AT + 10, "a", 1);
        case OVERLAP:
                return image_patch(disk, 512, true, GPT_ENTRY_SIZE + GPT_ENTRY_FIRST_AT, inside_esp,
                                sizeof(inside_esp));
        case FOREIGN: /* an ESP, with the very label, and nothing else */
                return image_patch(disk, 512, true, GPT_ENTRY_SIZE, unused, sizeof(unused));
        default:
                return 0;
        }
}

static int met_disk(unsigned way)
{
        VeritySuperblock superblock = { .uuid = { (uint8_t)way }, .data_blocks = 8, .salt_size = 1 };
        bool is_large = way == LARGE_SECTORS || way == BOTH_SIZES;
        _cleanup_fd_ int disk = way == BLANK ? target_new(26 * MIB) : image_new(is_large ? 4096 : 512);
        int r = disk < 0 ? -EIO : patch_entries(disk, way);

        if (r >= 0 && way != EMPTY_SLOTS && way != BLANK)
                r = verity_superblock_write(disk, 11 * MIB, &superblock);
        if (r >= 0 && way == UPDATED)
                r = verity_superblock_write(disk, 20 * MIB, &superblock);
        if (way == BACKUP_ONLY || way == LOST)
                image_damage(disk, 512 + GPT_HEADER_CRC_AT);
        if (way == LOST)
                image_damage(disk, 26 * MIB - 512 + GPT_HEADER_CRC_AT);
        if (way == NO_MBR)
                fill(disk, 0, 512, 0);
        if (r >= 0 && way == BOTH_SIZES)
                r = pwrite_full(disk, GPT_MAGIC, GPT_MAGIC_SIZE, 512);
        return r < 0 ? r : TAKE_FD(disk);
}

TEST(the_disk_of_a_host_is_left_alone_whatever_it_holds)
{
        static const struct {
                const char *name;
                ErrorCode code;
        } ways[WAYS] = {
                [INSTALLED] = { "installed", ERROR_NOTHING_TO_DO },
                [UPDATED] = { "updated", ERROR_NOTHING_TO_DO },
                [EMPTY_SLOTS] = { "empty slots", ERROR_NOTHING_TO_DO },
                [LARGE_SECTORS] = { "with large sectors", ERROR_NOTHING_TO_DO },
                [RENAMED] = { "with a label of its own", ERROR_NOTHING_TO_DO },
                [TWICE] = { "with a role there twice", ERROR_NOTHING_TO_DO },
                [BACKUP_ONLY] = { "cut off before the primary table", ERROR_REFUSED },
                [NO_MBR] = { "without protective MBR", ERROR_REFUSED },
                [LOST] = { "both tables damaged", ERROR_REFUSED },
                [OVERLAP] = { "with partitions that overlap", ERROR_REFUSED },
                [BOTH_SIZES] = { "under a damaged table for other sectors", ERROR_REFUSED },
                [FOREIGN] = { "a table that is not ours", 0 },
                [BLANK] = { "blank", 0 },
        };

        for (unsigned way = 0; way < WAYS; way++) {
                _cleanup_(install_target_freep) InstallTarget *look = NULL;
                _cleanup_fd_ int disk = met_disk(way);
                char path[64];
                Error error = { 0 };

                CHECK_OK(disk);
                CHECK_OK(install_target_look(image_path(disk, path), &look, NULL));
                (void)install_refuse_host(look, &error);
                if (error.code != ways[way].code)
                        TEST_FAIL("%s: %s: %s", ways[way].name, error_code_name(error.code), error.message);
                if (ways[way].code && !strstr(error.message, "Reinstall=yes"))
                        TEST_FAIL("%s: %s", ways[way].name, error.message);
        }
}

TEST(what_came_in_the_place_of_a_blank_disk_is_not_overwritten)
{
        _cleanup_(install_target_freep) InstallTarget *look = NULL;
        _cleanup_fd_ int blank = met_disk(BLANK), other = met_disk(BLANK);
        char path[64];
        Error error = { 0 };

        CHECK_OK(install_target_look(image_path(blank, path), &look, NULL));
        CHECK_OK(install_refuse_host(look, NULL));
        CHECK(dup2(other, blank) >= 0);
        CHECK_EQ(install_refuse_host(look, &error), -ESTALE);
        CHECK_EQ(error.code, ERROR_REFUSED);
}

TEST_MAIN
