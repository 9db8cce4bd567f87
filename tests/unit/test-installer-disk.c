/* SPDX-License-Identifier: Apache-2.0 */
/* The medium that the builder makes: the same bytes each time, and every file system in it sound in the eyes
 * of the tools of others. */
#include "fat-volume.h"
#include "file.h"
#include "install.h"
#include "installer-disk.h"
#include "medium.h"
#include "test.h"
#include "verity.h"

#include <fcntl.h>
#include <string.h>

#define ESP_SIZE (40 * MIB)

static char folder[] = "/tmp/bascule-installer-XXXXXX";

static void remove_folder(void)
{
        (void)tree_remove(AT_FDCWD, folder);
}

static char *in_folder(const char *name)
{
        if (folder[sizeof(folder) - 2] == 'X') {
                if (!mkdtemp(folder))
                        abort();
                (void)atexit(remove_folder);
        }
        return path_join(folder, name);
}

static int judge(const char *command)
{
        _cleanup_free_ char *text = string_format(
                        "cd %s && PATH=$PATH:/usr/sbin:/sbin && { %s; } >>log 2>&1", folder, command);

        return text ? system(text) : -1;
}

static bool has_tools(void)
{
        free(in_folder(""));
        return judge("for tool in mkfs.vfat fsck.vfat mcopy mke2fs; do command -v $tool || exit 1; done") ==
               0;
}

static int put(const char *name, size_t size, int byte)
{
        _cleanup_free_ char *path = in_folder(name), *bytes = malloc(size);

        memset(bytes, byte, size);
        return file_replace(AT_FDCWD, path, bytes, size, 0644);
}

/* Makes the second file the hash tree of the first. */
static int seal(const char *root, const char *verity, uint8_t ret_root_hash[static SHA256_SIZE])
{
        VeritySuperblock superblock = { .data_blocks = 2 * MIB / VERITY_BLOCK_SIZE, .salt_size = 1 };
        _cleanup_fd_ int data = open(root, O_RDONLY | O_CLOEXEC), hash = open(verity, O_RDWR | O_CLOEXEC);
        int r = data < 0 || hash < 0 ? -EIO
                                     : verity_build(data, 0, 2 * MIB, superblock.salt, superblock.salt_size,
                                                       hash, 0, ret_root_hash, NULL, NULL, NULL);

        if (r >= 0)
                memcpy(superblock.uuid, ret_root_hash, UUID_SIZE);
        return r < 0 ? r : verity_superblock_write(hash, 0, &superblock);
}

/* disk.raw, and of it `name`. */
static int make(const char *disk, const char *name)
{
        _cleanup_free_ char *root = in_folder("root"), *verity = in_folder("verity"),
                            *uki = in_folder("uki"), *loader = in_folder("loader"), *own = in_folder("own"),
                            *raw = in_folder(disk), *medium = in_folder(name),
                            *scratch = in_folder("scratch");
        RawDiskParts parts = { .image_id = "metal",
                .version = "1",
                .architecture = "x86-64",
                .esp_size_bytes = ESP_SIZE,
                .slot_size_bytes = 64 * MIB,
                .var_size_bytes = 64 * MIB,
                .root_path = root,
                .verity_path = verity,
                .uki_path = uki,
                .boot_loader_path = loader,
                .root_size_bytes = 2 * MIB,
                .verity_size_bytes = MIB,
                .uki_size_bytes = 3 * MIB,
                .epoch = 1767323045 };
        InstallerParts installer = {
                .disk = &parts, .disk_path = raw, .uki_path = own, .uki_size_bytes = 4 * MIB
        };
        int r = directory_make(AT_FDCWD, scratch, 0755);

        if (r >= 0)
                r = put("root", 2 * MIB, 'r');
        if (r >= 0)
                r = put("verity", MIB, 'v');
        if (r >= 0)
                r = seal(root, verity, parts.root_hash);
        if (r >= 0)
                r = put("uki", 3 * MIB, 'u');
        if (r >= 0)
                r = put("own", 4 * MIB, 'i');
        if (r >= 0)
                r = put("loader", 100000, 'l');
        if (r >= 0)
                r = raw_disk_write(&parts, raw, scratch, -1, NULL);
        if (r >= 0)
                r = installer_disk_write(&installer, medium, scratch, -1, NULL);
        (void)tree_remove(AT_FDCWD, scratch);
        return r;
}

