/* SPDX-License-Identifier: Apache-2.0 */
/* Which disks an installer sees, and that the one it takes is the one it saw. */
#include "disk-image.h"
#include "install-disks.h"
#include "test.h"

/* A sysfs and a /dev of our own. sda is a file, and a disk in its own right; sdb and sdc, whose nodes lead
 * to devices that are no disks, cannot be looked at, as disks in use cannot. All have one serial number. */
typedef struct Fixture {
        char root[64], sys[80], dev[80];
        BlockTree tree;
        int medium_fd;
        char medium[64];
} Fixture;

static int put(const char *root, const char *path, const char *text, bool is_link)
{
        _cleanup_free_ char *whole = path_join(root, path), *folder = path_join(root, path);
        int r;

        *strrchr(folder, '/') = 0;
        r = directory_make(AT_FDCWD, folder, 0755);
        if (r < 0)
                return r;
        if (is_link)
                return symlink(text, whole) < 0 ? -errno : 0;
        return file_replace(AT_FDCWD, whole, text, strlen(text), 0644);
}

static int add_disk(const Fixture *fixture, const char *name, const char *number, const char *node)
{
        const char *const files[][2] = { { "size", "53248\n" }, { "device/serial", "SAME\n" },
                { "removable", "0\n" } };
        _cleanup_free_ char *event = string_format("DEVNAME=%s\n", name),
                            *folder = string_format("devices/%s/uevent", name),
                            *link = string_format("../../devices/%s", name),
                            *class = string_format("class/block/%s", name),
                            *block = string_format("dev/block/%s", number);
        int r = put(fixture->sys, folder, event, false);

        for (size_t i = 0; r >= 0 && i < ELEMENTS(files); i++) {
                _cleanup_free_ char *path = string_format("devices/%s/%s", name, files[i][0]);

                r = put(fixture->sys, path, files[i][1], false);
        }
        if (r >= 0)
                r = put(fixture->sys, class, link, true);
        if (r >= 0)
                r = put(fixture->sys, block, link, true);
        return r < 0 || !node ? r : put(fixture->dev, name, node, true);
}

