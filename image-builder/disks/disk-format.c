/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-format.h"
#include "disk-vmdk.h"

#include <fcntl.h>
#include <string.h>

const DiskFormat disk_formats[DISK_FORMAT_COUNT] = {
        { "raw.zst", "disk.raw.zst", disk_write_zst, false },
        { "vmdk", DISK_VMDK_FILE, disk_write_vmdk, false },
        { "ova", "disk.ova", disk_write_ova, false },
        { "vhd", "disk.vhd", disk_write_vhd, false },
        { "vdi", "disk.vdi", disk_write_vdi, false },
        { "gce", "disk.gce.tar.gz", disk_write_gce, false },
        { "tar", "root.tar", disk_write_tree, true },
};

int disk_write_failed(const char *format, int r, Error *error)
{
        return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                        "cannot write the %s image: %s", format, strerror(-r));
}

int disk_format_make(const DiskFormat *format, const DiskSource *source, const char *path, Error *error)
{
        _cleanup_fd_ int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot make %s: %s", path, strerror(errno));
        return format->write(source, fd, error);
}
