/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-image.h"
#include "sha256.h"
#include "test.h"

static const unsigned sector_sizes[] = { 512, 4096 };

TEST(layout_is_read_back_as_it_was_written)
{
        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++) {
                DiskLayout layout = image_layout(sector_sizes[i]);
                _cleanup_fd_ int fd = image_new(sector_sizes[i]);
                _cleanup_(disk_freep) Disk *disk = NULL;

                CHECK(fd >= 0);
                CHECK_OK(image_open(fd, &disk, NULL));
                CHECK_EQ(disk->sector_size_bytes, sector_sizes[i]);
                CHECK_EQ(disk->size_bytes, disk_layout_size(&layout));
                CHECK(!disk->is_block_device);
                CHECK(gpt_report_is_good(&disk->table));
                CHECK_MEM(disk->uuid, layout.disk_uuid, UUID_SIZE);
                for (unsigned role = 0; role < PARTITION_ROLE_MAX; role++) {
                        const Partition *partition = &disk->partitions[role];
                        Partition planned;

                        disk_layout_partition(&layout, (PartitionRole)role, &planned);
                        CHECK(partition->exists);
                        CHECK_EQ(partition->number, role + 1);
                        CHECK_EQ(partition->offset_bytes, planned.offset_bytes);
                        CHECK_EQ(partition->size_bytes, planned.size_bytes);
                        CHECK_EQ(partition->offset_bytes % MIB, 0);
                        CHECK_MEM(partition->uuid, layout.partition_uuids[role], UUID_SIZE);
                }
                CHECK_EQ(disk->partitions[PARTITION_ROOT_A_VERITY].size_bytes, MIB);
        }
}

TEST(layout_is_the_same_bytes_each_time)
{
        static const char *const pinned[] = {
                "75cbe03b7332ec0bfd72a0b40725f33340cf1175275a1abc35be96ec8798a3f8",
                "aff1b9377966c385962dd3d2332ed73a6bdfbbb521d50678ffbb9cf0095c4458",
        };

        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++) {
                DiskLayout layout = image_layout(sector_sizes[i]);
                _cleanup_fd_ int fd = image_new(sector_sizes[i]);
                char text[SHA256_HEX_SIZE];
                uint8_t hash[SHA256_SIZE];

                CHECK_OK(sha256_of_fd(fd, 0, disk_layout_size(&layout), hash));
                hex_encode(hash, sizeof(hash), text);
                CHECK_STR(text, pinned[i]);
        }
}

TEST(layouts_that_make_no_sense_are_refused)
{
        _cleanup_fd_ int fd = memfd_create("disk", MFD_CLOEXEC);
        DiskLayout layout = image_layout(1024);
        Error error = { 0 };
        uint64_t size = 1;

        CHECK_EQ(disk_layout_write(&layout, fd, &error), -EINVAL);
        CHECK_EQ(error.code, ERROR_CONFIG);
        layout = image_layout(512);
        layout.slot_size_bytes = 0;
        CHECK_EQ(disk_layout_check(&layout, NULL), -EINVAL);
        layout.slot_size_bytes = UINT64_MAX;
        CHECK_EQ(disk_layout_check(&layout, NULL), -EINVAL);
        layout = image_layout(512);
        layout.architecture = "z80";
        CHECK_EQ(disk_layout_check(&layout, NULL), -EINVAL);
        layout = image_layout(512);
        memcpy(layout.partition_uuids[3], layout.partition_uuids[1], UUID_SIZE);
        CHECK_EQ(disk_layout_check(&layout, NULL), -EINVAL);
        layout = image_layout(512);
        memset(layout.disk_uuid, 0, UUID_SIZE);
        CHECK_EQ(disk_layout_check(&layout, NULL), -EINVAL);
        CHECK_OK(fd_size(fd, &size));
        CHECK_EQ(size, 0);
}

