/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a new /var, from boot to boot: in a folder that is the whole machine, where this program's mount()
 * puts one folder in the place of another. */
#include "file.h"
#include "init-mounts.h"
#include "test.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define VAR SYSROOT "/var"
#define PARTITION "/partition" /* while it is not mounted */
#define IMAGE_VAR "/image-var" /* the release's own, while the partition is mounted over it */
#define DATA "/lib/service/data"
#define NO_MOUNTS 77 /* exit status */

static bool is_disk_full; /* as it shows when /var is flushed */

int mount(const char *what, const char *where, const char *type, unsigned long flags, const void *options)
{
        if (strcmp(where, VAR) != 0)
                return 0;
        return rename(VAR, IMAGE_VAR) < 0 ? -1 : rename(PARTITION, VAR);
}

int syncfs(int fd)
{
        if (!is_disk_full)
                return (int)syscall(SYS_syncfs, fd);
        errno = ENOSPC;
        return -1;
}

static void alive(void)
{
}

static void must(int r)
{
        if (r < 0)
                abort();
}

static void boot(bool is_full)
{
        is_disk_full = is_full;
        must(init_mount_var("/dev/partition", false, alive, NULL));
        /* What each boot leaves a moment later. */
        must(directory_make(AT_FDCWD, VAR "/lib/bascule/etc/1/upper", 0755));
}

static void shut_down(void)
{
        must(rename(VAR, PARTITION));
        must(rename(IMAGE_VAR, VAR));
}

/* Copying files takes /proc, which a folder gets only by a mount of one's own. */
static bool get_proc(const char *machine)
{
        _cleanup_free_ char *proc = path_join(machine, "proc");

        return proc && unshare(CLONE_NEWNS) >= 0 &&
               syscall(SYS_mount, NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) >= 0 &&
               mkdir(proc, 0755) >= 0 &&
               syscall(SYS_mount, "/proc", proc, NULL, MS_BIND | MS_REC, NULL) >= 0;
}

static void live(const char *machine)
{
        must(chroot(machine));
        must(chdir("/"));
        must(directory_make(AT_FDCWD, VAR "/lib/service", 0755));
        must(file_replace(AT_FDCWD, VAR DATA, "x", 1, 0644));
        must(directory_make(AT_FDCWD, PARTITION "/lost+found", 0700));

        boot(true);
        shut_down();
        must(tree_remove(AT_FDCWD, PARTITION DATA)); /* it was not flushed */
        boot(false);
        CHECK_EQ(access(VAR DATA, F_OK), 0);
        shut_down();

        /* From now on it belongs to the host. */
        must(unlink(PARTITION DATA));
        boot(false);
        CHECK(access(VAR DATA, F_OK) < 0);
}

TEST(a_var_that_could_not_be_filled_is_filled_at_the_next_boot_and_then_no_more)
{
        char folder[] = "/tmp/bascule-var-XXXXXX";
        int status = -1;
        pid_t child;

        if (geteuid() != 0)
                TEST_SKIP("needs root, to have a root folder of its own");
        CHECK(mkdtemp(folder));
        (void)fflush(stdout);
        child = fork();
        if (child == 0) {
                if (!get_proc(folder))
                        _exit(NO_MOUNTS);
                live(folder);
                (void)fflush(stdout);
                _exit(test_failed);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_OK(tree_remove(AT_FDCWD, folder));
        if (WIFEXITED(status) && WEXITSTATUS(status) == NO_MOUNTS)
                TEST_SKIP("this machine lets nobody mount");
        CHECK_EQ(status, 0);
}

TEST_MAIN
