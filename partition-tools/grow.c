/* SPDX-License-Identifier: Apache-2.0 */
#include "grow.h"

#include "ext4-size.h"
#include "file.h"
#include "layout.h"
#include "partition-role.h"

#include <fcntl.h>
#include <linux/blkpg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* Index of var, which must be the last partition on the disk. */
static int find_var(const Gpt *gpt, uint32_t *ret_index, GptEntry *ret_entry, Error *error)
{
        bool found = false;
        uint64_t last = 0;

        for (uint32_t i = 0; i < gpt->entry_count; i++) {
                char type[UUID_TEXT_SIZE];
                GptEntry entry;

                if (!gpt_get(gpt, i, &entry))
                        continue;
                last = MAX_OF(last, entry.last_lba);
                if (partition_role_from(uuid_format(entry.type, type), entry.name) != PARTITION_VAR)
                        continue;
                found = true;
                *ret_index = i;
                *ret_entry = entry;
        }
        if (!found)
                return error_set(error, ERROR_CORRUPT, ENOENT, "the disk has no partition var");
        if (ret_entry->last_lba < last)
                return error_set(error, ERROR_CORRUPT, EEXIST,
                                "another partition lies behind var, so it cannot grow");
        return 0;
}

int grow_table(Gpt *gpt, bool *ret_needed, Error *error)
{
        uint64_t per_mib = DISK_LAYOUT_ALIGNMENT / gpt->sector_size_bytes;
        uint64_t last_usable = gpt_last_usable_lba(gpt, gpt->disk_sectors), last;
        uint32_t index = 0;
        GptEntry var = { 0 };
        int r = gpt_check(gpt, error);

        if (r >= 0)
                r = find_var(gpt, &index, &var, error);
        if (r < 0)
                return r;
        if (last_usable < var.last_lba)
                return error_set(error, ERROR_NO_SPACE, ENOSPC,
                                "the disk is smaller than its partitions by %ju sectors",
                                (uintmax_t)(var.last_lba - last_usable));
        /* Where no whole MiB ends, var keeps its end. */
        last = MAX_OF((last_usable + 1) / per_mib * per_mib, var.last_lba + 1) - 1;
        *ret_needed = last != var.last_lba || last_usable != gpt->last_usable_lba ||
                      !gpt_report_is_good(&gpt->report);
        gpt->last_usable_lba = last_usable;
        gpt_set_last_lba(gpt, index, last);
        return 0;
}

/* The kernel changes the size of a partition in use. 0 when it did, 1 when it does not know the partition (a
 * disk that is not scanned for partitions): there is then nothing mounted that could grow. */
static int tell_kernel(int fd, const Partition *var, Error *error)
{
        struct blkpg_partition partition = {
                .start = (long long)var->offset_bytes,
                .length = (long long)var->size_bytes,
                .pno = (int)var->number,
        };
        struct blkpg_ioctl_arg argument = {
                .op = BLKPG_RESIZE_PARTITION,
                .datalen = sizeof(partition),
                .data = &partition,
        };

        if (ioctl(fd, BLKPG, &argument) >= 0)
                return 0;
        if (errno == ENXIO)
                return 1;
        return error_set(error, ERROR_BUSY, errno,
                        "the partition table is written, but the kernel does not take the new size of var "
                        "(%s); it will after a reboot",
                        strerror(errno));
}

static int grow_filesystem(const Disk *disk, GrowFilesystem *ret, Error *error)
{
        _cleanup_extent_ Extent var = { .fd = -1 };
        _cleanup_free_ char *mount_point = NULL;
        struct stat status;
        Ext4Size size;
        uint64_t wanted;
        int r = disk_open_partition(disk, PARTITION_VAR, O_RDONLY, &var, error);

        if (r < 0)
                return r;
        r = ext4_size_read(var.fd, var.offset_bytes, &size);
        *ret = GROW_FILESYSTEM_NONE;
        if (r == -ENODATA || r == -EBADMSG)
                return 0;
        if (r < 0 || fstat(var.fd, &status) < 0)
                return error_set(error, ERROR_IO, r < 0 ? -r : errno,
                                "cannot read the filesystem of var: %s", strerror(r < 0 ? -r : errno));
        wanted = var.size_bytes / size.block_size_bytes;
        *ret = GROW_FILESYSTEM_FULL_SIZE;
        if (size.blocks >= wanted)
                return 0;
        *ret = GROW_FILESYSTEM_NOT_MOUNTED;
        if (!disk->is_block_device || mount_point_of(status.st_rdev, &mount_point) < 0)
                return 0;
        r = ext4_grow_mounted(mount_point, status.st_rdev, wanted);
        if (r < 0)
                return error_set(error, r == -EPERM ? ERROR_PERMISSION : ERROR_IO, -r,
                                "cannot grow the filesystem on %s: %s", mount_point, strerror(-r));
        *ret = GROW_FILESYSTEM_GROWN;
        return 0;
}

static int write_table(int fd, const Gpt *gpt, Error *error)
{
        /* Asks udev not to look at the disk until it is whole again. */
        if (flock(fd, LOCK_EX) < 0)
                return error_set(error, ERROR_IO, errno, "cannot lock the disk: %s", strerror(errno));
        return gpt_write(fd, gpt, error);
}

static int open_for_writing(const char *path, Error *error)
{
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                return error_set(error, errno == EACCES || errno == EPERM ? ERROR_PERMISSION : ERROR_IO,
                                errno, "cannot open %s for writing: %s", path, strerror(errno));
        return fd;
}

/* Table and kernel. The kernel is told even when the table was right: a program that was killed in between
 * leaves just that behind. Returns 1 when there is no partition device to go on with. */
static int grow_partition(const char *path, GrowResult *result, Disk **ret_disk, Error *error)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        _cleanup_fd_ int fd = -1;
        bool needed;
        int r = disk_open(path, &disk, error);

        if (r < 0)
                return r;
        result->var_before_bytes = disk->partitions[PARTITION_VAR].size_bytes;
        fd = open_for_writing(path, error);
        if (fd < 0)
                return fd;
        r = gpt_read(fd, disk->sector_size_bytes, &gpt, error);
        if (r >= 0)
                r = grow_table(gpt, &needed, error);
        if (r >= 0 && needed)
                r = write_table(fd, gpt, error);
        if (r < 0)
                return r;
        result->table_written = needed;
        disk = disk_free(disk);
        r = disk_open(path, &disk, error);
        if (r < 0)
                return r;
        result->var_after_bytes = disk->partitions[PARTITION_VAR].size_bytes;
        r = disk->is_block_device ? tell_kernel(fd, &disk->partitions[PARTITION_VAR], error) : 0;
        if (r >= 0)
                *ret_disk = TAKE_PTR(disk);
        return r;
}

int grow_disk(const char *path, GrowResult *ret, Error *error)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        GrowResult result = { 0 };
        int r = grow_partition(path, &result, &disk, error);

        if (r == 0)
                r = grow_filesystem(disk, &result.filesystem, error);
        if (r < 0)
                return error_prefix(error, r, "%s", path);
        *ret = result;
        return 0;
}