TEST(partitions_of_an_image_open_at_their_offset)
{
        _cleanup_fd_ int fd = image_new(512);
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_extent_ Extent extent = { .fd = -1 };
        char byte = 'x';

        CHECK_OK(image_open(fd, &disk, NULL));
        CHECK_OK(disk_open_partition(disk, PARTITION_VAR, O_RDWR, &extent, NULL));
        CHECK_EQ(extent.offset_bytes, disk->partitions[PARTITION_VAR].offset_bytes);
        CHECK_EQ(extent.size_bytes, 4 * MIB);
        CHECK_OK(pwrite_full(extent.fd, &byte, 1, extent.offset_bytes));
}

/* One slot with a tree; the other empty. */
static int fill_slot(Disk *disk, SlotName slot, uint64_t blocks, uint8_t root_hash[static SHA256_SIZE])
{
        _cleanup_extent_ Extent data = { .fd = -1 }, hash = { .fd = -1 };
        VeritySuperblock superblock = { .data_blocks = blocks, .salt = { 1, 2 }, .salt_size = 2 };
        int r = disk_open_partition(disk, slot_data_role(slot), O_RDWR, &data, NULL);

        if (r >= 0)
                r = disk_open_partition(disk, slot_hash_role(slot), O_RDWR, &hash, NULL);
        if (r >= 0)
                r = verity_build(data.fd, data.offset_bytes, blocks * VERITY_BLOCK_SIZE, superblock.salt, 2,
                                hash.fd, hash.offset_bytes, root_hash, NULL, NULL, NULL);
        if (r < 0)
                return r;
        memcpy(superblock.uuid, root_hash, sizeof(superblock.uuid));
        return verity_superblock_write(hash.fd, hash.offset_bytes, &superblock);
}

TEST(slots_say_what_they_hold)
{
        _cleanup_fd_ int fd = image_new(512);
        _cleanup_(disk_freep) Disk *disk = NULL;
        uint8_t root_hash[SHA256_SIZE], other[SHA256_SIZE] = { 9 };
        SlotContent content;
        SlotName slot = SLOT_A;

        CHECK_OK(image_open(fd, &disk, NULL));
        CHECK_OK(slot_read(disk, SLOT_B, &content, NULL));
        CHECK(!content.is_valid);
        CHECK_OK(fill_slot(disk, SLOT_B, 200, root_hash));
        CHECK_OK(slot_read(disk, SLOT_B, &content, NULL));
        CHECK(content.is_valid);
        CHECK_EQ(content.data_size_bytes, 200 * 4096);
        CHECK_OK(slot_find(disk, root_hash, &slot));
        CHECK_EQ(slot, SLOT_B);
        CHECK_EQ(slot_find(disk, other, &slot), -ENOENT);
        CHECK_OK(fill_slot(disk, SLOT_A, 200, root_hash));
        CHECK_OK(slot_find(disk, root_hash, &slot));
        CHECK_EQ(slot, SLOT_A);
}

TEST(slot_whose_superblock_claims_more_than_the_partition_is_not_valid)
{
        _cleanup_fd_ int fd = image_new(512);
        _cleanup_(disk_freep) Disk *disk = NULL;
        VeritySuperblock superblock = { .data_blocks = 8 * MIB / 4096 + 1 };
        SlotContent content;

        CHECK_OK(image_open(fd, &disk, NULL));
        CHECK_OK(verity_superblock_write(
                        fd, disk->partitions[PARTITION_ROOT_A_VERITY].offset_bytes, &superblock));
        CHECK_OK(slot_read(disk, SLOT_A, &content, NULL));
        CHECK(!content.is_valid);
        superblock.data_blocks--;
        CHECK_OK(verity_superblock_write(
                        fd, disk->partitions[PARTITION_ROOT_A_VERITY].offset_bytes, &superblock));
        CHECK_OK(slot_read(disk, SLOT_A, &content, NULL));
        CHECK(content.is_valid);
}

TEST(disk_without_table_or_too_small_is_refused)
{
        static const off_t sizes[] = { 0, 1, 512, 1024, 4096, 1 << 20 };

        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                _cleanup_fd_ int fd = memfd_create("disk", MFD_CLOEXEC);
                _cleanup_(disk_freep) Disk *disk = NULL;
                Error error = { 0 };

                CHECK_OK(ftruncate(fd, sizes[i]));
                CHECK_EQ(image_open(fd, &disk, &error) < 0, true);
                CHECK_EQ(error.code, ERROR_CORRUPT);
        }
}

