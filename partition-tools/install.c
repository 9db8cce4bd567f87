/* SPDX-License-Identifier: Apache-2.0 */
#include "install-check.h"

#include "block-tree.h"
#include "file.h"
#include "grow.h"
#include "image-copy.h"
#include "medium.h"
#include "partition-role.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

/* Wiped at both ends of the disk before the copy: whatever table, boot code or superblock was there. */
#define WIPE_SIZE MIB

#define LOCK_POLLS 300
#define LOCK_POLL_NANOSECONDS 100000000L /* 30 s in all */

static const char qcow2_magic[4] = "QFI\xfb";

typedef struct Install {
        int image_fd, target_fd;
        Gpt *gpt;            /* of the image, turned into that of the target */
        uint64_t first, end; /* bytes to copy: from the first partition to the end of the last */
        uint64_t esp_first, esp_end, esp_from; /* the ESP among them, and where the image has it */
} Install;

static void install_done(Install *install)
{
        (void)fd_close(install->image_fd);
        (void)fd_close(install->target_fd);
        (void)gpt_free(install->gpt);
}

/* A device that is larger than the image that was written to it has the backup where the primary says, and
 * not at its end. What is there may be that of an older image, over which this one was written by half. */
static bool is_whole(const Disk *disk)
{
        return disk->table.primary == GPT_COPY_GOOD && disk->table.backup_agrees &&
               (disk->table.backup == GPT_COPY_GOOD || disk->is_block_device);
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
        if (!is_whole(disk))
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "%s is cut off or damaged: its primary partition table is %s, its backup %s",
                                path, gpt_copy_state_name(disk->table.primary),
                                gpt_copy_state_name(disk->table.backup));
        return gpt_read(install->image_fd, disk->sector_size_bytes, &install->gpt, error);
}

/* Whoever closes a disk that was open for writing wakes udev, which locks it while it looks what is new: our
 * own look at it is enough. */
static int lock_target(int fd)
{
        const struct timespec pause = { .tv_nsec = LOCK_POLL_NANOSECONDS };

        for (unsigned i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
                if (errno != EWOULDBLOCK || i >= LOCK_POLLS)
                        return -errno;
                (void)nanosleep(&pause, NULL);
        }
        return 0;
}

/* Also through a partition, or what a volume made of one. */
static bool lies_on(const struct stat *image, const struct stat *disk)
{
        _cleanup_free_ char *path = NULL;
        struct stat below;

        if (image->st_dev == disk->st_dev && image->st_ino == disk->st_ino)
                return true;
        if (!S_ISBLK(image->st_mode) || !S_ISBLK(disk->st_mode))
                return false;
        return image->st_rdev == disk->st_rdev ||
               (block_disk_of(&block_tree_default, image->st_rdev, &path) >= 0 && stat(path, &below) >= 0 &&
                               below.st_rdev == disk->st_rdev);
}

static int open_target(const InstallTarget *target, Install *install, Error *error)
{
        struct stat image, disk;
        int r;

        install->target_fd = open(target->path,
                        O_RDWR | O_CLOEXEC | O_NOCTTY | (target->is_block_device ? O_EXCL : 0));
        if (install->target_fd < 0)
                return error_set(error, errno == EBUSY ? ERROR_BUSY : ERROR_IO, errno,
                                "cannot open %s for writing: %s", target->path, strerror(errno));
        if (fstat(install->image_fd, &image) < 0 || fstat(install->target_fd, &disk) < 0)
                return error_set(error, ERROR_IO, errno, "cannot look at %s: %s", target->path,
                                strerror(errno));
        if (lies_on(&image, &disk))
                return error_set(error, ERROR_USAGE, EINVAL,
                                "%s is the image itself, or what it lies on; name another disk",
                                target->path);
        if (!install_target_is(target, install->target_fd))
                return error_set(error, ERROR_REFUSED, ESTALE,
                                "%s is another disk than the one that was looked at; nothing was written",
                                target->path);
        r = lock_target(install->target_fd);
        return r < 0 ? error_set(error, ERROR_BUSY, -r, "another program has locked %s", target->path) : 0;
}

