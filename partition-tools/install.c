/* SPDX-License-Identifier: Apache-2.0 */
#include "install.h"

#include "file.h"
#include "grow.h"
#include "image-copy.h"
#include "partition-role.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* Wiped at both ends of the disk before the copy: whatever table, boot code or superblock was there. */
#define WIPE_SIZE MIB

static const char qcow2_magic[4] = "QFI\xfb";

typedef struct Install {
        int image_fd, target_fd;
        Gpt *gpt;            /* of the image, turned into that of the target */
        uint64_t first, end; /* bytes to copy: from the first partition to the end of the last */
} Install;

static void install_done(Install *install)
{
        (void)fd_close(install->image_fd);
        (void)fd_close(install->target_fd);
        (void)gpt_free(install->gpt);
}

static int open_image(const char *path, Install *install, Error *error)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        char magic[sizeof(qcow2_magic)];
        int r;

        install->image_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (install->image_fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open %s: %s", path, strerror(errno));
        if (pread_full(install->image_fd, magic, sizeof(magic), 0) >= 0 &&
                        memcmp(magic, qcow2_magic, sizeof(magic)) == 0)
                return error_set(error, ERROR_INCOMPATIBLE, ENOTSUP,
                                "%s is a qcow2 image; install the raw one (\"qemu-img convert -O raw\" "
                                "makes it)",
                                path);
        r = disk_open(path, &disk, error);
        if (r < 0)
                return r;
        if (disk->table.primary != GPT_COPY_GOOD || disk->table.backup != GPT_COPY_GOOD)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "%s is cut off or damaged: its primary partition table is %s, its backup %s",
                                path, gpt_copy_state_name(disk->table.primary),
                                gpt_copy_state_name(disk->table.backup));
        return gpt_read(install->image_fd, disk->sector_size_bytes, &install->gpt, error);
}

static int open_target(const InstallTarget *target, Install *install, Error *error)
{
        struct stat image, disk;
        unsigned sector_size = install->gpt->sector_size_bytes;
        int r = 0;

        install->target_fd = open(target->path,
                        O_RDWR | O_CLOEXEC | O_NOCTTY | (target->is_block_device ? O_EXCL : 0));
        if (install->target_fd < 0)
                return error_set(error, errno == EBUSY ? ERROR_BUSY : ERROR_IO, errno,
                                "cannot open %s for writing: %s", target->path, strerror(errno));
        if (fstat(install->image_fd, &image) < 0 || fstat(install->target_fd, &disk) < 0)
                return error_set(error, ERROR_IO, errno, "cannot look at %s: %s", target->path,
                                strerror(errno));
        if (image.st_dev == disk.st_dev && image.st_ino == disk.st_ino)
                return error_set(error, ERROR_USAGE, EINVAL, "%s is the image itself", target->path);
        if (target->is_block_device)
                r = gpt_sector_size(install->target_fd, &sector_size);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot look at %s: %s", target->path, strerror(-r));
        if (sector_size != install->gpt->sector_size_bytes)
                return error_set(error, ERROR_INCOMPATIBLE, ENOTSUP,
                                "the image is made for sectors of %u bytes, and those of %s have %u",
                                install->gpt->sector_size_bytes, target->path, sector_size);
        if (flock(install->target_fd, LOCK_EX | LOCK_NB) < 0)
                return error_set(error, ERROR_BUSY, errno, "another program has locked %s", target->path);
        return 0;
}

static int new_identifiers(Gpt *gpt)
{
        int r = uuid_random(gpt->disk_uuid);

        for (uint32_t i = 0; r >= 0 && i < gpt->entry_count; i++) {
                uint8_t uuid[UUID_SIZE];
                char type[UUID_TEXT_SIZE];
                PartitionRole role;
                GptEntry entry;

                if (!gpt_get(gpt, i, &entry))
                        continue;
                role = partition_role_from(uuid_format(entry.type, type), entry.name);
                if (role != PARTITION_ESP && role != PARTITION_VAR)
                        continue;
                r = uuid_random(uuid);
                if (r >= 0)
                        gpt_set_uuid(gpt, i, uuid);
        }
        return r;
}

