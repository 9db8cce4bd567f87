/* SPDX-License-Identifier: Apache-2.0 */
#include "ext4-size.h"

#include "bytes.h"
#include "file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Superblock, 1024 bytes into the filesystem, little-endian. */
#define EXT4_SUPERBLOCK_AT 1024
#define EXT4_BLOCKS_LOW_AT 4      /* u32 */
#define EXT4_LOG_BLOCK_SIZE_AT 24 /* u32: 1024 << value */
#define EXT4_MAGIC_AT 56          /* u16 */
#define EXT4_INCOMPAT_AT 96       /* u32 */
#define EXT4_BLOCKS_HIGH_AT 336   /* u32, with EXT4_INCOMPAT_64BIT */
#define EXT4_MAGIC 0xef53
#define EXT4_INCOMPAT_EXTENTS 0x40 /* tells ext4 from ext2 and ext3 */
#define EXT4_INCOMPAT_64BIT 0x80
#define EXT4_LOG_BLOCK_SIZE_MAX 6 /* 64 KiB */

/* The kernel's header for this is not exported: fs/ext4/ext4.h. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

#define MOUNTINFO_MAX (4 * MIB)

int ext4_size_read(int fd, uint64_t offset, Ext4Size *ret)
{
        uint8_t superblock[1024];
        uint32_t log_size, features;
        Ext4Size size;
        int r = pread_full(fd, superblock, sizeof(superblock), offset + EXT4_SUPERBLOCK_AT);

        if (r < 0)
                return r;
        features = read_le32(superblock + EXT4_INCOMPAT_AT);
        if (read_le16(superblock + EXT4_MAGIC_AT) != EXT4_MAGIC || (features & EXT4_INCOMPAT_EXTENTS) == 0)
                return -ENODATA;
        log_size = read_le32(superblock + EXT4_LOG_BLOCK_SIZE_AT);
        size.blocks = read_le32(superblock + EXT4_BLOCKS_LOW_AT);
        if ((features & EXT4_INCOMPAT_64BIT) != 0)
                size.blocks |= (uint64_t)read_le32(superblock + EXT4_BLOCKS_HIGH_AT) << 32;
        if (log_size > EXT4_LOG_BLOCK_SIZE_MAX || size.blocks == 0)
                return -EBADMSG;
        size.block_size_bytes = 1024U << log_size;
        *ret = size;
        return 0;
}

/* mountinfo writes white space and backslashes as \ooo. */
static void unescape(char *text)
{
        char *to = text;

        for (const char *p = text; *p; to++) {
                if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
                                p[3] >= '0' && p[3] <= '7') {
                        *to = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
                        p += 4;
                } else {
                        *to = *p++;
                }
        }
        *to = 0;
}

int mount_point_in(const char *mountinfo, dev_t device, char **ret_path)
{
        for (const char *line = mountinfo; line && *line; line = strchr(line, '\n')) {
                unsigned device_major, device_minor;
                char root[4096], path[4096];

                line += *line == '\n';
                if (sscanf(line, "%*u %*u %u:%u %4095s %4095s", &device_major, &device_minor, root, path) !=
                                4)
                        continue;
                /* A bind mount of a folder would do as well, but the whole filesystem is what is looked for.
                 */
                if (makedev(device_major, device_minor) != device || strcmp(root, "/") != 0)
                        continue;
                unescape(path);
                *ret_path = strdup(path);
                return *ret_path ? 0 : -ENOMEM;
        }
        return -ENOENT;
}

int mount_point_of(dev_t device, char **ret_path)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, &size);

        return r < 0 ? r : mount_point_in(text, device, ret_path);
}

int ext4_grow_mounted(const char *mount_point, dev_t device, uint64_t blocks)
{
        _cleanup_fd_ int fd = open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOCTTY);
        struct stat status;

        if (fd < 0 || fstat(fd, &status) < 0)
                return -errno;
        if (status.st_dev != device)
                return -EBUSY;
        return ioctl(fd, EXT4_IOC_RESIZE_FS, &blocks) < 0 ? -errno : 0;
}
