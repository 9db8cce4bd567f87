/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-image.h"
#include "sha256.h"
#include "test.h"

static const unsigned sector_sizes[] = { 512, 4096 };

TEST(crc_of_the_standard_vector)
{
        CHECK_EQ(gpt_crc32("123456789", 9), 0xcbf43926);
        CHECK_EQ(gpt_crc32("", 0), 0);
}

TEST(uuids_change_their_order_and_back)
{
        uint8_t uuid[UUID_SIZE], swapped[UUID_SIZE];

        CHECK_OK(uuid_parse("00010203-0405-0607-0809-0a0b0c0d0e0f", uuid));
        gpt_uuid_swap(uuid, swapped);
        CHECK_MEM(swapped, "\x03\x02\x01\x00\x05\x04\x07\x06\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", UUID_SIZE);
        gpt_uuid_swap(swapped, swapped);
        CHECK_MEM(swapped, uuid, UUID_SIZE);
}

TEST(agrees_with_libfdisk_on_what_it_wrote)
{
        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++) {
                DiskLayout layout = image_layout(sector_sizes[i]);
                _cleanup_fd_ int fd = image_new(sector_sizes[i]);
                _cleanup_(gpt_freep) Gpt *gpt = NULL;
                GptEntry entry;

                CHECK_OK(gpt_read(fd, 0, &gpt, NULL));
                CHECK_OK(gpt_check(gpt, NULL));
                CHECK(gpt_report_is_good(&gpt->report));
                CHECK_EQ(gpt->last_usable_lba, gpt_last_usable_lba(gpt, gpt->disk_sectors));
                for (unsigned role = 0; role < PARTITION_ROLE_MAX; role++) {
                        Partition planned;

                        disk_layout_partition(&layout, (PartitionRole)role, &planned);
                        CHECK(gpt_get(gpt, role, &entry));
                        CHECK_STR(entry.name, partition_role_name((PartitionRole)role));
                        CHECK_EQ(entry.first_lba * sector_sizes[i], planned.offset_bytes);
                        CHECK_EQ((entry.last_lba + 1 - entry.first_lba) * sector_sizes[i],
                                        planned.size_bytes);
                        CHECK_MEM(entry.uuid, planned.uuid, UUID_SIZE);
                }
                CHECK(!gpt_get(gpt, PARTITION_ROLE_MAX, &entry));
                CHECK(!gpt_get(gpt, 4000000000, &entry));
        }
}

TEST(writing_what_was_read_changes_no_byte)
{
        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++) {
                DiskLayout layout = image_layout(sector_sizes[i]);
                _cleanup_fd_ int fd = image_new(sector_sizes[i]);
                _cleanup_(gpt_freep) Gpt *gpt = NULL;
                uint8_t before[SHA256_SIZE], after[SHA256_SIZE];

                CHECK_OK(sha256_of_fd(fd, 0, disk_layout_size(&layout), before));
                CHECK_OK(gpt_read(fd, 0, &gpt, NULL));
                CHECK_OK(gpt_write(fd, gpt, NULL));
                CHECK_OK(sha256_of_fd(fd, 0, disk_layout_size(&layout), after));
                CHECK_MEM(before, after, SHA256_SIZE);
        }
}

/* Where a copy can be hurt: offset of a byte, and the state that this must give. */
typedef struct Wound {
        const char *name;
        bool in_backup;
        size_t at; /* from the header; GPT_HEADER_SIZE and more: of the entries */
        GptCopyState state;
} Wound;

#define IN_ENTRIES 512

