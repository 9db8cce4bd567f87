/* SPDX-License-Identifier: Apache-2.0 */
#include "fat-image.h"
#include "fat-move.h"
#include "fat-repair.h"
#include "fat-volume.h"
#include "test.h"

#define SLOTS_IN_SECTOR 16

static int fd = -1;

/* Entry 1 has 4 slots: a name of 30 characters takes three pieces. */
#define ONE "some-longer-host_2026.1+2-1.efi"
#define ONE_BLESSED "some-longer-host_2026.1.efi"

static void start(void)
{
        (void)fd_close(fd);
        fd = image_make_esp();
        image_chain(fd, 100, 10);
        image_add(fd, 3, ONE, 0, 100, 5000);
        image_chain(fd, 200, 4);
        image_add(fd, 4, "incoming.efi", 0, 200, 2000);
}

typedef struct Found {
        char text[2048];
        FatEntry last;
} Found;

static Found found;

static bool claim_any(void *data, uint32_t cluster)
{
        return true;
}

static int add_name(void *data, const FatEntry *entry)
{
        (void)snprintf(strchr(found.text, 0), 300, "%s%s", found.text[0] ? " " : "", entry->name);
        found.last = *entry;
        return 0;
}

static const char *names_in(uint32_t folder)
{
        const FatWalk walk = { claim_any, add_name, NULL };
        _cleanup_fat_volume_ FatVolume volume = { 0 };

        found.text[0] = 0;
        if (fat_volume_open(fd, &volume) < 0 || fat_walk(&volume, folder, &walk) < 0)
                return "-";
        return found.text;
}

/* All slots of the name that was found last lie in one sector, and it has this chain. */
static bool is_in_one_sector(uint32_t cluster, uint32_t size_bytes)
{
        const FatEntry *entry = &found.last;
        uint64_t sector = entry->slots[0] / 512;

        for (unsigned i = 0; i < entry->slot_count; i++)
                if (entry->slots[i] / 512 != sector)
                        return false;
        return entry->first_cluster == cluster && entry->size_bytes == size_bytes;
}

static bool is_sound(void)
{
        FatRepair repair;

        return fat_repair(fd, &repair) >= 0 && repair.is_sound && !repair.names_dropped &&
               !repair.files_dropped && !repair.clusters_freed && !repair.tables_differed;
}

static int bless(void)
{
        return fat_move(fd, "EFI/Linux", ONE, "EFI/Linux", ONE_BLESSED, 0);
}

TEST(a_file_gets_another_name)
{
        start();
        CHECK_OK(bless());
        CHECK_STR(names_in(3), ONE_BLESSED);
        CHECK(is_in_one_sector(100, 5000) && is_sound());
        CHECK_EQ(bless(), -ENOENT);
        CHECK_OK(fat_move(fd, "efi/linux", "SOME-longer-host_2026.1.EFI", "EFI/Linux", ONE, 0));
        CHECK_STR(names_in(3), ONE);
        CHECK(is_in_one_sector(100, 5000) && is_sound());
}

TEST(a_file_goes_to_another_folder)
{
        start();
        CHECK_OK(fat_move(fd, "EFI/bascule", "incoming.efi", "EFI/Linux", "host_2+3.efi", 3));
        CHECK_STR(names_in(4), "");
        CHECK_STR(names_in(3), ONE " host_2+3.efi");
        CHECK(is_in_one_sector(200, 2000) && is_sound());
}

/* Back and forth: what is left of old names is used again, and every name stays in one sector. */
TEST(slots_are_used_again)
{
        start();
        for (unsigned i = 0; i < 100; i++) {
                const char *from = i % 2 ? ONE_BLESSED : ONE, *to = i % 2 ? ONE : ONE_BLESSED;

                CHECK_OK(fat_move(fd, "EFI/Linux", from, "EFI/Linux", to, 0));
                CHECK_STR(names_in(3), to);
                CHECK(is_in_one_sector(100, 5000));
        }
        CHECK(is_sound());
}

/* Fills the folder with one-slot names, which leave so many slots of its first sector. */
static void fill(unsigned left)
{
        char name[16];

        for (unsigned i = 4; i + left < SLOTS_IN_SECTOR; i += 2) {
                (void)snprintf(name, sizeof(name), "x%u.efi", i);
                image_add(fd, 3, name, 0, 0, 0);
        }
}

