/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "init-cmdline.h"
#include "init-gpt.h"
#include "init-release.h"
#include "init-verity.h"
#include "test.h"

#include <sys/mman.h>

#define HASH_HEX "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef"
#define DISK_SIZE (64 * MIB)

static uint8_t *disk; /* 64 MiB */

static int read_memory(void *data, uint64_t offset, void *ret, size_t size)
{
        if (offset > DISK_SIZE || DISK_SIZE - offset < size)
                return -EIO;
        memcpy(ret, (const uint8_t *)data + offset, size);
        return 0;
}

static const uint8_t *entry_of(unsigned number)
{
        return disk + 1024 + (number - 1) * 128;
}

static uint32_t crc32_of(const uint8_t *data, size_t size)
{
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < size; i++) {
                crc ^= data[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
        }
        return ~crc;
}

/* After a change of the primary table: sums that fit again. */
static void resum(void)
{
        write_le32(disk + 512 + 88, crc32_of(disk + 1024, 128 * 128));
        write_le32(disk + 512 + 16, 0);
        write_le32(disk + 512 + 16, crc32_of(disk + 512, 92));
}

static int add_partition(
                unsigned number, const char *type_bytes, uint64_t first, uint64_t last, const char *label)
{
        uint8_t *entry = disk + 1024 + (number - 1) * 128;

        memset(entry, 0, 128);
        memcpy(entry, type_bytes, 16);
        memset(entry + 16, (int)number, 16);
        write_le64(entry + 32, first);
        write_le64(entry + 40, last);
        for (size_t i = 0; label[i]; i++)
                entry[56 + 2 * i] = (uint8_t)label[i];
        return 0;
}

#define TYPE_VERITY "\xed\x57\x73\x2c\xd2\xeb\xd9\x46\xae\xc1\x23\xd4\x37\xec\x2b\xf5"
#define TYPE_ROOT "\xe3\xbc\x68\x4f\xcd\xe8\xb1\x4d\x96\xe7\xfb\xca\xf9\x84\xb7\x09"
#define TYPE_VAR "\x16\xb0\x21\x4d\x34\xb5\xc2\x45\xa9\xfb\x5c\x16\xe0\x91\xfd\x2d"

