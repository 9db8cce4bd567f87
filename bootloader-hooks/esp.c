/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"

#include "fat-repair.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <time.h>

#define LOCK_POLLS 300
#define LOCK_POLL_NANOSECONDS 100000000L /* 30 s in all */

struct Esp {
        int fd;       /* the root folder */
        int mount_fd; /* the mount, attached nowhere: its last descriptor unmounts it. -1 for a folder */
        int lock_fd;  /* the device, locked; -1 for a folder */
};

static int esp_new(int fd, int mount_fd, int lock_fd, Esp **ret, Error *error)
{
        Esp *esp = malloc(sizeof(Esp));

        if (!esp) {
                (void)fd_close(fd);
                (void)fd_close(mount_fd);
                (void)fd_close(lock_fd);
                return error_oom(error);
        }
        *esp = (Esp){ .fd = fd, .mount_fd = mount_fd, .lock_fd = lock_fd };
        *ret = esp;
        return 0;
}

static int set_option(int context_fd, unsigned command, const char *key, const char *value)
{
        return fsconfig(context_fd, command, key, value, 0) < 0 ? -errno : 0;
}

/* `dirsync` makes the new name of a renamed file reach the device before the old one is taken away, so that
 * a cut can leave both names but hardly neither. */
static int configure(int context_fd, const char *device, bool writable)
{
        int r = set_option(context_fd, FSCONFIG_SET_STRING, "source", device);

        if (r >= 0)
                r = set_option(context_fd, FSCONFIG_SET_FLAG, writable ? "dirsync" : "ro", NULL);
        if (r >= 0)
                r = set_option(context_fd, FSCONFIG_SET_STRING, "umask", "0077");
        if (r >= 0 && fsconfig(context_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                r = -errno;
        return r;
}

/* Our own programs take turns: engine, bless and an administrator's command mount with different options,
 * and the kernel would give the later one what the earlier one asked for, or refuse. */
static int lock_device(const char *device, int *ret_fd)
{
        _cleanup_fd_ int fd = open(device, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                return -errno;
        for (unsigned i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
                struct timespec pause = { .tv_nsec = LOCK_POLL_NANOSECONDS };

                if (errno != EWOULDBLOCK && errno != EINTR)
                        return -errno;
                if (i >= LOCK_POLLS)
                        return -EBUSY;
                (void)nanosleep(&pause, NULL);
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int esp_open(const char *device, bool writable, Esp **ret, Error *error)
{
        _cleanup_fd_ int context_fd = -1, mount_fd = -1, fd = -1, lock_fd = -1;
        int r = lock_device(device, &lock_fd);

        if (r < 0)
                return error_set(error, r == -EBUSY ? ERROR_BUSY : ERROR_IO, -r,
                                "cannot lock the boot partition %s: %s", device, strerror(-r));
        if (writable) {
                /* If it cannot be mended, or someone has it mounted, mounting will tell or it is no matter.
                 */
                FatRepair repair;

                (void)fat_repair_device(device, &repair);
        }
        context_fd = fsopen("vfat", FSOPEN_CLOEXEC);

        if (context_fd < 0)
                return error_set(error, errno == EPERM ? ERROR_PERMISSION : ERROR_MISSING_TOOL, errno,
                                "cannot prepare to mount the boot partition: %s", strerror(errno));
        r = configure(context_fd, device, writable);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot mount the boot partition %s: %s", device,
                                strerror(-r));
        mount_fd = fsmount(context_fd, FSMOUNT_CLOEXEC,
                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                        (writable ? 0 : MOUNT_ATTR_RDONLY));
        if (mount_fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot mount the boot partition %s: %s", device,
                                strerror(errno));
        /* fsmount() gives an O_PATH descriptor, by which nothing can be synced. */
        fd = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open the boot partition %s: %s", device,
                                strerror(errno));
        return esp_new(TAKE_FD(fd), TAKE_FD(mount_fd), TAKE_FD(lock_fd), ret, error);
}

int esp_open_folder(const char *path, Esp **ret, Error *error)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open the boot folder %s: %s", path,
                                strerror(errno));
        return esp_new(fd, -1, -1, ret, error);
}

int esp_fd(const Esp *esp)
{
        return esp->fd;
}

Esp *esp_close(Esp *esp)
{
        if (!esp)
                return NULL;
        (void)syncfs(esp->fd);
        (void)fd_close(esp->fd);
        (void)fd_close(esp->mount_fd);
        (void)fd_close(esp->lock_fd);
        free(esp);
        return NULL;
}