/* Turns the image's table into the target's. */
static int plan_table(Install *install, const InstallTarget *target, Error *error)
{
        Gpt *gpt = install->gpt;
        char have[SIZE_TEXT_MAX], need[SIZE_TEXT_MAX];
        uint64_t needed_sectors;
        GptEntry entry;
        bool needed;
        int r;

        install->first = UINT64_MAX;
        for (uint32_t i = 0; i < gpt->entry_count; i++)
                if (gpt_get(gpt, i, &entry)) {
                        install->first = MIN_OF(install->first, entry.first_lba * gpt->sector_size_bytes);
                        install->end = MAX_OF(install->end, (entry.last_lba + 1) * gpt->sector_size_bytes);
                }
        needed_sectors = install->end / gpt->sector_size_bytes +
                         (gpt->disk_sectors - gpt->last_usable_lba - 1);
        gpt->disk_sectors = target->size_bytes / gpt->sector_size_bytes;
        if (gpt->disk_sectors < needed_sectors)
                return error_set(error, ERROR_NO_SPACE, ENOSPC, "%s has %s, and the image needs %s",
                                target->path, size_format(target->size_bytes, have),
                                size_format(needed_sectors * gpt->sector_size_bytes, need));
        r = grow_table(gpt, &needed, error);
        if (r < 0)
                return r;
        r = new_identifiers(gpt);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "the kernel gives no random numbers: %s",
                                strerror(-r));
        /* Neither copy will be there. The primary is the one that makes the disk bootable, so it goes last.
         */
        gpt->report.primary = GPT_COPY_GOOD;
        return 0;
}

static int prepare(const char *image_path, const InstallTarget *target, Install *install, Error *error)
{
        int r = open_image(image_path, install, error);

        if (r >= 0)
                r = open_target(target, install, error);
        return r < 0 ? r : plan_table(install, target, error);
}

int install_check(const char *image_path, const InstallTarget *target, Error *error)
{
        _cleanup_(install_done) Install install = { .image_fd = -1, .target_fd = -1 };

        return prepare(image_path, target, &install, error);
}

static int wipe_ends(int fd, uint64_t size_bytes)
{
        _cleanup_free_ uint8_t *zeros = calloc(1, WIPE_SIZE);
        int r;

        if (!zeros)
                return -ENOMEM;
        r = pwrite_full(fd, zeros, WIPE_SIZE, 0);
        if (r >= 0)
                r = pwrite_full(fd, zeros, WIPE_SIZE, size_bytes - WIPE_SIZE);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

static uint64_t var_size(const Gpt *gpt)
{
        uint64_t size = 0;
        GptEntry entry;

        /* var is the last partition: grow_table() made sure. */
        for (uint32_t i = 0; i < gpt->entry_count; i++)
                if (gpt_get(gpt, i, &entry) && strcmp(entry.name, partition_role_name(PARTITION_VAR)) == 0)
                        size = (entry.last_lba - entry.first_lba + 1) * gpt->sector_size_bytes;
        return size;
}

int install_image(const char *image_path, const InstallTarget *target, Progress *progress,
                InstallResult *ret, Error *error)
{
        _cleanup_(install_done) Install install = { .image_fd = -1, .target_fd = -1 };
        InstallResult result = { 0 };
        ImageCopy copy;
        int r = prepare(image_path, target, &install, error);

        if (r < 0)
                return r;
        r = wipe_ends(install.target_fd, target->size_bytes);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot write to %s: %s", target->path, strerror(-r));
        copy = (ImageCopy){
                .from_fd = install.image_fd,
                .to_fd = install.target_fd,
                .to_path = target->path,
                .to_is_block_device = target->is_block_device,
                .first_bytes = install.first,
                .end_bytes = install.end,
                .progress = progress,
        };
        r = image_copy(&copy, &result.written_bytes, error);
        if (r >= 0)
                r = image_compare(&copy, error);
        if (r >= 0)
                r = gpt_write(install.target_fd, install.gpt, error);
        if (r < 0)
                return r;
        if (target->is_block_device)
                (void)ioctl(install.target_fd, BLKRRPART); /* else the next to open it will do so */
        memcpy(result.disk_uuid, install.gpt->disk_uuid, UUID_SIZE);
        result.var_bytes = var_size(install.gpt);
        *ret = result;
        return 0;
}
