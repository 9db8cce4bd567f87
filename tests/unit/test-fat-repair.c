/* SPDX-License-Identifier: Apache-2.0 */
#include "fat-image.h"
#include "fat-repair.h"
#include "fat-volume.h"
#include "test.h"

static int fd = -1;
static FatRepair repair;

static void start(void)
{
        (void)fd_close(fd);
        fd = image_make_esp();
        image_chain(fd, 100, 10);
        image_add(fd, 3, "host_1.efi", 0, 100, 5000);
}

typedef struct Names {
        char text[1024];
} Names;

static bool claim_any(void *data, uint32_t cluster)
{
        return true;
}

static int add_name(void *data, const FatEntry *entry)
{
        Names *names = data;

        (void)snprintf(strchr(names->text, 0), 300, "%s%s", names->text[0] ? " " : "", entry->name);
        return 0;
}

/* The names in a folder, parted by blanks. */
static const char *names_in(uint32_t folder)
{
        static Names names;
        const FatWalk walk = { claim_any, add_name, &names };
        _cleanup_fat_volume_ FatVolume volume = { 0 };

        names.text[0] = 0;
        if (fat_volume_open(fd, &volume) < 0 || fat_walk(&volume, folder, &walk) < 0)
                return "-";
        return names.text;
}

/* Repairs, and once more: then there must be nothing left to do. */
static int mend(void)
{
        FatRepair again;
        int r = fat_repair(fd, &repair);

        if (r < 0)
                return r;
        r = fat_repair(fd, &again);
        if (r < 0)
                return r;
        if (again.names_dropped || again.files_dropped || again.clusters_freed || again.tables_differed ||
                        again.was_dirty)
                return -EAGAIN;
        return 0;
}

TEST(a_sound_volume_is_left_as_it_is)
{
        static uint8_t before[IMAGE_SIZE], after[IMAGE_SIZE];

        start();
        CHECK_OK(pread_full(fd, before, IMAGE_SIZE, 0));
        CHECK_OK(mend());
        CHECK_OK(pread_full(fd, after, IMAGE_SIZE, 0));
        CHECK_MEM(before, after, IMAGE_SIZE);
        CHECK(repair.is_sound && !repair.was_dirty);
        CHECK_STR(names_in(2), "Linux bascule BOOT");
        CHECK_STR(names_in(3), "host_1.efi");
}

/* Of two names with one chain, the first given is the one that stays. */
TEST(of_two_names_of_one_file_the_better_stays)
{
        static const struct {
                const char *kept, *dropped;
        } cases[] = {
                { "host_2.efi", "host_2+2-1.efi" },
                { "host_2.efi", "host_2+0-1.efi" },
                { "host_2+2-1.efi", "host_2+3.efi" },
                { "host_2+3.efi", "host_2+0-3.efi" },
                { "host_2+0-3.efi", "nonsense.efi" },
        };

        for (size_t i = 0; i < 2 * ELEMENTS(cases); i++) {
                const char *kept = cases[i / 2].kept, *dropped = cases[i / 2].dropped;

                start();
                image_chain(fd, 200, 5);
                image_add(fd, 3, i % 2 ? dropped : kept, 0, 200, 2500);
                image_add(fd, 3, i % 2 ? kept : dropped, 0, 200, 2500);
                CHECK_OK(mend());
                CHECK_EQ(repair.names_dropped, 1);
                CHECK_EQ(repair.clusters_freed, 0);
                CHECK_EQ(image_get(fd, 0, 200), 201);
                CHECK(strstr(names_in(3), kept));
                CHECK(!strstr(names_in(3), dropped));
        }
}

TEST(a_published_file_is_staged_no_longer)
{
        start();
        image_chain(fd, 200, 5);
        image_add(fd, 3, "host_2+3.efi", 0, 200, 2500);
        image_add(fd, 4, "incoming.efi", 0, 200, 2500);
        CHECK_OK(mend());
        CHECK_STR(names_in(3), "host_1.efi host_2+3.efi");
        CHECK_STR(names_in(4), "");
        CHECK_EQ(image_get(fd, 0, 204), IMAGE_END);
        /* a short name without its long one is what a cut leaves of a name that was being written */
        start();
        image_chain(fd, 200, 5);
        image_add(fd, 3, "HOST_2~1", 0, 200, 2500);
        image_add(fd, 4, "incoming.efi", 0, 200, 2500);
        CHECK_OK(mend());
        CHECK_STR(names_in(3), "host_1.efi");
        CHECK_STR(names_in(4), "incoming.efi");
}

TEST(clusters_without_a_name_become_free)
{
        start();
        image_chain(fd, 300, 7);
        image_set(fd, 400, 0xfff7);
        CHECK_OK(mend());
        CHECK(repair.is_sound);
        CHECK_EQ(repair.clusters_freed, 7);
        for (unsigned copy = 0; copy < 2; copy++) {
                CHECK_EQ(image_get(fd, copy, 300), 0);
                CHECK_EQ(image_get(fd, copy, 306), 0);
                CHECK_EQ(image_get(fd, copy, 400), 0xfff7);
                CHECK_EQ(image_get(fd, copy, 109), IMAGE_END);
        }
}