static const Wound wounds[] = {
        { "primary-signature", false, 0, GPT_COPY_ABSENT },
        { "primary-checksum", false, GPT_HEADER_CRC_AT, GPT_COPY_DAMAGED },
        { "primary-number", false, GPT_LAST_USABLE_AT, GPT_COPY_DAMAGED },
        { "primary-first-entry", false, IN_ENTRIES, GPT_COPY_DAMAGED },
        { "primary-last-entry", false, IN_ENTRIES + 128 * 128 - 1, GPT_COPY_DAMAGED },
        { "backup-signature", true, 3, GPT_COPY_ABSENT },
        { "backup-checksum", true, GPT_HEADER_CRC_AT + 3, GPT_COPY_DAMAGED },
        { "backup-disk-uuid", true, GPT_DISK_UUID_AT, GPT_COPY_DAMAGED },
        { "backup-first-entry", true, IN_ENTRIES, GPT_COPY_DAMAGED },
};

static uint64_t wound_offset(int fd, unsigned sector, const Wound *wound)
{
        uint64_t size = 0;

        (void)fd_size(fd, &size);
        if (wound->at < IN_ENTRIES)
                return (wound->in_backup ? size - sector : sector) + wound->at;
        return (wound->in_backup ? size - sector - (uint64_t)128 * 128 : (uint64_t)2 * sector) + wound->at -
               IN_ENTRIES;
}

TEST(each_wound_is_seen_and_mended_from_the_other_copy)
{
        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++)
                for (size_t j = 0; j < ELEMENTS(wounds); j++) {
                        unsigned sector = sector_sizes[i];
                        DiskLayout layout = image_layout(sector);
                        _cleanup_fd_ int fd = image_new(sector);
                        _cleanup_(gpt_freep) Gpt *gpt = NULL;
                        uint8_t before[SHA256_SIZE], after[SHA256_SIZE];

                        CHECK_OK(sha256_of_fd(fd, 0, disk_layout_size(&layout), before));
                        image_damage(fd, wound_offset(fd, sector, &wounds[j]));
                        CHECK_OK(gpt_read(fd, 0, &gpt, NULL));
                        if (wounds[j].state !=
                                        (wounds[j].in_backup ? gpt->report.backup : gpt->report.primary))
                                TEST_FAIL("%s: primary %s, backup %s", wounds[j].name,
                                                gpt_copy_state_name(gpt->report.primary),
                                                gpt_copy_state_name(gpt->report.backup));
                        CHECK(!gpt_report_is_good(&gpt->report));
                        /* libfdisk aligns the first usable sector; the backup alone tells it as well. */
                        CHECK_OK(gpt_write(fd, gpt, NULL));
                        CHECK_OK(sha256_of_fd(fd, 0, disk_layout_size(&layout), after));
                        CHECK_MEM(before, after, SHA256_SIZE);
                }
}

TEST(protective_mbr_is_mended_and_boot_code_stays)
{
        _cleanup_fd_ int fd = image_new(512);
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        uint8_t before[512], after[512], nothing[66] = { 0 };

        CHECK_OK(pwrite_full(fd, "boot code", 9, 0));
        CHECK_OK(pread_full(fd, before, sizeof(before), 0));
        CHECK_OK(pwrite_full(fd, nothing, sizeof(nothing), MBR_ENTRY_AT));
        CHECK_OK(gpt_read(fd, 0, &gpt, NULL));
        CHECK(!gpt->report.has_protective_mbr);
        CHECK_OK(gpt_write(fd, gpt, NULL));
        CHECK_OK(pread_full(fd, after, sizeof(after), 0));
        CHECK_MEM(before, after, sizeof(before));
}

TEST(disk_that_has_grown_has_its_backup_astray)
{
        DiskLayout layout = image_layout(512);
        _cleanup_fd_ int fd = image_new(512);
        _cleanup_(gpt_freep) Gpt *gpt = NULL;

        CHECK_OK(ftruncate(fd, (off_t)(disk_layout_size(&layout) + 10 * MIB)));
        CHECK_OK(gpt_read(fd, 0, &gpt, NULL));
        CHECK_EQ(gpt->report.primary, GPT_COPY_GOOD);
        CHECK_EQ(gpt->report.backup, GPT_COPY_ASTRAY);
        CHECK(gpt->report.has_protective_mbr);
        CHECK(!gpt->report.has_right_mbr_size);
        CHECK(gpt->report.backup_agrees);
        CHECK_OK(gpt_write(fd, gpt, NULL));
        gpt = gpt_free(gpt);
        CHECK_OK(gpt_read(fd, 0, &gpt, NULL));
        CHECK(gpt_report_is_good(&gpt->report));
        CHECK(gpt->report.backup_agrees);
}

