/* SPDX-License-Identifier: Apache-2.0 */
#include "block-tree.h"

#include "file.h"
#include "gpt.h"
#include "strv.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

const BlockTree block_tree_default = { "/sys", "/dev" };

#define ATTRIBUTE_MAX 4096
/* Device-mapper on device-mapper on ...: deeper than anyone builds. */
#define STACK_MAX 8
/* The kernel counts these in 512 bytes whatever the disk's sectors are. */
#define SYSFS_SECTOR 512

typedef DIR *DirHandle;

static DirHandle dir_close(DirHandle dir)
{
        if (dir)
                (void)closedir(dir);
        return NULL;
}
DEFINE_CLEANUP(DirHandle, dir_close)

static char *device_folder(const BlockTree *tree, dev_t device)
{
        return string_format("%s/dev/block/%u:%u", tree->sys, major(device), minor(device));
}

static int read_attribute(const char *folder, const char *name, char **ret)
{
        _cleanup_free_ char *path = path_join(folder, name), *text = NULL;
        size_t size, start = 0;
        int r;

        if (!path)
                return -ENOMEM;
        r = file_read(AT_FDCWD, path, ATTRIBUTE_MAX, &text, &size);
        if (r < 0)
                return r;
        size = strlen(text);
        while (size > 0 && isspace((unsigned char)text[size - 1]))
                text[--size] = 0;
        while (isspace((unsigned char)text[start]))
                start++;
        memmove(text, text + start, size + 1 - MIN_OF(start, size));
        *ret = TAKE_PTR(text);
        return 0;
}

static int read_number(const char *folder, const char *name, uint64_t *ret)
{
        _cleanup_free_ char *text = NULL;
        char *end;
        uint64_t value;
        int r = read_attribute(folder, name, &text);

        if (r < 0)
                return r;
        errno = 0;
        value = strtoull(text, &end, 10);
        if (errno != 0 || end == text || *end)
                return -EBADMSG;
        *ret = value;
        return 0;
}

static int read_device_number(const char *folder, dev_t *ret)
{
        _cleanup_free_ char *text = NULL;
        unsigned device_major, device_minor;
        int r = read_attribute(folder, "dev", &text);

        if (r < 0)
                return r;
        if (sscanf(text, "%u:%u", &device_major, &device_minor) != 2)
                return -EBADMSG;
        *ret = makedev(device_major, device_minor);
        return 0;
}

/* DEVNAME of uevent: the node's name below /dev. */
static int node_path(const BlockTree *tree, const char *folder, char **ret)
{
        _cleanup_free_ char *text = NULL;
        char *name, *state = NULL;
        int r = read_attribute(folder, "uevent", &text);

        if (r < 0)
                return r;
        for (name = strtok_r(text, "\n", &state); name; name = strtok_r(NULL, "\n", &state))
                if (strncmp(name, "DEVNAME=", 8) == 0)
                        break;
        if (!name || strstr(name, ".."))
                return -ENODEV;
        *ret = path_join(tree->dev, name + 8);
        return *ret ? 0 : -ENOMEM;
}

int block_partition_place(
                const BlockTree *tree, dev_t partition, uint64_t *ret_offset_bytes, uint64_t *ret_size_bytes)
{
        _cleanup_free_ char *folder = device_folder(tree, partition);
        uint64_t start, size;
        int r;

        if (!folder)
                return -ENOMEM;
        r = read_number(folder, "start", &start);
        if (r >= 0)
                r = read_number(folder, "size", &size);
        if (r == -ENOENT)
                return -ENODEV;
        if (r < 0)
                return r;
        if (MUL_OVERFLOWS(start, (uint64_t)SYSFS_SECTOR, &start) ||
                        MUL_OVERFLOWS(size, (uint64_t)SYSFS_SECTOR, &size))
                return -EBADMSG;
        *ret_offset_bytes = start;
        *ret_size_bytes = size;
        return 0;
}

int block_partition_node(const BlockTree *tree, dev_t disk, unsigned number, char **ret_path)
{
        _cleanup_free_ char *folder = device_folder(tree, disk);
        _cleanup_(dir_closep) DirHandle dir = NULL;
        const struct dirent *entry;

        if (!folder)
                return -ENOMEM;
        dir = opendir(folder);
        if (!dir)
                return errno == ENOENT ? -ENODEV : -errno;
        while ((entry = readdir(dir))) {
                _cleanup_free_ char *child = path_join(folder, entry->d_name);
                uint64_t found;

                if (!child)
                        return -ENOMEM;
                if (entry->d_name[0] != '.' && read_number(child, "partition", &found) >= 0 &&
                                found == number)
                        return node_path(tree, child, ret_path);
        }
        return -ENODEV;
}

