/* SPDX-License-Identifier: Apache-2.0 */
#include "block-tree.h"
#include "disk-image.h"
#include "strv.h"
#include "test.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A sysfs and a /dev of our own: disk vda (254:0) with partition vda2 (254:2), and dm-0 (253:0) made from
 * it. */
typedef struct Fixture {
        char root[64], sys[80], dev[80];
        BlockTree tree;
} Fixture;

static int put(const char *root, const char *path, const char *text)
{
        _cleanup_free_ char *whole = path_join(root, path), *folder = strdup(path);
        _cleanup_free_ char *joined = NULL;

        *strrchr(folder, '/') = 0;
        joined = path_join(root, folder);
        if (directory_make(AT_FDCWD, joined, 0755) < 0)
                return -EIO;
        return file_replace(AT_FDCWD, whole, text, strlen(text), 0644);
}

static int link_to(const char *root, const char *path, const char *target)
{
        _cleanup_free_ char *whole = path_join(root, path), *folder = NULL;

        folder = strdup(whole);
        *strrchr(folder, '/') = 0;
        if (directory_make(AT_FDCWD, folder, 0755) < 0)
                return -EIO;
        return symlink(target, whole) < 0 ? -errno : 0;
}

static int make_files(const char *sys)
{
        static const char *const files[][2] = {
                { "devices/vda/dev", "254:0\n" },
                { "devices/vda/size", "53248\n" },
                { "devices/vda/uevent", "MAJOR=254\nMINOR=0\nDEVNAME=vda\nDEVTYPE=disk\n" },
                { "devices/vda/device/model", "  Nice Disk  \n" },
                { "devices/vda/vda2/dev", "254:2\n" },
                { "devices/vda/vda2/partition", "2\n" },
                { "devices/vda/vda2/start", "6144\n" },
                { "devices/vda/vda2/size", "16384\n" },
                { "devices/vda/vda2/uevent", "DEVNAME=vda2\nDEVTYPE=partition\nPARTN=2\n" },
                { "devices/dm-0/dev", "253:0\n" },
                { "devices/dm-0/size", "16384\n" },
                { "devices/dm-0/uevent", "DEVNAME=dm-0\n" },
        };

        for (size_t i = 0; i < ELEMENTS(files); i++)
                if (put(sys, files[i][0], files[i][1]) < 0)
                        return -EIO;
        return 0;
}

static int fixture_make(Fixture *fixture)
{
        static const char *const links[][2] = {
                { "dev/block/254:0", "../../devices/vda" },
                { "dev/block/254:2", "../../devices/vda/vda2" },
                { "dev/block/253:0", "../../devices/dm-0" },
                { "devices/dm-0/slaves/vda2", "../../vda/vda2" },
                { "class/block/vda", "../../devices/vda" },
                { "class/block/vda2", "../../devices/vda/vda2" },
                { "class/block/dm-0", "../../devices/dm-0" },
        };
        int r;

        (void)snprintf(fixture->root, sizeof(fixture->root), "/tmp/block-tree-XXXXXX");
        if (!mkdtemp(fixture->root))
                return -errno;
        (void)snprintf(fixture->sys, sizeof(fixture->sys), "%s/sys", fixture->root);
        (void)snprintf(fixture->dev, sizeof(fixture->dev), "%s/dev", fixture->root);
        fixture->tree = (BlockTree){ fixture->sys, fixture->dev };
        r = make_files(fixture->sys);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(links); i++)
                r = link_to(fixture->sys, links[i][0], links[i][1]);
        return r < 0 ? r : directory_make(AT_FDCWD, fixture->dev, 0755);
}

static void fixture_done(Fixture *fixture)
{
        if (fixture->root[0])
                (void)tree_remove(AT_FDCWD, fixture->root);
}

/* A disk image under a node's name. */
static int add_node(const Fixture *fixture, const char *name)
{
        _cleanup_free_ char *path = path_join(fixture->dev, name);
        DiskLayout layout = image_layout(512);
        _cleanup_fd_ int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        return fd < 0 ? -errno : disk_layout_write(&layout, fd, NULL);
}

#define _cleanup_fixture_ _cleanup_(fixture_done)

TEST(partition_has_place_and_node)
{
        _cleanup_fixture_ Fixture fixture = { 0 };
        _cleanup_free_ char *node = NULL, *model = NULL;
        uint64_t offset, size;

        CHECK_OK(fixture_make(&fixture));
        CHECK_OK(block_partition_place(&fixture.tree, makedev(254, 2), &offset, &size));
        CHECK_EQ(offset, 3 * MIB);
        CHECK_EQ(size, 8 * MIB);
        CHECK_EQ(block_partition_place(&fixture.tree, makedev(254, 0), &offset, &size), -ENODEV);
        CHECK_OK(block_partition_node(&fixture.tree, makedev(254, 0), 2, &node));
        CHECK_STR(strrchr(node, '/'), "/vda2");
        CHECK_EQ(block_partition_node(&fixture.tree, makedev(254, 0), 3, &node), -ENODEV);
        CHECK_EQ(block_partition_node(&fixture.tree, makedev(8, 0), 1, &node), -ENODEV);
        CHECK_OK(block_disk_attribute(&fixture.tree, makedev(254, 0), "device/model", &model));
        CHECK_STR(model, "Nice Disk");
        CHECK_EQ(block_disk_attribute(&fixture.tree, makedev(254, 0), "device/serial", &model), -ENOENT);
}