TEST(folders_and_missing_files_are_refused)
{
        Disk *disk = NULL;
        Error error = { 0 };

        CHECK_EQ(disk_open("/", &disk, &error), -EINVAL);
        CHECK_EQ(error.code, ERROR_USAGE);
        error_clear(&error);
        CHECK_EQ(disk_open("/no/such/disk", &disk, &error), -ENOENT);
        CHECK_EQ(disk_open("/dev/null", &disk, NULL), -EINVAL);
        CHECK(!disk);
}

TEST(either_copy_of_the_table_is_enough)
{
        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++)
                for (int copy = 0; copy < 2; copy++) {
                        unsigned sector = sector_sizes[i];
                        DiskLayout layout = image_layout(sector);
                        _cleanup_fd_ int fd = image_new(sector);
                        _cleanup_(disk_freep) Disk *disk = NULL;
                        uint64_t header_at = copy == 0 ? sector : disk_layout_size(&layout) - sector;

                        image_damage(fd, header_at + GPT_DISK_UUID_AT);
                        CHECK_OK(image_open(fd, &disk, NULL));
                        CHECK_EQ(disk->table.primary, copy == 0 ? GPT_COPY_DAMAGED : GPT_COPY_GOOD);
                        CHECK_EQ(disk->table.backup, copy == 1 ? GPT_COPY_DAMAGED : GPT_COPY_GOOD);
                        CHECK_MEM(disk->uuid, layout.disk_uuid, UUID_SIZE);
                        CHECK_EQ(disk->partitions[PARTITION_VAR].size_bytes, 4 * MIB);
                        image_damage(fd, copy == 1 ? sector : disk_layout_size(&layout) - sector);
                        disk = disk_free(disk);
                        CHECK_EQ(image_open(fd, &disk, NULL), -EBADMSG);
                }
}

TEST(reading_a_damaged_table_writes_nothing)
{
        _cleanup_fd_ int fd = image_new(512);
        _cleanup_(disk_freep) Disk *disk = NULL;
        uint8_t before[SHA256_SIZE], after[SHA256_SIZE];
        DiskLayout layout = image_layout(512);

        image_damage(fd, 512 + 70);
        CHECK_OK(sha256_of_fd(fd, 0, disk_layout_size(&layout), before));
        CHECK_OK(image_open(fd, &disk, NULL));
        CHECK_OK(sha256_of_fd(fd, 0, disk_layout_size(&layout), after));
        CHECK_MEM(before, after, SHA256_SIZE);
}

/* A rule that a table can break, both copies alike and with right checksums. */
typedef struct BrokenTable {
        const char *name;
        bool in_entries;
        size_t at, size;
        uint64_t value;
} BrokenTable;

#define ENTRY(role, member) ((size_t)(role)*GPT_ENTRY_SIZE + GPT_ENTRY_##member##_AT)

