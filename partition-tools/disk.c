/* SPDX-License-Identifier: Apache-2.0 */
#include "disk.h"

#include "block-tree.h"
#include "file.h"
#include "partition-role.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

Disk *disk_free(Disk *disk)
{
        if (disk)
                free(disk->path);
        free(disk);
        return NULL;
}

void extent_done(Extent *extent)
{
        extent->fd = fd_close(extent->fd);
}

static int open_disk_file(const char *path, Disk *disk, Error *error)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat status;
        int r;

        if (fd < 0)
                return error_set(error, errno == EACCES || errno == EPERM ? ERROR_PERMISSION : ERROR_IO,
                                errno, "cannot open %s: %s", path, strerror(errno));
        if (fstat(fd, &status) < 0)
                return error_set(error, ERROR_IO, errno, "cannot look at %s: %s", path, strerror(errno));
        if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
                return error_set(error, ERROR_USAGE, EINVAL, "%s is neither a block device nor a disk image",
                                path);
        disk->is_block_device = S_ISBLK(status.st_mode);
        disk->path = strdup(path);
        if (!disk->path)
                return error_oom(error);
        r = fd_size(fd, &disk->size_bytes);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot find out the size of %s: %s", path,
                                strerror(-r));
        return TAKE_FD(fd);
}

static int take_role(Disk *disk, uint32_t index, const GptEntry *entry, Error *error)
{
        char type[UUID_TEXT_SIZE];
        PartitionRole role = partition_role_from(uuid_format(entry->type, type), entry->name);
        Partition *place;

        if (role == PARTITION_ROLE_MAX)
                return 0;
        place = &disk->partitions[role];
        if (place->exists)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "partitions %u and %u both claim to be %s",
                                place->number, index + 1, partition_role_name(role));
        *place = (Partition){
                .exists = true,
                .number = index + 1,
                .offset_bytes = entry->first_lba * disk->sector_size_bytes,
                .size_bytes = (entry->last_lba - entry->first_lba + 1) * disk->sector_size_bytes,
        };
        memcpy(place->uuid, entry->uuid, UUID_SIZE);
        return 0;
}

static int check_roles(const Disk *disk, Error *error)
{
        for (unsigned role = 0; role < PARTITION_VAR; role++)
                if (!disk->partitions[role].exists)
                        return error_set(error, ERROR_CORRUPT, EBADMSG,
                                        "this is not a disk of ours: it has no partition with type and "
                                        "label of %s",
                                        partition_role_name((PartitionRole)role));
        return 0;
}

/* gpt_read() and gpt_check() have made sure that every number that is used here lies on the disk. */
static int read_table(Disk *disk, int fd, Error *error)
{
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        GptEntry entry;
        int r = gpt_read(fd, 0, &gpt, error);

        if (r >= 0)
                r = gpt_check(gpt, error);
        if (r < 0)
                return r;
        disk->sector_size_bytes = gpt->sector_size_bytes;
        disk->table = gpt->report;
        memcpy(disk->uuid, gpt->disk_uuid, UUID_SIZE);
        for (uint32_t i = 0; r >= 0 && i < gpt->entry_count; i++)
                if (gpt_get(gpt, i, &entry))
                        r = take_role(disk, i, &entry, error);
        return r < 0 ? r : check_roles(disk, error);
}

int disk_open(const char *path, Disk **ret, Error *error)
{
        _cleanup_(disk_freep) Disk *disk = calloc(1, sizeof(*disk));
        _cleanup_fd_ int fd = -1;
        int r;

        if (!disk)
                return error_oom(error);
        fd = open_disk_file(path, disk, error);
        if (fd < 0)
                return fd;
        r = read_table(disk, fd, error);
        if (r < 0)
                return error_prefix(error, r, "%s", path);
        *ret = TAKE_PTR(disk);
        return 0;
}

/* The kernel may have read the table before it was changed: its nodes are then not what the table says. */
static int check_node(const Disk *disk, PartitionRole role, const char *node, Error *error)
{
        const Partition *partition = &disk->partitions[role];
        uint64_t offset_bytes, size_bytes;
        struct stat status;
        int r;

        if (stat(node, &status) < 0)
                return error_set(error, ERROR_IO, errno, "cannot look at %s: %s", node, strerror(errno));
        r = block_partition_place(&block_tree_default, status.st_rdev, &offset_bytes, &size_bytes);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "the kernel does not say where %s lies: %s", node,
                                strerror(-r));
        if (offset_bytes != partition->offset_bytes || size_bytes != partition->size_bytes)
                return error_set(error, ERROR_BUSY, EBUSY,
                                "the kernel still uses an older partition table of %s; reboot and try again",
                                disk->path);
        return 0;
}

static int require_partition(const Disk *disk, PartitionRole role, Error *error)
{
        if ((unsigned)role < PARTITION_ROLE_MAX && disk->partitions[role].exists)
                return 0;
        return error_set(error, ERROR_CORRUPT, ENOENT, "%s has no partition %s", disk->path,
                        partition_role_name(role));
}

static int find_node(const Disk *disk, PartitionRole role, char **ret, Error *error)
{
        struct stat status;
        int r;

        if (stat(disk->path, &status) < 0)
                return error_set(error, ERROR_IO, errno, "cannot look at %s: %s", disk->path,
                                strerror(errno));
        r = block_partition_node(&block_tree_default, status.st_rdev, disk->partitions[role].number, ret);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "%s: partition %u (%s) has no device node: %s",
                                disk->path, disk->partitions[role].number, partition_role_name(role),
                                strerror(-r));
        return 0;
}

int disk_partition_node(const Disk *disk, PartitionRole role, char **ret_path, Error *error)
{
        _cleanup_free_ char *node = NULL;
        int r = require_partition(disk, role, error);

        if (r < 0)
                return r;
        if (!disk->is_block_device)
                return error_set(error, ERROR_USAGE, ENOTBLK,
                                "%s is a file: its partitions have no device nodes", disk->path);
        r = find_node(disk, role, &node, error);
        if (r >= 0)
                r = check_node(disk, role, node, error);
        if (r < 0)
                return r;
        *ret_path = TAKE_PTR(node);
        return 0;
}

/* Where to open a partition: its node, or a part of the whole disk. A device that is not scanned for
 * partitions has no nodes; reading past that is harmless, writing would go behind the back of whoever scans
 * it next. */
static int choose_place(const Disk *disk, PartitionRole role, int flags, char **ret_node, Error *error)
{
        Error reason = { 0 };
        int r;

        if (!disk->is_block_device)
                return 0;
        r = disk_partition_node(disk, role, ret_node, &reason);
        if (r == -ENODEV && (flags & O_ACCMODE) == O_RDONLY)
                return 0;
        if (r < 0 && error)
                *error = reason;
        return r;
}

int disk_open_partition(const Disk *disk, PartitionRole role, int flags, Extent *ret, Error *error)
{
        _cleanup_free_ char *node = NULL;
        const char *path;
        int fd, r = require_partition(disk, role, error);

        if (r >= 0)
                r = choose_place(disk, role, flags, &node, error);
        if (r < 0)
                return r;
        path = node ? node : disk->path;
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return error_set(error, errno == EACCES || errno == EPERM ? ERROR_PERMISSION : ERROR_IO,
                                errno, "cannot open %s (%s): %s", path, partition_role_name(role),
                                strerror(errno));
        *ret = (Extent){ fd, node ? 0 : disk->partitions[role].offset_bytes,
                disk->partitions[role].size_bytes };
        return 0;
}