TEST(disk_is_found_from_disk_partition_and_device_mapper)
{
        static const unsigned devices[][2] = { { 254, 0 }, { 254, 2 }, { 253, 0 } };
        _cleanup_fixture_ Fixture fixture = { 0 };
        char *path = NULL;

        CHECK_OK(fixture_make(&fixture));
        for (size_t i = 0; i < ELEMENTS(devices); i++) {
                _cleanup_free_ char *found = NULL;

                CHECK_OK(block_disk_of(&fixture.tree, makedev(devices[i][0], devices[i][1]), &found));
                CHECK_STR(strrchr(found, '/'), "/vda");
        }
        CHECK_EQ(block_disk_of(&fixture.tree, makedev(0, 25), &path), -ENODEV);
}

TEST(device_that_is_made_from_itself_is_not_followed_for_ever)
{
        _cleanup_fixture_ Fixture fixture = { 0 };
        char *path = NULL;

        CHECK_OK(fixture_make(&fixture));
        CHECK_OK(put(fixture.sys, "devices/dm-1/dev", "253:1\n"));
        CHECK_OK(link_to(fixture.sys, "dev/block/253:1", "../../devices/dm-1"));
        CHECK_OK(link_to(fixture.sys, "devices/dm-1/slaves/dm-1", "../../dm-1"));
        CHECK_EQ(block_disk_of(&fixture.tree, makedev(253, 1), &path), -ENODEV);
}

TEST(disk_is_found_by_partuuid_unless_a_copy_of_it_is_there)
{
        _cleanup_fixture_ Fixture fixture = { 0 };
        _cleanup_free_ char *path = NULL;
        uint8_t uuid[UUID_SIZE], other[UUID_SIZE] = { 1 };

        memset(uuid, 0xa0, sizeof(uuid)); /* the ESP of image_layout() */
        CHECK_OK(fixture_make(&fixture));
        CHECK_EQ(block_disk_with_partuuid(&fixture.tree, uuid, &path), -ENODEV);
        CHECK_OK(add_node(&fixture, "vda"));
        CHECK_OK(block_disk_with_partuuid(&fixture.tree, uuid, &path));
        CHECK_STR(strrchr(path, '/'), "/vda");
        CHECK_EQ(block_disk_with_partuuid(&fixture.tree, other, &path), -ENODEV);
        CHECK_OK(add_node(&fixture, "dm-0"));
        free(TAKE_PTR(path));
        CHECK_EQ(block_disk_with_partuuid(&fixture.tree, uuid, &path), -ENOTUNIQ);
        /* A path of a multipath disk is held by it as a whole, and is not the one to use. */
        CHECK_OK(link_to(fixture.sys, "devices/vda/holders/dm-0", "../../dm-0"));
        CHECK_OK(block_disk_with_partuuid(&fixture.tree, uuid, &path));
        CHECK_STR(strrchr(path, '/'), "/dm-0");
}

TEST(disks_are_whole_and_those_that_cannot_be_used_are_among_them)
{
        static const char *const more[][3] = {
                /* name, size, ro */
                { "sda", "1000\n", "0\n" },
                { "sdb", "0\n", "0\n" }, /* a reader without a card */
                { "sdc", "1000\n", "1\n" },
                { "loop0", "1000\n", "0\n" },
                { "sr0", "1000\n", "0\n" },
                { "mmcblk0", "1000\n", "0\n" },
                { "mmcblk0boot0", "1000\n", "0\n" },
        };
        _cleanup_fixture_ Fixture fixture = { 0 };
        _cleanup_strv_ char **paths = NULL;

        CHECK_OK(fixture_make(&fixture));
        for (size_t i = 0; i < ELEMENTS(more); i++) {
                static const char *const files[] = { "size", "ro", "uevent" };
                char uevent[64], path[64], link[64], target[64];
                const char *const texts[] = { more[i][1], more[i][2], uevent };

                (void)snprintf(uevent, sizeof(uevent), "DEVNAME=%s\n", more[i][0]);
                for (size_t j = 0; j < ELEMENTS(files); j++) {
                        (void)snprintf(path, sizeof(path), "devices/%s/%s", more[i][0], files[j]);
                        CHECK_OK(put(fixture.sys, path, texts[j]));
                }
                (void)snprintf(link, sizeof(link), "class/block/%s", more[i][0]);
                (void)snprintf(target, sizeof(target), "../../devices/%s", more[i][0]);
                CHECK_OK(link_to(fixture.sys, link, target));
        }
        CHECK_OK(link_to(fixture.sys, "devices/sda/holders/md0", "../../md0"));
        CHECK_OK(block_disks(&fixture.tree, &paths));
        CHECK_EQ(strv_length(paths), 4);
        CHECK_STR(strrchr(paths[0], '/'), "/mmcblk0");
        CHECK_STR(strrchr(paths[1], '/'), "/sda");
        CHECK_STR(strrchr(paths[2], '/'), "/sdc");
        CHECK_STR(strrchr(paths[3], '/'), "/vda");
}