/* The first entry of a folder such as "slaves"; -ENOENT when it is empty or not there. */
static int first_entry(const char *folder, const char *name, char **ret)
{
        _cleanup_free_ char *path = path_join(folder, name);
        _cleanup_(dir_closep) DirHandle dir = NULL;
        const struct dirent *entry;

        if (!path)
                return -ENOMEM;
        dir = opendir(path);
        if (!dir)
                return -errno;
        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.') {
                        *ret = path_join(path, entry->d_name);
                        return *ret ? 0 : -ENOMEM;
                }
        return -ENOENT;
}

static bool has(const char *folder, const char *name)
{
        _cleanup_free_ char *path = path_join(folder, name);

        return path && access(path, F_OK) == 0;
}

/* From a device to what it was made from, or from a partition to its disk; -ENOENT at a whole disk. */
static int step_down(const BlockTree *tree, dev_t *device)
{
        _cleanup_free_ char *folder = device_folder(tree, *device), *below = NULL;
        int r;

        if (!folder)
                return -ENOMEM;
        if (!has(folder, "dev"))
                return -ENODEV;
        if (has(folder, "partition")) {
                /* The link leads into the disk's own folder. */
                _cleanup_free_ char *disk = path_join(folder, "..");

                return disk ? read_device_number(disk, device) : -ENOMEM;
        }
        r = first_entry(folder, "slaves", &below);
        return r < 0 ? r : read_device_number(below, device);
}

int block_disk_of(const BlockTree *tree, dev_t device, char **ret_path)
{
        for (unsigned depth = 0; depth < STACK_MAX; depth++) {
                _cleanup_free_ char *folder = NULL;
                int r = step_down(tree, &device);

                if (r >= 0)
                        continue;
                if (r != -ENOENT)
                        return r;
                folder = device_folder(tree, device);
                return folder ? node_path(tree, folder, ret_path) : -ENOMEM;
        }
        return -ENODEV;
}

static bool table_has_uuid(const char *node, const uint8_t uuid[static UUID_SIZE])
{
        _cleanup_fd_ int fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        GptEntry entry;

        if (fd < 0 || gpt_read(fd, 0, &gpt, NULL) < 0)
                return false;
        for (uint32_t i = 0; i < gpt->entry_count; i++)
                if (gpt_get(gpt, i, &entry) && memcmp(entry.uuid, uuid, UUID_SIZE) == 0)
                        return true;
        return false;
}

static bool is_disk(const char *folder)
{
        uint64_t size;

        return !has(folder, "partition") && read_number(folder, "size", &size) >= 0 && size > 0;
}

/* Partitions have no table; a disk that is held as a whole (a path of a multipath device) is not the one to
 * use. */
static bool is_candidate(const char *folder)
{
        _cleanup_free_ char *holder = NULL;

        return is_disk(folder) && first_entry(folder, "holders", &holder) < 0;
}

int block_disk_with_partuuid(const BlockTree *tree, const uint8_t uuid[static UUID_SIZE], char **ret_path)
{
        _cleanup_free_ char *class = path_join(tree->sys, "class/block"), *found = NULL;
        _cleanup_(dir_closep) DirHandle dir = NULL;
        const struct dirent *entry;

        if (!class)
                return -ENOMEM;
        dir = opendir(class);
        if (!dir)
                return errno == ENOENT ? -ENODEV : -errno;
        while ((entry = readdir(dir))) {
                _cleanup_free_ char *folder = path_join(class, entry->d_name), *node = NULL;

                if (!folder)
                        return -ENOMEM;
                if (entry->d_name[0] == '.' || !is_candidate(folder) || node_path(tree, folder, &node) < 0 ||
                                !table_has_uuid(node, uuid))
                        continue;
                if (found)
                        return -ENOTUNIQ;
                found = TAKE_PTR(node);
        }
        if (!found)
                return -ENODEV;
        *ret_path = TAKE_PTR(found);
        return 0;
}

/* mmcblk0boot0, mmcblk0rpmb: areas of a flash chip beside its disk. */
static bool is_flash_area(const char *name)
{
        return strncmp(name, "mmcblk", 6) == 0 && (strstr(name, "boot") || strstr(name, "rpmb"));
}

