/* SPDX-License-Identifier: Apache-2.0 */
#include "install.h"

#include "block-tree.h"
#include "file.h"
#include "printable.h"
#include "probe.h"
#include "strv.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

InstallTarget *install_target_free(InstallTarget *target)
{
        if (target) {
                free(target->path);
                free(target->model);
                free(target->serial);
                (void)strv_free(target->contents);
        }
        free(target);
        return NULL;
}

static int describe(InstallTarget *target, const char *what, uint64_t size_bytes, const char *content)
{
        _cleanup_free_ char *sentence = NULL;
        char size[SIZE_TEXT_MAX];

        sentence = string_format(
                        "%s, %s%s%s", what, size_format(size_bytes, size), *content ? ": " : "", content);
        if (sentence)
                printable_make(sentence);
        return sentence ? strv_append(&target->contents, sentence) : -ENOMEM;
}

static int describe_partition(
                InstallTarget *target, int fd, const Gpt *gpt, uint32_t index, const GptEntry *entry)
{
        uint64_t offset = entry->first_lba * gpt->sector_size_bytes;
        uint64_t size = (entry->last_lba - entry->first_lba + 1) * gpt->sector_size_bytes;
        _cleanup_free_ char *what =
                        string_format("partition %u%s%s", index + 1, *entry->name ? " " : "", entry->name);
        _cleanup_free_ char *content = NULL;

        if (!what)
                return -ENOMEM;
        return describe(target, what, size, probe_content(fd, offset, size, &content) < 0 ? "" : content);
}

/* A screen full of them hides the question that comes after. */
static int describe_partitions(InstallTarget *target, int fd, const Gpt *gpt)
{
        _cleanup_free_ char *rest = NULL;
        unsigned count = 0;
        GptEntry entry;
        int r = 0;

        for (uint32_t i = 0; r >= 0 && i < gpt->entry_count; i++)
                if (gpt_get(gpt, i, &entry) && count++ < INSTALL_CONTENTS_MAX)
                        r = describe_partition(target, fd, gpt, i, &entry);
        if (r < 0 || count <= INSTALL_CONTENTS_MAX)
                return r;
        rest = string_format("and %u partitions more", count - INSTALL_CONTENTS_MAX);
        return rest ? strv_append(&target->contents, rest) : -ENOMEM;
}

/* The table for the disk's own sectors (0), or the one that another adapter left. */
static bool find_table(int fd, Gpt **ret)
{
        static const unsigned sector_sizes[] = { 0, 512, 4096 };

        for (size_t i = 0; i < ELEMENTS(sector_sizes); i++) {
                _cleanup_(gpt_freep) Gpt *gpt = NULL;

                if (gpt_read(fd, sector_sizes[i], &gpt, NULL) >= 0 && gpt_check(gpt, NULL) >= 0) {
                        *ret = TAKE_PTR(gpt);
                        return true;
                }
        }
        return false;
}

/* Everything that a person would miss: partitions, or whatever lies on the disk without any. */
static int describe_contents(InstallTarget *target, int fd)
{
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        _cleanup_free_ char *content = NULL;

        if (find_table(fd, &gpt))
                return describe_partitions(target, fd, gpt);
        if (probe_content(fd, 0, target->size_bytes, &content) < 0 || !*content)
                return 0;
        return describe(target, "the whole disk", target->size_bytes, content);
}

static char *attribute_or_empty(dev_t disk, const char *const *names)
{
        for (; *names; names++) {
                char *value = NULL;

                if (block_disk_attribute(&block_tree_default, disk, *names, &value) >= 0)
                        return value;
        }
        return strdup("");
}

static char *serial_or_empty(dev_t disk)
{
        char *serial = NULL;

        return block_disk_serial(&block_tree_default, disk, &serial) >= 0 ? serial : strdup("");
}