/* At the third and at the fifth look there is one disk more. */
typedef struct Late {
        const Fixture *fixture;
        unsigned steps;
        bool for_ever;
} Late;

static void add_late_disk(void *data)
{
        Late *late = data;
        char path[64], text[64], link[64];

        late->steps++;
        if (!late->for_ever && late->steps != 3 && late->steps != 5)
                return;
        (void)snprintf(path, sizeof(path), "devices/sd%u/size", late->steps);
        (void)put(late->fixture->sys, path, "1000\n");
        (void)snprintf(path, sizeof(path), "devices/sd%u/uevent", late->steps);
        (void)snprintf(text, sizeof(text), "DEVNAME=sd%u\n", late->steps);
        (void)put(late->fixture->sys, path, text);
        (void)snprintf(link, sizeof(link), "class/block/sd%u", late->steps);
        (void)snprintf(path, sizeof(path), "../../devices/sd%u", late->steps);
        (void)link_to(late->fixture->sys, link, path);
}

TEST(disks_that_come_late_are_waited_for)
{
        _cleanup_fixture_ Fixture fixture = { 0 };
        _cleanup_strv_ char **paths = NULL, **more = NULL;
        Late late = { .fixture = &fixture };
        BlockWait wait = { .quiet_steps = 5, .max_steps = 60, .step = add_late_disk, .data = &late };

        CHECK_OK(fixture_make(&fixture));
        CHECK_OK(block_disks_settled(&fixture.tree, &wait, &paths));
        CHECK_EQ(strv_length(paths), 3);
        CHECK_EQ(late.steps, 10);
        late.for_ever = true;
        CHECK_OK(block_disks_settled(&fixture.tree, &wait, &more));
        CHECK_EQ(late.steps, 70);
        CHECK_EQ(strv_length(more), 63);
}

TEST(a_serial_number_is_an_attribute_or_what_scsi_tells)
{
        static const struct {
                const char *bytes;
                size_t size;
                const char *serial; /* NULL: none */
        } pages[] = {
                { "\0\x80\0\x08  S-1 \0\0", 12, "S-1" },
                { "\0\x80\0\x02S-1", 7, "S-" },
                { "\0\x80\xff\xffS-1", 7, "S-1" }, /* longer than it is */
                { "\0\x83\0\x03S-1", 7, NULL },    /* another page */
                { "\0\x80\0\x03S\x1b"
                  "1",
                                7, NULL },
                { "\0\x80\0\x02  ", 6, NULL },
                { "\0\x80\0", 3, NULL },
        };
        _cleanup_fixture_ Fixture fixture = { 0 };
        char *serial = NULL;

        CHECK_OK(fixture_make(&fixture));
        CHECK_EQ(block_disk_serial(&fixture.tree, makedev(254, 0), &serial), -ENOENT);
        for (size_t i = 0; i < ELEMENTS(pages); i++) {
                _cleanup_free_ char *path = path_join(fixture.sys, "devices/vda/device/vpd_pg80");
                _cleanup_free_ char *found = NULL;

                CHECK_OK(file_replace(AT_FDCWD, path, pages[i].bytes, pages[i].size, 0644));
                CHECK_EQ(block_disk_serial(&fixture.tree, makedev(254, 0), &found),
                                pages[i].serial ? 0 : -ENOENT);
                if (pages[i].serial)
                        CHECK_STR(found, pages[i].serial);
        }
        CHECK_OK(put(fixture.sys, "devices/vda/serial", "V1\n"));
        CHECK_OK(block_disk_serial(&fixture.tree, makedev(254, 0), &serial));
        CHECK_STR(serial, "V1");
        free(serial);
}

TEST(node_names_that_lead_elsewhere_are_not_followed)
{
        _cleanup_fixture_ Fixture fixture = { 0 };
        char *path = NULL;

        CHECK_OK(fixture_make(&fixture));
        CHECK_OK(put(fixture.sys, "devices/vda/uevent", "DEVNAME=../etc/shadow\n"));
        CHECK_EQ(block_disk_of(&fixture.tree, makedev(254, 2), &path), -ENODEV);
}

TEST_MAIN