static void start(void)
{
        uint64_t last = DISK_SIZE / 512 - 1;

        if (!disk)
                disk = mmap(NULL, DISK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(disk, 0, 34 * 512);
        memcpy(disk + 512, "EFI PART", 8);
        write_le32(disk + 512 + 8, 0x10000);
        write_le32(disk + 512 + 12, 92);
        write_le64(disk + 512 + 24, 1);
        write_le64(disk + 512 + 32, last);
        write_le64(disk + 512 + 40, 34);
        write_le64(disk + 512 + 48, last - 33);
        write_le64(disk + 512 + 72, 2);
        write_le32(disk + 512 + 80, 128);
        write_le32(disk + 512 + 84, 128);
        add_partition(1, TYPE_ROOT, 2048, 4095, "root-a");
        add_partition(2, TYPE_VERITY, 4096, 4103, "root-a-verity");
        add_partition(4, TYPE_ROOT, 6144, 8191, "root-b");
        add_partition(5, TYPE_VERITY, 8192, 8199, "root-b-verity");
        add_partition(7, TYPE_VAR, 10240, 12287, "var");
        resum();
        memset(disk + DISK_SIZE - 512, 0, 512);
}

static int read_table(GptTable *ret)
{
        GptSource source = { read_memory, disk, DISK_SIZE, 512 };

        return gpt_read(&source, ret);
}

TEST(a_sound_table_is_read)
{
        const GptPartition *var;
        GptTable table;

        start();
        CHECK_OK(read_table(&table));
        CHECK_EQ(table.count, 5);
        CHECK_EQ(table.is_backup, false);
        var = gpt_find_kind(&table, GPT_VAR);
        CHECK(var && var->number == 7 && var->offset_bytes == 10240 * 512 && var->size_bytes == MIB);
        CHECK_STR(var->label, "var");
        CHECK(gpt_find_uuid(&table, (const uint8_t *)"\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7") == NULL);
        CHECK(gpt_find_uuid(&table, var->uuid) == var);
        CHECK(gpt_find_kind(&table, GPT_ESP) == NULL);
}

TEST(the_backup_serves_when_the_primary_is_damaged)
{
        uint64_t last = DISK_SIZE / 512 - 1;
        uint8_t *backup;
        GptTable table;

        start();
        backup = disk + last * 512;
        memcpy(disk + (last - 32) * 512, disk + 1024, 128 * 128);
        memcpy(backup, disk + 512, 512);
        write_le64(backup + 24, last);
        write_le64(backup + 32, 1);
        write_le64(backup + 72, last - 32);
        write_le32(backup + 16, 0);
        write_le32(backup + 16, crc32_of(backup, 92));
        disk[1024 + 60] ^= 1;
        CHECK_OK(read_table(&table));
        CHECK_EQ(table.is_backup, true);
        CHECK_EQ(table.count, 5);
        backup[40] ^= 1;
        CHECK_EQ(read_table(&table), -EBADMSG);
        CHECK_EQ(table.count, 0);
}

TEST(no_table_is_not_a_bad_table)
{
        GptSource tiny = { read_memory, NULL, 1024, 512 }, odd = { read_memory, NULL, DISK_SIZE, 600 };
        GptTable table;

        start();
        memset(disk + 512, 0, 512);
        CHECK_EQ(read_table(&table), -ENODATA);
        tiny.data = odd.data = disk;
        CHECK_EQ(gpt_read(&tiny, &table), -ENODATA);
        CHECK_EQ(gpt_read(&odd, &table), -EINVAL);
}

/* Each with sums that fit: someone wrote it on purpose. */
TEST(hostile_tables_are_refused_by_rule)
{
        static const struct {
                const char *rule;
                unsigned at, width;
                uint64_t value;
        } cases[] = {
                { "header size too small", 512 + 12, 4, 91 },
                { "header size beyond the sector", 512 + 12, 4, 513 },
                { "header of another place", 512 + 24, 8, 2 },
                { "usable area ends beyond the disk", 512 + 48, 8, DISK_SIZE / 512 },
                { "usable area ends before it begins", 512 + 40, 8, UINT64_MAX },
                { "entries beyond the disk", 512 + 72, 8, UINT64_MAX / 512 },
                { "entries across the end of the disk", 512 + 72, 8, DISK_SIZE / 512 - 1 },
                { "no entries", 512 + 80, 4, 0 },
                { "too many entries", 512 + 80, 4, 129 },
                { "entries too small", 512 + 84, 4, 64 },
                { "entries of odd size", 512 + 84, 4, 192 },
                { "entries too large", 512 + 84, 4, 8192 },
                { "partition before the usable area", 1024 + 32, 8, 33 },
                { "partition beyond the usable area", 1024 + 40, 8, DISK_SIZE / 512 - 33 },
                { "partition that ends before it begins", 1024 + 40, 8, 2047 },
                { "partition that overlaps another", 1024 + 40, 8, 4096 },
                { "partition of absurd size", 1024 + 40, 8, UINT64_MAX },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                GptTable table;

                start();
                if (cases[i].width == 8)
                        write_le64(disk + cases[i].at, cases[i].value);
                else
                        write_le32(disk + cases[i].at, (uint32_t)cases[i].value);
                write_le32(disk + 512 + 88, crc32_of(disk + 1024, 128 * 128));
                write_le32(disk + 512 + 16, 0);
                write_le32(disk + 512 + 16,
                                crc32_of(disk + 512, MIN_OF(read_le32(disk + 512 + 12), (uint32_t)512)));
                if (read_table(&table) != -EBADMSG)
                        TEST_FAIL("taken: %s", cases[i].rule);
        }
}

TEST(labels_are_made_harmless)
{
        GptTable table;

        start();
        write_le16((uint8_t *)entry_of(1) + 56, '\n');
        write_le16((uint8_t *)entry_of(1) + 58, 0x2028);
        memset((uint8_t *)entry_of(2) + 56, 'x', 72);
        resum();
        CHECK_OK(read_table(&table));
        CHECK_STR(table.partitions[0].label, "??ot-a");
        CHECK_EQ(strlen(table.partitions[1].label), GPT_LABEL_MAX);
}

TEST(verity_partitions_find_their_data)
{
        VerityPair pair;
        GptTable table;

        start();
        CHECK_OK(read_table(&table));
        CHECK_OK(verity_pair(&table, &table.partitions[3], &pair));
        CHECK_EQ(pair.slot, 'b');
        CHECK_EQ(pair.data->number, 4);
        /* labels crossed: the label wins; labels useless: the order does */
        add_partition(1, TYPE_ROOT, 2048, 4095, "root-b");
        add_partition(4, TYPE_ROOT, 6144, 8191, "root-a");
        resum();
        CHECK_OK(read_table(&table));
        CHECK_OK(verity_pair(&table, &table.partitions[3], &pair));
        CHECK_EQ(pair.data->number, 1);
        add_partition(5, TYPE_VERITY, 8192, 8199, "-verity");
        resum();
        CHECK_OK(read_table(&table));
        CHECK_OK(verity_pair(&table, &table.partitions[3], &pair));
        CHECK_EQ(pair.data->number, 4);
        memset(disk + 1024 + 3 * 128, 0, 128);
        resum();
        CHECK_OK(read_table(&table));
        CHECK_EQ(verity_pair(&table, &table.partitions[2], &pair), -ENOENT);
}

TEST(a_pair_matches_by_root_hash_and_size)
{
        VeritySuperblock superblock = { .data_blocks = MIB / VERITY_BLOCK_SIZE };
        uint8_t root_hash[SHA256_SIZE];
        VerityPair pair;
        GptTable table;

        for (size_t i = 0; i < sizeof(root_hash); i++)
                root_hash[i] = (uint8_t)i;
        memcpy(superblock.uuid, root_hash, sizeof(superblock.uuid));
        start();
        CHECK_OK(read_table(&table));
        CHECK_OK(verity_pair(&table, &table.partitions[1], &pair));
        CHECK(verity_pair_matches(&pair, &superblock, root_hash));
        superblock.data_blocks++;
        CHECK(!verity_pair_matches(&pair, &superblock, root_hash));
        superblock.data_blocks = 1;
        root_hash[15]++;
        CHECK(!verity_pair_matches(&pair, &superblock, root_hash));
}

TEST(the_verity_table_is_as_the_kernel_wants_it)
{
        VeritySuperblock superblock = { .data_blocks = 7, .salt = { 0xab, 0xcd }, .salt_size = 2 };
        uint8_t root_hash[SHA256_SIZE] = { 0xff };
        char table[VERITY_TABLE_MAX], long_device[VERITY_TABLE_MAX];

        CHECK_OK(verity_table("253:1", "/dev/vda3", &superblock, root_hash, table));
        CHECK_STR(table, "1 253:1 /dev/vda3 4096 4096 7 1 sha256 "
                         "ff00000000000000000000000000000000000000000000000000000000000000 abcd 1 "
                         "panic_on_corruption");
        superblock.salt_size = 0;
        CHECK_OK(verity_table("a", "b", &superblock, root_hash, table));
        CHECK(strstr(table, " - 1 panic_on_corruption"));
        memset(long_device, 'x', sizeof(long_device));
        long_device[sizeof(long_device) - 1] = 0;
        CHECK_EQ(verity_table(long_device, "b", &superblock, root_hash, table), -E2BIG);
}

TEST(the_command_line_is_understood)
{
        Cmdline cmdline;

        CHECK_OK(cmdline_parse("quiet x=\"a bascule.debug b\" bascule.roothash=" HASH_HEX
                               " bascule.wait=5 root=/dev/x bascule.watchdog=0 bascule.var=volatile\n",
                        &cmdline, NULL));
        CHECK(cmdline.has_root_hash && cmdline.root_hash[1] == 0x11 && !cmdline.is_debug &&
                        cmdline.is_var_volatile);
        CHECK_EQ(cmdline.wait_seconds, 5);
        CHECK_EQ(cmdline.watchdog_seconds, 0);
        CHECK_OK(cmdline_parse("", &cmdline, NULL));
        CHECK_EQ(cmdline.has_root_hash, false);
        CHECK_EQ(cmdline.wait_seconds, CMDLINE_WAIT_DEFAULT);
        CHECK_EQ(cmdline.watchdog_seconds, CMDLINE_WATCHDOG_DEFAULT);
        CHECK_OK(cmdline_parse("bascule.debug bascule.var=volatile bascule.var=auto", &cmdline, NULL));
        CHECK(cmdline.is_debug && !cmdline.is_var_volatile);
}

TEST(wrong_words_are_named)
{
        static const char *const lines[] = { "bascule.roothash=12",
                "bascule.roothash=", "bascule.roothash=" HASH_HEX "00", "bascule.var=", "bascule.var=none",
                "bascule.wait=-1", "bascule.wait=601", "bascule.wait=99999999999999999999",
                "bascule.watchdog=1x", "bascule.debug=1", "bascule.debugger", "bascule.", "bascule.unknown",
                "bascule.wait=1 bascule.wait=x" };

        for (size_t i = 0; i < ELEMENTS(lines); i++) {
                Error error = { 0 };
                Cmdline cmdline;

                if (cmdline_parse(lines[i], &cmdline, &error) != -EINVAL || error.code != ERROR_CONFIG)
                        TEST_FAIL("taken: %s", lines[i]);
        }
}

TEST(the_release_says_which_it_is)
{
        InitRelease release;

        CHECK_OK(init_release_parse("NAME=x\nIMAGE_ID=host\nIMAGE_VERSION=\"1.0-2\"\n", &release));
        CHECK_STR(release.image_id, "host");
        CHECK_STR(release.version, "1.0-2");
        CHECK_OK(init_release_parse("IMAGE_VERSION='2'\nIMAGE_ID=host", &release));
        CHECK_STR(release.version, "2");
        CHECK_EQ(init_release_parse("", &release), -EBADMSG);
        CHECK_EQ(init_release_parse("IMAGE_ID=host\n", &release), -EBADMSG);
        CHECK_EQ(init_release_parse("IMAGE_ID=host\nIMAGE_VERSION=../1\n", &release), -EBADMSG);
        CHECK_EQ(init_release_parse("IMAGE_ID=host\nIMAGE_VERSION=\n", &release), -EBADMSG);
        CHECK_EQ(init_release_parse("XIMAGE_ID=host\nIMAGE_VERSION=1\n", &release), -EBADMSG);
}

TEST_MAIN