static const BrokenTable broken_tables[] = {
        { "partition-past-the-end", true, ENTRY(PARTITION_VAR, LAST), 8, 1 << 20 },
        { "partition-over-the-backup-table", true, ENTRY(PARTITION_VAR, LAST), 8, 26 * 2048 - 2 },
        { "partition-of-negative-size", true, ENTRY(PARTITION_VAR, LAST), 8, 2048 },
        { "partition-wraps-around", true, ENTRY(PARTITION_VAR, LAST), 8, UINT64_MAX },
        { "partition-begins-near-2-to-the-64", true, ENTRY(PARTITION_VAR, FIRST), 8, UINT64_MAX - 5 },
        { "partition-over-the-primary-table", true, ENTRY(PARTITION_ESP, FIRST), 8, 1 },
        { "partition-at-sector-0", true, ENTRY(PARTITION_ESP, FIRST), 8, 0 },
        { "partitions-overlap-by-one-sector", true, ENTRY(PARTITION_ROOT_A, FIRST), 8, 3 * 2048 - 1 },
        { "partition-inside-another", true, ENTRY(PARTITION_ROOT_B, FIRST), 8, 3 * 2048 + 8 },
        { "label-of-another-role", true, ENTRY(PARTITION_ROOT_B, NAME) + 10, 2, 'a' },
        { "label-unknown", true, ENTRY(PARTITION_ROOT_B, NAME) + 10, 2, 'c' },
        { "label-of-36-units-without-end", true, ENTRY(PARTITION_ROOT_B, NAME) + 12, 2, 0x20 },
        { "type-unknown", true, ENTRY(PARTITION_ESP, TYPE), 8, 0x1234 },
        { "type-of-verity-on-root", true, ENTRY(PARTITION_ROOT_A, TYPE), 4, 0x2c7357ed },
        { "header-size-huge", false, GPT_HEADER_SIZE_AT, 4, 0xffffffff },
        { "header-size-zero", false, GPT_HEADER_SIZE_AT, 4, 0 },
        { "revision-2", false, GPT_REVISION_AT, 4, 0x20000 },
        { "entry-size-zero", false, GPT_ENTRY_SIZE_AT, 4, 0 },
        { "entry-size-256", false, GPT_ENTRY_SIZE_AT, 4, 256 },
        { "entry-count-zero", false, GPT_ENTRY_COUNT_AT, 4, 0 },
        { "entry-count-huge", false, GPT_ENTRY_COUNT_AT, 4, 0xffffffff },
        { "entries-past-the-end", false, GPT_ENTRIES_LBA_AT, 8, UINT64_MAX - 10 },
        { "entries-over-the-header", false, GPT_ENTRIES_LBA_AT, 8, 1 },
        { "entries-in-the-usable-area", false, GPT_ENTRIES_LBA_AT, 8, 4096 },
        { "usable-area-upside-down", false, GPT_LAST_USABLE_AT, 8, 40 },
        { "usable-area-past-the-end", false, GPT_LAST_USABLE_AT, 8, UINT64_MAX },
        { "usable-area-holds-the-header", false, GPT_FIRST_USABLE_AT, 8, 1 },
        { "header-belongs-elsewhere", false, GPT_MY_LBA_AT, 8, 7 },
};

TEST(tables_that_break_a_rule_are_refused_and_the_rule_is_named)
{
        for (size_t i = 0; i < ELEMENTS(broken_tables); i++) {
                const BrokenTable *broken = &broken_tables[i];
                _cleanup_fd_ int fd = image_new(512);
                _cleanup_(disk_freep) Disk *disk = NULL;
                Error error = { 0 };
                uint8_t value[8];

                write_le64(value, broken->value);
                CHECK_OK(image_patch(fd, 512, broken->in_entries, broken->at, value, broken->size));
                if (image_open(fd, &disk, &error) >= 0)
                        TEST_FAIL("%s was accepted", broken->name);
                if (error.code != ERROR_CORRUPT)
                        TEST_FAIL("%s: code %s", broken->name, error_code_name(error.code));
                printf("# %s: %s\n", broken->name, strchr(error.message, ':') + 2);
        }
}

TEST(table_that_is_not_ours_names_what_is_missing)
{
        _cleanup_fd_ int fd = image_new(512);
        Disk *disk = NULL;
        Error error = { 0 };
        const uint8_t nil[16] = { 0 };

        CHECK_OK(image_patch(fd, 512, true, ENTRY(PARTITION_ROOT_B_VERITY, TYPE), nil, 16));
        CHECK_EQ(image_open(fd, &disk, &error), -EBADMSG);
        CHECK(strstr(error.message, "root-b-verity"));
}

TEST(disk_without_var_opens)
{
        _cleanup_fd_ int fd = image_new(512);
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_extent_ Extent extent = { .fd = -1 };
        const uint8_t nil[16] = { 0 };

        CHECK_OK(image_patch(fd, 512, true, ENTRY(PARTITION_VAR, TYPE), nil, 16));
        CHECK_OK(image_open(fd, &disk, NULL));
        CHECK(!disk->partitions[PARTITION_VAR].exists);
        CHECK_EQ(disk_open_partition(disk, PARTITION_VAR, O_RDONLY, &extent, NULL), -ENOENT);
}

TEST_MAIN
