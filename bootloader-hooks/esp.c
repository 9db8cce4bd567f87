/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"

#include "fat-move.h"
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
        char *device; /* NULL for a folder */
        bool is_writable;
};

static Esp *esp_new(void)
{
        Esp *esp = calloc(1, sizeof(Esp));

        if (esp)
                esp->fd = esp->mount_fd = esp->lock_fd = -1;
        return esp;
}

static int set_option(int context_fd, unsigned command, const char *key, const char *value)
{
        return fsconfig(context_fd, command, key, value, 0) < 0 ? -errno : 0;
}

/* Removals and new files reach the device one after the other. What they are worth is said in fat-move.h. */
static int configure(int context_fd, const char *device, bool writable)
{
        int r = set_option(context_fd, FSCONFIG_SET_STRING, "source", device);

        if (r >= 0)
                r = set_option(context_fd, FSCONFIG_SET_FLAG, writable ? "dirsync" : "ro", NULL);
        if (r >= 0)
                r = set_option(context_fd, FSCONFIG_SET_STRING, "umask", "0077");
        if (r >= 0 && fsconfig(context_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                r = errno == EACCES ? -EROFS : -errno; /* mount(2): the device is read-only */
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

static int mount_device(Esp *esp, Error *error)
{
        _cleanup_fd_ int context_fd = fsopen("vfat", FSOPEN_CLOEXEC);
        int r;

        if (context_fd < 0)
                return error_set(error, errno == EPERM ? ERROR_PERMISSION : ERROR_MISSING_TOOL, errno,
                                "cannot prepare to mount the boot partition: %s", strerror(errno));
        r = configure(context_fd, esp->device, esp->is_writable);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot mount the boot partition %s: %s", esp->device,
                                strerror(-r));
        esp->mount_fd = fsmount(context_fd, FSMOUNT_CLOEXEC,
                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                        (esp->is_writable ? 0 : MOUNT_ATTR_RDONLY));
        if (esp->mount_fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot mount the boot partition %s: %s",
                                esp->device, strerror(errno));
        /* fsmount() gives an O_PATH descriptor, by which nothing can be synced. */
        esp->fd = openat(esp->mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (esp->fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open the boot partition %s: %s",
                                esp->device, strerror(errno));
        return 0;
}

/* The last descriptors unmount it before close() returns. */
static void unmount(Esp *esp)
{
        if (esp->fd >= 0)
                (void)syncfs(esp->fd);
        esp->fd = fd_close(esp->fd);
        esp->mount_fd = fd_close(esp->mount_fd);
}

int esp_open(const char *device, bool writable, Esp **ret, Error *error)
{
        _cleanup_(esp_closep) Esp *esp = esp_new();
        int r;

        if (!esp || !(esp->device = strdup(device)))
                return error_oom(error);
        esp->is_writable = writable;
        r = lock_device(device, &esp->lock_fd);
        if (r < 0)
                return error_set(error, r == -EBUSY ? ERROR_BUSY : ERROR_IO, -r,
                                "cannot lock the boot partition %s: %s", device, strerror(-r));
        if (writable) {
                /* If it cannot be mended, or someone has it mounted, mounting will tell or it is no matter.
                 */
                FatRepair repair;

                (void)fat_repair_device(device, &repair);
        }
        r = mount_device(esp, error);
        if (r >= 0)
                *ret = TAKE_PTR(esp);
        return r;
}

int esp_open_folder(const char *path, Esp **ret, Error *error)
{
        _cleanup_(esp_closep) Esp *esp = esp_new();

        if (!esp)
                return error_oom(error);
        esp->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (esp->fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open the boot folder %s: %s", path,
                                strerror(errno));
        *ret = TAKE_PTR(esp);
        return 0;
}

static int open_below(const Esp *esp, const char *folder)
{
        int fd = openat(esp->fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int esp_sync_folder(int folder_fd)
{
        if (fsync(folder_fd) < 0 || syncfs(folder_fd) < 0)
                return -errno;
        return 0;
}

/* By the filesystem. */
static int move_mounted(const Esp *esp, const char *from_folder, const char *from, const char *to_folder,
                const char *to)
{
        _cleanup_fd_ int from_fd = open_below(esp, from_folder), to_fd = open_below(esp, to_folder);
        int r;

        if (from_fd < 0 || to_fd < 0)
                return from_fd < 0 ? from_fd : to_fd;
        r = renameat(from_fd, from, to_fd, to) < 0 ? -errno : esp_sync_folder(to_fd);
        return r < 0 ? r : esp_sync_folder(from_fd);
}

/* Below it. */
static int move_unmounted(Esp *esp, const char *from_folder, const char *from, const char *to_folder,
                const char *to, unsigned renames)
{
        _cleanup_fd_ int fd = -1;
        int r, mounted;

        unmount(esp);
        fd = open(esp->device, O_RDWR | O_EXCL | O_CLOEXEC | O_NOCTTY);
        r = fd < 0 ? -errno : fat_move(fd, from_folder, from, to_folder, to, renames);
        fd = fd_close(fd);
        mounted = mount_device(esp, NULL);
        return r < 0 ? r : mounted;
}

static int remove_file(const Esp *esp, const char *folder, const char *name)
{
        _cleanup_fd_ int fd = open_below(esp, folder);

        if (fd < 0)
                return fd;
        return unlinkat(fd, name, 0) < 0 ? -errno : esp_sync_folder(fd);
}

/* A folder grows when a long name comes, and stays as large when it goes. */
static int make_room(const Esp *esp, const char *folder)
{
        _cleanup_fd_ int folder_fd = open_below(esp, folder), fd = -1;
        char name[FAT_MOVE_ROOM_LENGTH + 1];

        if (folder_fd < 0)
                return folder_fd;
        memset(name, '_', sizeof(name) - 1);
        name[sizeof(name) - 1] = 0;
        fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd < 0 ? -errno : remove_file(esp, folder, name);
}

int esp_move(Esp *esp, const char *from_folder, const char *from, const char *to_folder, const char *to,
                unsigned renames)
{
        int r;

        if (!esp->device)
                return move_mounted(esp, from_folder, from, to_folder, to);
        r = move_unmounted(esp, from_folder, from, to_folder, to, renames);
        if (r == -EEXIST || r == -ENOSPC) {
                r = r == -EEXIST ? remove_file(esp, to_folder, to) : make_room(esp, to_folder);
                if (r >= 0)
                        r = move_unmounted(esp, from_folder, from, to_folder, to, renames);
        }
        /* Nothing was written then. Someone else may have it mounted; it is no worse than any other
         * program's rename. */
        if (r == -EBUSY || r == -EOPNOTSUPP || r == -EINVAL || r == -ENOSPC || r == -EBADMSG)
                r = move_mounted(esp, from_folder, from, to_folder, to);
        return r;
}

int esp_fd(const Esp *esp)
{
        return esp->fd;
}

Esp *esp_close(Esp *esp)
{
        if (!esp)
                return NULL;
        unmount(esp);
        (void)fd_close(esp->lock_fd);
        free(esp->device);
        free(esp);
        return NULL;
}