/* Devices that stand for something else than a disk, by the beginnings of their names. */
static bool is_disk_name(const char *name)
{
        static const char *const others[] = { ".", "loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd",
                "mtdblock" };

        for (size_t i = 0; i < ELEMENTS(others); i++)
                if (strncmp(name, others[i], strlen(others[i])) == 0)
                        return false;
        return !is_flash_area(name);
}

int block_disks(const BlockTree *tree, char ***ret_paths)
{
        _cleanup_free_ char *class = path_join(tree->sys, "class/block");
        _cleanup_(dir_closep) DirHandle dir = NULL;
        _cleanup_strv_ char **paths = NULL;
        const struct dirent *entry;
        int r = 0;

        if (!class)
                return -ENOMEM;
        dir = opendir(class);
        if (!dir && errno != ENOENT)
                return -errno;
        while (r >= 0 && dir && (entry = readdir(dir))) {
                _cleanup_free_ char *folder = path_join(class, entry->d_name), *node = NULL;

                if (!folder)
                        return -ENOMEM;
                if (is_disk_name(entry->d_name) && is_disk(folder) && node_path(tree, folder, &node) >= 0)
                        r = strv_append(&paths, node);
        }
        if (r < 0)
                return r;
        if (paths)
                strv_sort(paths);
        *ret_paths = TAKE_PTR(paths);
        return 0;
}

static bool is_same(char *const *a, char *const *b)
{
        size_t count = strv_length(a);

        if (count != strv_length(b))
                return false;
        for (size_t i = 0; i < count; i++)
                if (strcmp(a[i], b[i]) != 0)
                        return false;
        return true;
}

int block_disks_settled(const BlockTree *tree, const BlockWait *wait, char ***ret_paths)
{
        _cleanup_strv_ char **paths = NULL;
        unsigned quiet = 0;
        int r = block_disks(tree, &paths);

        for (unsigned i = 0; r >= 0 && quiet < wait->quiet_steps && i < wait->max_steps; i++) {
                char **now = NULL;

                wait->step(wait->data);
                r = block_disks(tree, &now);
                if (r < 0)
                        return r;
                quiet = is_same(paths, now) ? quiet + 1 : 0;
                (void)strv_free(paths);
                paths = now;
        }
        if (r < 0)
                return r;
        *ret_paths = TAKE_PTR(paths);
        return 0;
}

int block_disk_attribute(const BlockTree *tree, dev_t disk, const char *attribute, char **ret)
{
        _cleanup_free_ char *folder = device_folder(tree, disk);

        return folder ? read_attribute(folder, attribute, ret) : -ENOMEM;
}

#define VPD_HEADER_SIZE 4

/* Page 80h: its number at 1, the text's length at 2, big-endian, and the text. */
static int serial_from_page(const char *path, char **ret)
{
        _cleanup_free_ char *page = NULL;
        const uint8_t *bytes;
        size_t size, start = VPD_HEADER_SIZE, end;
        int r = file_read(AT_FDCWD, path, ATTRIBUTE_MAX, &page, &size);

        if (r < 0)
                return r;
        bytes = (const uint8_t *)page;
        if (size < VPD_HEADER_SIZE || bytes[1] != 0x80)
                return -ENOENT;
        end = MIN_OF(size, VPD_HEADER_SIZE + ((size_t)bytes[2] << 8 | bytes[3]));
        while (end > start && (bytes[end - 1] == ' ' || bytes[end - 1] == 0))
                end--;
        while (start < end && bytes[start] == ' ')
                start++;
        for (size_t i = start; i < end; i++)
                if (bytes[i] < 0x20 || bytes[i] > 0x7e)
                        return -ENOENT;
        if (start == end)
                return -ENOENT;
        *ret = strndup(page + start, end - start);
        return *ret ? 0 : -ENOMEM;
}

int block_disk_serial(const BlockTree *tree, dev_t disk, char **ret)
{
        static const char *const names[] = { "device/serial", "serial" };
        _cleanup_free_ char *folder = device_folder(tree, disk), *page = NULL;

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                _cleanup_free_ char *value = NULL;

                if (block_disk_attribute(tree, disk, names[i], &value) >= 0 && *value) {
                        *ret = TAKE_PTR(value);
                        return 0;
                }
        }
        page = folder ? path_join(folder, "device/vpd_pg80") : NULL;
        return page ? serial_from_page(page, ret) : -ENOMEM;
}