/* Copies a FAT out of a file and has it looked at: its sectors, and that this file in it is that one
 * outside. */
static int look(int fd, uint64_t at, uint64_t size, unsigned sector_size, const char *inside,
                const char *outside)
{
        _cleanup_free_ char *path = in_folder("fat"), *command = NULL, *bytes = malloc(size);
        FatVolume volume;
        int r = pread_full(fd, bytes, size, at);

        if (r >= 0)
                r = file_replace(AT_FDCWD, path, bytes, size, 0644);
        if (r >= 0)
                r = fat_volume_open_at(fd, at, &volume);
        if (r < 0)
                return r;
        r = volume.sector_size_bytes == sector_size ? 0 : -EBADMSG;
        fat_volume_done(&volume);
        command = string_format(
                        "fsck.vfat -n fat && MTOOLSRC=/dev/null mcopy -n -i fat '::%s' out && cmp out %s && "
                        "rm out && mtype -i fat ::/loader/loader.conf | grep -q 'timeout 0'",
                        inside, outside);
        return r < 0 ? r : judge(command) == 0 ? 0 : -EIO;
}

TEST(a_medium_starts_from_sectors_of_either_size_and_carries_an_esp_for_both)
{
        static const unsigned sector_sizes[] = { 512, 4096 };
        _cleanup_free_ char *path = in_folder("medium");
        _cleanup_fd_ int fd = -1;

        if (!has_tools())
                TEST_SKIP("dosfstools, mtools or e2fsprogs is not installed");
        CHECK_OK(make("disk", "medium"));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0);
        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++) {
                _cleanup_(gpt_freep) Gpt *gpt = NULL;
                unsigned number;
                uint64_t esp_at;
                GptEntry own;

                CHECK_OK(gpt_read(fd, sector_sizes[i], &gpt, NULL));
                CHECK_EQ(gpt->report.backup, GPT_COPY_GOOD);
                CHECK_OK(gpt_check(gpt, NULL));
                CHECK_OK(medium_find_esp(gpt, &number, &own));
                CHECK_OK(look(fd, own.first_lba * sector_sizes[i],
                                (own.last_lba - own.first_lba + 1) * sector_sizes[i], sector_sizes[i],
                                "/EFI/Linux/" INSTALLER_ENTRY, "own"));
                CHECK_OK(medium_take_out(gpt, sector_sizes[i], &esp_at, NULL));
                CHECK_OK(look(fd, esp_at, ESP_SIZE, sector_sizes[i], "/EFI/Linux/metal_1+3.efi", "uki"));
        }
}

TEST(a_medium_is_the_same_when_it_is_made_again)
{
        if (!has_tools())
                TEST_SKIP("dosfstools, mtools or e2fsprogs is not installed");
        CHECK_OK(make("disk-1", "medium-1"));
        CHECK_OK(make("disk-2", "medium-2"));
        CHECK_EQ(judge("cmp disk-1 disk-2 && cmp medium-1 medium-2"), 0);
}

TEST(what_is_installed_from_a_medium_is_the_disk_that_it_was_made_of)
{
        _cleanup_(install_target_freep) InstallTarget *target = NULL;
        _cleanup_free_ char *medium = in_folder("medium-3"), *path = in_folder("target");
        _cleanup_fd_ int fd = -1;
        InstallResult result;

        if (!has_tools())
                TEST_SKIP("dosfstools, mtools or e2fsprogs is not installed");
        CHECK_OK(make("disk-3", "medium-3"));
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        CHECK(fd >= 0);
        CHECK_OK(ftruncate(fd, (off_t)(400 * MIB)));
        CHECK_OK(install_target_look(path, &target, NULL));
        CHECK_OK(install_image(medium, target, NULL, &result, NULL));
        /* All but the tables, which have other identifiers and another size. */
        CHECK_EQ(judge("size=$(($(stat -c %s disk-3) - 2097152)) && cmp -i 1048576 -n $size disk-3 target"),
                        0);
}

TEST_MAIN