static int refuse_running_disk(const char *path, dev_t disk, Error *error)
{
        _cleanup_free_ char *running = NULL;
        struct stat status;

        if (disk_find_running(&running) >= 0 && stat(running, &status) >= 0 && status.st_rdev == disk)
                return error_set(error, ERROR_REFUSED, EPERM, "%s is the disk that this system runs from",
                                path);
        return 0;
}

static int open_exclusively(const char *path, const struct stat *status, Error *error)
{
        uint64_t offset, size;
        int fd, r;

        if (!S_ISBLK(status->st_mode) && !S_ISREG(status->st_mode))
                return error_set(error, ERROR_USAGE, EINVAL, "%s is neither a disk nor a disk image", path);
        if (S_ISBLK(status->st_mode)) {
                if (block_partition_place(&block_tree_default, status->st_rdev, &offset, &size) >= 0)
                        return error_set(error, ERROR_USAGE, EINVAL,
                                        "%s is a partition; name the whole disk that it lies on", path);
                r = refuse_running_disk(path, status->st_rdev, error);
                if (r < 0)
                        return r;
        }
        fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | (S_ISBLK(status->st_mode) ? O_EXCL : 0));
        if (fd < 0 && errno == EBUSY)
                return error_set(error, ERROR_BUSY, EBUSY,
                                "%s is in use: a partition of it is mounted, is swap, or belongs to a "
                                "volume",
                                path);
        if (fd < 0)
                return error_set(error, errno == EACCES || errno == EPERM ? ERROR_PERMISSION : ERROR_IO,
                                errno, "cannot open %s for writing: %s", path, strerror(errno));
        return fd;
}

static int identify(int fd, InstallTarget *target)
{
        struct stat status;

        if (fstat(fd, &status) < 0)
                return -errno;
        target->is_block_device = S_ISBLK(status.st_mode);
        target->device = target->is_block_device ? status.st_rdev : status.st_dev;
        target->inode = target->is_block_device ? 0 : status.st_ino;
        if (target->is_block_device && ioctl(fd, BLKGETDISKSEQ, &target->sequence) < 0)
                target->sequence = 0; /* a kernel that does not count */
        return fd_size(fd, &target->size_bytes);
}

bool install_target_is_same(const InstallTarget *a, const InstallTarget *b)
{
        return a->is_block_device == b->is_block_device && a->device == b->device && a->inode == b->inode &&
               a->sequence == b->sequence && a->size_bytes == b->size_bytes;
}

bool install_target_is(const InstallTarget *target, int fd)
{
        InstallTarget now = { 0 };

        return identify(fd, &now) >= 0 && install_target_is_same(target, &now);
}

int install_target_look(const char *path, InstallTarget **ret, Error *error)
{
        static const char *const model_names[] = { "device/model", "device/name", NULL };
        _cleanup_(install_target_freep) InstallTarget *target = calloc(1, sizeof(*target));
        _cleanup_fd_ int fd = -1;
        struct stat status;
        int r;

        if (!target)
                return error_oom(error);
        if (stat(path, &status) < 0)
                return error_set(error, ERROR_USAGE, errno, "cannot find %s: %s", path, strerror(errno));
        fd = open_exclusively(path, &status, error);
        if (fd < 0)
                return fd;
        r = identify(fd, target);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot look at %s: %s", path, strerror(-r));
        target->path = strdup(path);
        target->model = target->is_block_device ? attribute_or_empty((dev_t)target->device, model_names)
                                                : strdup("");
        target->serial = target->is_block_device ? serial_or_empty((dev_t)target->device) : strdup("");
        if (!target->path || !target->model || !target->serial)
                return error_oom(error);
        printable_make(target->model);
        printable_make(target->serial);
        if (target->is_block_device)
                r = gpt_sector_size(fd, &target->sector_size_bytes);
        if (r >= 0)
                r = describe_contents(target, fd);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot look at %s: %s", path, strerror(-r));
        *ret = TAKE_PTR(target);
        return 0;
}