TEST(disk_that_shrank_below_its_partitions_cannot_be_written)
{
        DiskLayout layout = image_layout(512);
        _cleanup_fd_ int fd = image_new(512);
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        Error error = { 0 };

        CHECK_OK(ftruncate(fd, (off_t)(disk_layout_size(&layout) - MIB)));
        CHECK_EQ(gpt_read(fd, 0, &gpt, &error), -EBADMSG);
        CHECK(strstr(error.message, "usable area does not lie on the disk"));
}

TEST(copies_that_differ_are_told)
{
        _cleanup_fd_ int fd = image_new(512);
        _cleanup_(gpt_freep) Gpt *gpt = NULL, *other = NULL;
        _cleanup_fd_ int second = image_new(512);
        uint8_t sector[512], uuid[UUID_SIZE] = { 7 };
        uint64_t size;

        CHECK_OK(gpt_read(second, 0, &other, NULL));
        memcpy(other->disk_uuid, uuid, UUID_SIZE);
        CHECK_OK(gpt_write(second, other, NULL));
        CHECK_OK(fd_size(fd, &size));
        CHECK_OK(pread_full(second, sector, sizeof(sector), size - 512));
        CHECK_OK(pwrite_full(fd, sector, sizeof(sector), size - 512));
        CHECK_OK(gpt_read(fd, 0, &gpt, NULL));
        CHECK_EQ(gpt->report.backup, GPT_COPY_ASTRAY);
        CHECK(!gpt->report.backup_agrees);
        CHECK_EQ(gpt->disk_uuid[0], 0xd0);
        /* The same on a larger disk, where the backup of an older image lies where this one says. */
        CHECK_OK(ftruncate(fd, (off_t)(size + 10 * MIB)));
        gpt = gpt_free(gpt);
        CHECK_OK(gpt_read(fd, 0, &gpt, NULL));
        CHECK_EQ(gpt->report.backup, GPT_COPY_ASTRAY);
        CHECK(!gpt->report.backup_agrees);
}

TEST(names_of_any_kind_become_text)
{
        static const struct {
                const char *name;
                uint8_t units[8];
                const char *text;
        } cases[] = {
                { "plain", { 'a', 0, 'b', 0 }, "ab" },
                { "two-bytes", { 0xe9, 0, 0, 0 }, "\xc3\xa9" },
                { "three-bytes", { 0xac, 0x20, 0, 0 }, "\xe2\x82\xac" },
                { "pair", { 0x3d, 0xd8, 0x00, 0xde, 0, 0 }, "\xf0\x9f\x98\x80" },
                { "half-a-pair", { 0x3d, 0xd8, 'x', 0, 0, 0 }, "?x" },
                { "second-half-alone", { 0x00, 0xde, 0, 0 }, "?" },
                { "control-bytes", { 0x1b, 0, '[', 0, 0x7f, 0, 0, 0 }, "?[?" },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_fd_ int fd = image_new(512);
                _cleanup_(gpt_freep) Gpt *gpt = NULL;
                GptEntry entry;

                CHECK_OK(image_patch(fd, 512, true, GPT_ENTRY_NAME_AT, cases[i].units, 8));
                CHECK_OK(gpt_read(fd, 0, &gpt, NULL));
                CHECK(gpt_get(gpt, 0, &entry));
                entry.name[strlen(cases[i].text)] = 0; /* what is left of "esp" */
                CHECK_STR(entry.name, cases[i].text);
        }
}

TEST_MAIN