TEST(a_name_that_does_not_fit_into_the_sector_goes_into_the_next)
{
        static const uint8_t old[512] = { [0 ... 511] = 'o' };

        for (unsigned left = 0; left <= 2; left += 2) {
                start();
                fill(left);
                CHECK_EQ(bless(), -ENOSPC);
                CHECK(strncmp(names_in(3), ONE " x4.efi", strlen(ONE) + 7) == 0);
                image_set(fd, 3, 50);
                image_set(fd, 50, 51);
                image_set(fd, 51, IMAGE_END);
                /* What lies behind the end of a folder means nothing. */
                if (left > 0)
                        CHECK_OK(pwrite_full(fd, old, sizeof(old), image_cluster_at(50)));
                else
                        image_set(fd, 50, IMAGE_END), image_set(fd, 51, 0);
                CHECK_OK(bless());
                (void)names_in(3);
                CHECK_STR(found.last.name, ONE_BLESSED);
                CHECK(is_in_one_sector(100, 5000) && is_sound());
                CHECK_EQ(found.last.slots[0], image_cluster_at(50));
        }
}

/* Four slots now, and four for each of three more names: a sector of its own, with nothing behind it. */
TEST(a_name_that_firmware_will_change_gets_a_sector_for_it)
{
        static const uint8_t old[512] = { [0 ... 511] = 'o' };

        start();
        CHECK_EQ(fat_move(fd, "EFI/bascule", "incoming.efi", "EFI/Linux", "some-longer-host_2026.2+3.efi",
                                 3),
                        -ENOSPC);
        image_set(fd, 3, 50);
        image_set(fd, 50, 51);
        image_set(fd, 51, IMAGE_END);
        CHECK_OK(pwrite_full(fd, old, sizeof(old), image_cluster_at(51)));
        CHECK_OK(fat_move(
                        fd, "EFI/bascule", "incoming.efi", "EFI/Linux", "some-longer-host_2026.2+3.efi", 3));
        CHECK_STR(names_in(3), ONE " some-longer-host_2026.2+3.efi");
        CHECK(is_in_one_sector(200, 2000) && is_sound());
        CHECK_EQ(found.last.slots[0], image_cluster_at(50));
        CHECK_EQ(image_free_slots(fd, 50), image_cluster_at(50) + 4 * FAT_SLOT_SIZE);
        CHECK_EQ(image_free_slots(fd, 51), image_cluster_at(51));
        /* Blessed, it goes where there is room, and leaves the last sector. */
        CHECK_OK(fat_move(fd, "EFI/Linux", "some-longer-host_2026.2+3.efi", "EFI/Linux", "longer_2.efi", 0));
        CHECK_STR(names_in(3), ONE " longer_2.efi");
}

TEST(what_cannot_be_done_changes_nothing)
{
        static uint8_t before[IMAGE_SIZE], after[IMAGE_SIZE];
        static const char *const bad[] = { "", "a/b.efi", "a:b.efi", "a\x01.efi", "\xc3\xa4.efi", "a*.efi" };
        char longest[FAT_MOVE_NAME_MAX + 2];

        start();
        image_add(fd, 3, "host_1.efi", 0, 0, 0);
        CHECK_OK(pread_full(fd, before, IMAGE_SIZE, 0));
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                CHECK_EQ(fat_move(fd, "EFI/Linux", ONE, "EFI/Linux", bad[i], 0), -EINVAL);
        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = 0;
        CHECK_EQ(fat_move(fd, "EFI/Linux", ONE, "EFI/Linux", longest, 0), -EINVAL);
        CHECK_EQ(fat_move(fd, "EFI/Linux", ONE, "EFI/Linux", "HOST_1.efi", 0), -EEXIST);
        CHECK_EQ(fat_move(fd, "EFI/Linux", "none.efi", "EFI/Linux", "a.efi", 0), -ENOENT);
        CHECK_EQ(fat_move(fd, "EFI/none", ONE, "EFI/Linux", "a.efi", 0), -ENOENT);
        CHECK_EQ(fat_move(fd, "EFI/Linux", ONE, "EFI/BOOT/BOOTX64.EFI", "a.efi", 0), -ENOENT);
        CHECK_OK(pread_full(fd, after, IMAGE_SIZE, 0));
        CHECK_MEM(before, after, IMAGE_SIZE);
}

TEST(a_folder_that_bites_its_own_tail_is_refused)
{
        start();
        image_set(fd, 3, 3);
        CHECK_EQ(bless(), -EBADMSG);
        start();
        image_set(fd, 2, 2);
        CHECK_EQ(bless(), -EBADMSG);
}

TEST_MAIN