TEST(broken_entries_go_and_their_clusters_with_them)
{
        start();
        image_chain(fd, 200, 5);
        image_add(fd, 3, "host_2+3.efi", 0, 200, 2600);
        image_chain(fd, 300, 5);
        image_set(fd, 302, 0);
        image_add(fd, 3, "host_3+3.efi", 0, 300, 2500);
        image_add(fd, 3, "host_4+3.efi", 0, 0, 2500);
        image_chain(fd, 400, 3);
        image_set(fd, 402, 400);
        image_add(fd, 4, "incoming.efi", 0, 400, 100);
        image_add(fd, 3, "host_5+3.efi", 0, 0, 0);
        CHECK_OK(mend());
        CHECK(repair.is_sound);
        CHECK_EQ(repair.files_dropped, 4);
        CHECK_EQ(repair.clusters_freed, 5 + 4 + 3);
        CHECK_STR(names_in(3), "host_1.efi host_5+3.efi");
        CHECK_STR(names_in(4), "");
}

TEST(what_others_broke_is_left_alone)
{
        static const char *const names[] = { "other.efi", "loader.conf" };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                start();
                image_chain(fd, 200, 5);
                image_add(fd, i == 0 ? 3 : 5, names[i], 0, 200, 2500);
                image_set(fd, 202, 0);
                image_chain(fd, 300, 7);
                CHECK_OK(mend());
                CHECK(!repair.is_sound);
                CHECK_EQ(repair.files_dropped, 0);
                CHECK_EQ(repair.clusters_freed, 0);
                CHECK(strstr(names_in(i == 0 ? 3 : 5), names[i]));
        }
}

TEST(crossed_chains_keep_everything)
{
        start();
        image_chain(fd, 200, 5);
        image_set(fd, 204, 103);
        image_add(fd, 3, "host_2+3.efi", 0, 200, 2500);
        image_chain(fd, 300, 7);
        CHECK_OK(mend());
        CHECK(!repair.is_sound);
        CHECK_EQ(repair.names_dropped + repair.files_dropped + repair.clusters_freed, 0);
}

TEST(folders_that_bite_their_tails_end)
{
        start();
        image_set(fd, 3, 3);
        CHECK_OK(mend());
        CHECK(!repair.is_sound);
        start();
        image_add(fd, 3, "loop", FAT_ATTRIBUTE_FOLDER, 2, 0);
        CHECK_OK(mend());
        CHECK(!repair.is_sound);
        start();
        image_add(fd, 3, "nowhere", FAT_ATTRIBUTE_FOLDER, 60000, 0);
        image_add(fd, 3, "root", FAT_ATTRIBUTE_FOLDER, 0, 0);
        CHECK_OK(mend());
        CHECK(!repair.is_sound);
        for (uint32_t depth = 0; depth < 40; depth++)
                image_add_folder(fd, depth == 0 ? 5 : 1000 + depth - 1, "deep", 1000 + depth);
        CHECK_OK(mend());
        CHECK(!repair.is_sound);
}

TEST(copies_of_the_table_become_equal)
{
        uint8_t zero[2] = { 0 };

        start();
        CHECK_OK(pwrite_full(fd, zero, 2, IMAGE_TABLE_AT + IMAGE_TABLE_SECTORS * 512 + 103 * 2));
        CHECK_OK(mend());
        CHECK(repair.tables_differed);
        CHECK_EQ(image_get(fd, 1, 103), 104);
}

TEST(the_mark_of_an_unclean_end_is_taken_away)
{
        uint8_t state = 1;

        start();
        CHECK_OK(pwrite_full(fd, &state, 1, FAT16_STATE_AT));
        CHECK_OK(mend());
        CHECK(repair.was_dirty);
        /* but not while something is odd */
        start();
        CHECK_OK(pwrite_full(fd, &state, 1, FAT16_STATE_AT));
        image_set(fd, 7, 0);
        CHECK_OK(fat_repair(fd, &repair));
        CHECK(!repair.is_sound);
        CHECK_OK(pread_full(fd, &state, 1, FAT16_STATE_AT));
        CHECK_EQ(state, 1);
}

TEST(other_volumes_are_refused)
{
        static const struct {
                unsigned at, width;
                uint32_t value;
                int expected;
        } cases[] = {
                { FAT_SIGNATURE_AT, 1, 0, -EOPNOTSUPP },
                { FAT_SECTOR_SIZE_AT, 2, 0, -EOPNOTSUPP },
                { FAT_SECTOR_SIZE_AT, 2, 600, -EOPNOTSUPP },
                { FAT_SECTORS_PER_CLUSTER_AT, 1, 0, -EOPNOTSUPP },
                { FAT_SECTORS_PER_CLUSTER_AT, 1, 3, -EOPNOTSUPP },
                { FAT_SECTORS_PER_CLUSTER_AT, 1, 2, -EOPNOTSUPP }, /* so few clusters are FAT12 */
                { FAT_RESERVED_AT, 2, 0, -EOPNOTSUPP },
                { FAT_TABLE_COUNT_AT, 1, 9, -EOPNOTSUPP },
                { FAT_ROOT_ENTRIES_AT, 2, 0, -EOPNOTSUPP },
                { FAT_TABLE_SECTORS_SMALL_AT, 2, 2, -EBADMSG },
                { FAT_SECTORS_AT, 4, 10, -EBADMSG },
                { FAT_SECTORS_AT, 4, UINT32_MAX, -EOPNOTSUPP },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                uint8_t value[4];

                start();
                write_le32(value, cases[i].value);
                CHECK_OK(pwrite_full(fd, value, cases[i].width, cases[i].at));
                CHECK_EQ(fat_repair(fd, &repair), cases[i].expected);
        }
        CHECK_EQ(ftruncate(fd, 100), 0);
        CHECK_EQ(fat_repair(fd, &repair), -EIO);
        CHECK_EQ(fat_repair_device("/nonexistent", &repair), -ENOENT);
}

TEST_MAIN