/* A disk image under a name in /dev; one that was there is another file afterwards. */
static int add_image(const Fixture *fixture, const char *name)
{
        _cleanup_free_ char *path = path_join(fixture->dev, name), *next = path_join(fixture->dev, "next");
        DiskLayout layout = image_layout(512);
        _cleanup_fd_ int fd = -1;
        int r = directory_make(AT_FDCWD, fixture->dev, 0755);

        if (r >= 0)
                fd = open(next, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = disk_layout_write(&layout, fd, NULL);
        return r >= 0 && rename(next, path) < 0 ? -errno : r;
}

static int fixture_make(Fixture *fixture)
{
        int r;

        (void)snprintf(fixture->root, sizeof(fixture->root), "/tmp/install-disks-XXXXXX");
        if (!mkdtemp(fixture->root))
                return -errno;
        (void)snprintf(fixture->sys, sizeof(fixture->sys), "%s/sys", fixture->root);
        (void)snprintf(fixture->dev, sizeof(fixture->dev), "%s/dev", fixture->root);
        fixture->tree = (BlockTree){ fixture->sys, fixture->dev };
        fixture->medium_fd = image_new(512);
        (void)image_path(fixture->medium_fd, fixture->medium);
        r = image_seal(fixture->medium_fd);
        if (r >= 0)
                r = add_image(fixture, "sda");
        if (r >= 0)
                r = add_disk(fixture, "sda", "0:0", NULL); /* what stat(2) says of a file */
        return r;
}

static void fixture_done(Fixture *fixture)
{
        if (fixture->root[0])
                (void)tree_remove(AT_FDCWD, fixture->root);
        (void)fd_close(fixture->medium_fd);
}

#define _cleanup_fixture_ _cleanup_(fixture_done)
#define FIXTURE_INIT                                                                                        \
        {                                                                                                   \
                .medium_fd = -1                                                                             \
        }

static int find(const Fixture *fixture, InstallDisks *ret, Error *error)
{
        return install_disks_find(&fixture->tree, fixture->medium, NULL, ret, error);
}

static int choose(const InstallDisks *disks, const char *answer, const InstallDisk **ret, Error *error)
{
        _cleanup_(install_answers_freep) InstallAnswers *answers = NULL;
        _cleanup_free_ char *text = string_format("[Install]\nErase=yes\n%s\n", answer);
        int r = install_answers_parse("answers", text, strlen(text), &answers, error);

        return r < 0 ? r : install_disks_choose(disks, answers, ret, error);
}

TEST(the_disk_that_is_meant_is_chosen)
{
        static const char *const ways[] = { "Serial=SAME", "Disk=only", "Disk=only\nSerial=SAME" };
        _cleanup_fixture_ Fixture fixture = FIXTURE_INIT;
        _cleanup_disks_ InstallDisks disks = { 0 };

        CHECK_OK(fixture_make(&fixture));
        CHECK_OK(find(&fixture, &disks, NULL));
        CHECK_EQ(disks.count, 1);
        CHECK(disks.items[0].target && !error_is_set(&disks.items[0].problem));
        for (size_t i = 0; i < ELEMENTS(ways); i++) {
                const InstallDisk *disk = NULL;

                CHECK_OK(choose(&disks, ways[i], &disk, NULL));
                CHECK_STR(strrchr(disk->path, '/'), "/sda");
        }
}

TEST(a_disk_that_cannot_be_opened_counts_with_its_serial_number)
{
        _cleanup_fixture_ Fixture fixture = FIXTURE_INIT;
        _cleanup_disks_ InstallDisks disks = { 0 };
        const InstallDisk *disk = NULL;
        Error error = { 0 };

        CHECK_OK(fixture_make(&fixture));
        CHECK_OK(add_disk(&fixture, "sdb", "1:3", "/dev/null"));
        CHECK_OK(find(&fixture, &disks, NULL));
        CHECK_EQ(disks.count, 2);
        CHECK(!disks.items[1].target && error_is_set(&disks.items[1].problem));
        CHECK_STR(disks.items[1].serial, "SAME");
        CHECK(choose(&disks, "Serial=SAME", &disk, &error) < 0);
        CHECK_EQ(error.code, ERROR_REFUSED);
        CHECK(strstr(error.message, "2 disks have the serial number"));
        error_clear(&error);
        CHECK(choose(&disks, "Disk=only", &disk, &error) < 0);
        CHECK_EQ(error.code, ERROR_REFUSED);
}

TEST(a_stick_is_not_the_only_disk)
{
        _cleanup_fixture_ Fixture fixture = FIXTURE_INIT;
        _cleanup_disks_ InstallDisks disks = { 0 };
        const InstallDisk *disk = NULL;
        Error error = { 0 };

        CHECK_OK(fixture_make(&fixture));
        CHECK_OK(put(fixture.sys, "devices/sda/removable", "1\n", false));
        CHECK_OK(find(&fixture, &disks, NULL));
        CHECK(choose(&disks, "Disk=only", &disk, &error) < 0);
        CHECK_EQ(error.code, ERROR_REFUSED);
        CHECK(strstr(error.message, "can be taken out"));
        CHECK_OK(choose(&disks, "Serial=SAME", &disk, NULL));
        CHECK_OK(choose(&disks, "Disk=only\nSerial=SAME", &disk, NULL));
}

TEST(a_name_that_came_to_mean_another_disk_is_not_taken)
{
        _cleanup_fixture_ Fixture fixture = FIXTURE_INIT;
        _cleanup_(install_target_freep) InstallTarget *same = NULL;
        _cleanup_disks_ InstallDisks disks = { 0 };
        InstallTarget *other = NULL;
        Error error = { 0 };

        CHECK_OK(fixture_make(&fixture));
        CHECK_OK(add_disk(&fixture, "sdb", "1:3", "/dev/null"));
        CHECK_OK(find(&fixture, &disks, NULL));
        CHECK_OK(install_disk_look_again(&disks.items[0], &same, NULL));
        CHECK_OK(add_image(&fixture, "sda"));
        CHECK_EQ(install_disk_look_again(&disks.items[0], &other, &error), -ESTALE);
        CHECK_EQ(error.code, ERROR_REFUSED);
        error_clear(&error);
        CHECK(install_disk_look_again(&disks.items[1], &other, &error) < 0);
        CHECK_EQ(error.code, ERROR_USAGE);
}

TEST_MAIN