/* Only an installer carries what sectors of another size need. */
static int fit_sectors(Install *install, const InstallTarget *target, Error *error)
{
        Gpt *gpt = install->gpt;
        unsigned size = target->sector_size_bytes ? target->sector_size_bytes : gpt->sector_size_bytes;
        bool has_esp_of_its_own = medium_is(gpt);
        char type[UUID_TEXT_SIZE];
        GptEntry entry;
        int r = 0;

        if (has_esp_of_its_own)
                r = medium_take_out(gpt, size, &install->esp_from, error);
        else if (size != gpt->sector_size_bytes)
                return error_set(error, ERROR_INCOMPATIBLE, ENOTSUP,
                                "the image is made for sectors of %u bytes, and those of %s have %u; the "
                                "image of an installer (Formats=installer) fits both",
                                gpt->sector_size_bytes, target->path, size);
        for (uint32_t i = 0; i < gpt->entry_count; i++)
                if (gpt_get(gpt, i, &entry) && partition_role_from(uuid_format(entry.type, type),
                                                               entry.name) == PARTITION_ESP) {
                        install->esp_first = entry.first_lba * gpt->sector_size_bytes;
                        install->esp_end = (entry.last_lba + 1) * gpt->sector_size_bytes;
                }
        if (!has_esp_of_its_own)
                install->esp_from = install->esp_first;
        return r;
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
        needed_sectors = MAX_OF(needed_sectors, WIPE_SIZE / gpt->sector_size_bytes);
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
        if (r >= 0)
                r = install_refuse_copy(install->gpt, install->target_fd, target->path, error);
        if (r >= 0)
                r = fit_sectors(install, target, error);
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

/* A stretch of the target, unless it is empty: copied, or read back. */
static int treat(const Install *install, const InstallTarget *target, Progress *progress,
                const ImageCopy *range, uint64_t *written_bytes, Error *error)
{
        ImageCopy copy = *range;
        uint64_t written = 0;
        int r;

        if (copy.first_bytes >= copy.end_bytes)
                return 0;
        copy.from_fd = install->image_fd;
        copy.to_fd = install->target_fd;
        copy.to_path = target->path;
        copy.to_is_block_device = target->is_block_device;
        copy.progress = progress;
        r = written_bytes ? image_copy(&copy, &written, error) : image_compare(&copy, error);
        if (r >= 0 && written_bytes)
                *written_bytes += written;
        return r;
}

/* What is before the ESP, it, and what is behind it; all at once where the image has it at its place. */
static int treat_all(const Install *install, const InstallTarget *target, Progress *progress,
                uint64_t *written_bytes, Error *error)
{
        const ImageCopy whole = {
                .first_bytes = install->first, .end_bytes = install->end, .from_bytes = install->first
        };
        const ImageCopy parts[] = {
                { .first_bytes = install->first,
                                .end_bytes = install->esp_first,
                                .from_bytes = install->first },
                { .first_bytes = install->esp_first,
                                .end_bytes = install->esp_end,
                                .from_bytes = install->esp_from },
                { .first_bytes = install->esp_end,
                                .end_bytes = install->end,
                                .from_bytes = install->esp_end },
        };
        int r = 0;

        if (install->esp_from == install->esp_first)
                return treat(install, target, progress, &whole, written_bytes, error);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(parts); i++)
                r = treat(install, target, progress, &parts[i], written_bytes, error);
        return r;
}

int install_image(const char *image_path, const InstallTarget *target, Progress *progress,
                InstallResult *ret, Error *error)
{
        _cleanup_(install_done) Install install = { .image_fd = -1, .target_fd = -1 };
        InstallResult result = { 0 };
        int r = prepare(image_path, target, &install, error);

        if (r < 0)
                return r;
        r = wipe_ends(install.target_fd, target->size_bytes);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot write to %s: %s", target->path, strerror(-r));
        r = treat_all(&install, target, progress, &result.written_bytes, error);
        if (r >= 0)
                r = treat_all(&install, target, progress, NULL, error);
        if (r >= 0)
                r = install_verify(install.gpt, install.target_fd, progress, error);
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
