/* SPDX-License-Identifier: Apache-2.0 */
#include "init-mounts.h"

#include "bytes.h"
#include "file.h"
#include "init-clone.h"
#include "init-etc.h"
#include "init-system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define VAR SYSROOT "/var"
#define ETC SYSROOT "/etc"
#define ETC_MEMORY "/run/bascule/etc"
#define FILLED_FOLDER "lib/bascule" /* from /var */
#define FILLED FILLED_FOLDER "/filled"
#define REPAIR_SECONDS_MAX 900

#define EXT4_SUPERBLOCK_AT 1024
#define EXT4_FIELDS_SIZE 128
#define EXT4_MAGIC_AT 56
#define EXT4_MAGIC 0xef53
#define EXT4_STATE_AT 58
#define EXT4_STATE_CLEAN 1 /* and neither of the bits for errors and orphans */
#define EXT4_INCOMPAT_AT 96
#define EXT4_INCOMPAT_RECOVER 0x4u

static int open_folder(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int mount_on(const char *what, const char *path, const char *type, const char *options)
{
        return mount(what, path, type, MS_NOSUID | MS_NODEV, options) < 0 ? -errno : 0;
}

/* In a mount namespace of its own, so that /dev in the root goes away with the process. */
_noreturn_ static void run_repair(const char *option, const char *device)
{
        if (unshare(CLONE_NEWNS) < 0 || mount("/dev", SYSROOT "/dev", NULL, MS_BIND, NULL) < 0 ||
                        chroot(SYSROOT) < 0 || chdir("/") < 0)
                _exit(127);
        (void)execl("/sbin/e2fsck", "e2fsck", option, device, (char *)NULL);
        _exit(127);
}

/* The exit status of the release's own e2fsck; negative errno when it did not come to its end. */
static int repair_with(const char *option, const char *device, void (*alive)(void))
{
        int status = 0;
        pid_t child = fork(), r;

        if (child < 0)
                return -errno;
        if (child == 0)
                run_repair(option, device);
        for (unsigned i = 0; (r = waitpid(child, &status, WNOHANG)) == 0; i++) {
                if (i == REPAIR_SECONDS_MAX * 20)
                        (void)kill(child, SIGKILL);
                if (i % 20 == 0)
                        alive();
                (void)usleep(50000);
        }
        return r == child && WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

/* e2fsck(8): 4, errors are left; 8, it could not even begin. From 16 on it was not the filesystem. */
#define E2FSCK_LEFT 4
#define E2FSCK_OTHER 16

/* First what can be mended without asking. Where that wants a person (a torn superblock is enough), there is
 * none who could be asked, and everything that is in /var is lost if nothing is tried. With a superblock
 * from elsewhere not everything is mended at once, and that one says that all is well, while its groups are
 * those of another day: so the check is forced. Few words: the kernel's log takes ten lines at a time. */
static void repair_var(const char *device, void (*alive)(void))
{
        static const char *const options[] = { "-p", "-fy", "-fy", "-fy" };
        int status = E2FSCK_LEFT;

        if (access(SYSROOT "/sbin/e2fsck", X_OK) < 0)
                return;
        init_problem("checking %s", device);
        for (size_t i = 0; i < ELEMENTS(options); i++) {
                bool is_left = i == 1 ? status >= E2FSCK_LEFT && status < E2FSCK_OTHER
                                      : status > 0 && status & E2FSCK_LEFT;

                if (!is_left)
                        break;
                status = repair_with(options[i], device, alive);
                if (i > 0 || status > 1) /* all was well, or was mended */
                        init_problem("e2fsck %s of %s ended with %d", options[i], device, status);
        }
}

/* Whether it was not unmounted, or the kernel found something wrong with it. The kernel mounts such a
 * filesystem, but e2fsck knows more: when power was cut while /var grew, the kernel goes on with the number of
 * groups from before its journal was replayed, and soon finds its own metadata damaged. Fields of the
 * superblock: the kernel's documentation, filesystems/ext4/globals. */
static bool wants_check(const char *device)
{
        uint8_t superblock[EXT4_FIELDS_SIZE];
        _cleanup_fd_ int fd = open(device, O_RDONLY | O_CLOEXEC);

        return fd >= 0 && pread_full(fd, superblock, sizeof(superblock), EXT4_SUPERBLOCK_AT) >= 0 &&
               read_le16(superblock + EXT4_MAGIC_AT) == EXT4_MAGIC &&
               (read_le16(superblock + EXT4_STATE_AT) != EXT4_STATE_CLEAN ||
                               read_le32(superblock + EXT4_INCOMPAT_AT) & EXT4_INCOMPAT_RECOVER);
}

static int mount_persistent_var(const char *device, void (*alive)(void), Error *error)
{
        int r;

        if (!device || !*device)
                return error_set(error, ERROR_CORRUPT, ENODEV, "the disk has no var partition");
        if (wants_check(device))
                repair_var(device, alive);
        r = mount_on(device, VAR, "ext4", NULL);
        if (r >= 0)
                return 0;
        repair_var(device, alive);
        r = mount_on(device, VAR, "ext4", NULL);
        return r < 0 ? error_set(error, ERROR_CORRUPT, -r, "cannot mount %s on /var: %s", device,
                                       strerror(-r))
                     : 0;
}

/* Files that the image brings in its /var belong into every new one. FILLED comes last and says that this
 * was done; what failed is done again at the next boot. */
static int fill_var(int image_var_fd, Error *error)
{
        _cleanup_fd_ int var_fd = open_folder(VAR);
        int r;

        if (var_fd < 0)
                return error_set(error, ERROR_IO, -var_fd, "cannot open /var: %s", strerror(-var_fd));
        if (faccessat(var_fd, FILLED, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return 0;
        r = clone_tree(image_var_fd, var_fd, error);
        if (r < 0)
                return r;
        if (syncfs(var_fd) < 0)
                return error_set(error, ERROR_IO, errno, "cannot flush /var: %s", strerror(errno));
        r = directory_make(var_fd, FILLED_FOLDER, 0755);
        if (r >= 0)
                r = file_replace(var_fd, FILLED, "", 0, 0644);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot make /var/" FILLED ": %s", strerror(-r)) : 0;
}

int init_mount_var(const char *device, bool want_volatile, void (*alive)(void), Error *error)
{
        _cleanup_fd_ int image_var_fd = open_folder(VAR);
        Error problem = { 0 };
        int r;

        if (image_var_fd < 0)
                return error_set(error, ERROR_CORRUPT, -image_var_fd, "the release has no /var: %s",
                                strerror(-image_var_fd));
        if (want_volatile)
                r = error_set(&problem, ERROR_NONE, ECANCELED,
                                "the kernel command line asks for a volatile /var");
        else
                r = mount_persistent_var(device, alive, &problem);
        if (r < 0) {
                init_problem("%s; /VAR IS IN MEMORY ONLY: what is written there is lost at the next reboot",
                                problem.message);
                (void)init_write_file(VAR_VOLATILE_FILE, problem.message);
                r = mount_on("tmpfs", VAR, "tmpfs", "mode=0755,size=50%");
        }
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot mount memory on /var: %s", strerror(-r));
        error_clear(&problem);
        if (fill_var(image_var_fd, &problem) < 0)
                init_problem("cannot fill the new /var: %s", problem.message);
        return 0;
}

/* Options that keep the upper layer free of references into this release, so that the next one can clone it.
 */
static int mount_overlay(const char *upper_folder)
{
        _cleanup_free_ char *options = string_format(
                        "lowerdir=" ETC
                        ",upperdir=%s/upper,workdir=%s/work,index=off,metacopy=off,redirect_dir=off",
                        upper_folder, upper_folder);

        return options ? mount_on("overlay", ETC, "overlay", options) : -ENOMEM;
}

static int mount_persistent_etc(const char *version, Error *error)
{
        _cleanup_free_ char *layer = string_format(VAR "/" ETC_STATE_FOLDER "/%s", version);
        _cleanup_fd_ int state_fd = -1;
        int r;

        if (!layer)
                return error_oom(error);
        r = directory_make(AT_FDCWD, VAR "/" ETC_STATE_FOLDER, 0755);
        if (r >= 0)
                r = state_fd = open_folder(VAR "/" ETC_STATE_FOLDER);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot open the layers of /etc: %s", strerror(-r));
        r = etc_prepare(state_fd, version, error);
        if (r < 0)
                return r;
        r = mount_overlay(layer);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot mount the overlay on /etc: %s", strerror(-r))
                     : 0;
}

int init_mount_etc(const char *version, Error *error)
{
        Error problem = { 0 };
        int r = mount_persistent_etc(version, &problem);

        if (r >= 0)
                return 0;
        init_problem("%s; /ETC IS IN MEMORY ONLY: changes of it are lost at the next reboot",
                        problem.message);
        (void)init_write_file(ETC_VOLATILE_FILE, problem.message);
        r = directory_make(AT_FDCWD, ETC_MEMORY "/upper", 0755);
        if (r >= 0)
                r = directory_make(AT_FDCWD, ETC_MEMORY "/work", 0700);
        if (r >= 0)
                r = mount_overlay(ETC_MEMORY);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot mount memory on /etc: %s", strerror(-r)) : 0;
}

static int move_mounts(Error *error)
{
        static const char *const paths[] = { "/dev", "/proc", "/sys", "/run" };

        for (size_t i = 0; i < ELEMENTS(paths); i++) {
                char target[64];

                (void)snprintf(target, sizeof(target), SYSROOT "%s", paths[i]);
                if (mount(paths[i], target, NULL, MS_MOVE, NULL) < 0)
                        return error_set(error, ERROR_CORRUPT, errno, "cannot move %s into the release: %s",
                                        paths[i], strerror(errno));
        }
        return 0;
}

/* The initrd's files occupy memory that nothing would ever free. */
static void empty_initrd(int initrd_fd)
{
        DIR *directory = fdopendir(initrd_fd);
        struct dirent *item;

        while (directory && (item = readdir(directory))) {
                static const char *const kept[] = { ".", "..", "sysroot" };
                bool keep = false;

                for (size_t i = 0; i < ELEMENTS(kept); i++)
                        keep |= strcmp(item->d_name, kept[i]) == 0;
                if (!keep)
                        (void)tree_remove(dirfd(directory), item->d_name);
        }
        if (directory)
                (void)closedir(directory);
        else
                (void)fd_close(initrd_fd);
}

int init_switch_root(Error *error)
{
        int initrd_fd = open_folder("/");
        int r = initrd_fd < 0 ? error_set(error, ERROR_IO, -initrd_fd, "cannot open the initrd")
                              : move_mounts(error);

        if (r < 0)
                return r;
        if (chdir(SYSROOT) < 0)
                return error_set(error, ERROR_IO, errno, "cannot enter the release: %s", strerror(errno));
        empty_initrd(initrd_fd);
        if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
                return error_set(
                                error, ERROR_IO, errno, "cannot switch to the release: %s", strerror(errno));
        (void)execl("/sbin/init", "/sbin/init", (char *)NULL);
        return error_set(error, ERROR_CORRUPT, errno, "cannot start /sbin/init of the release: %s",
                        strerror(errno));
}
