/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "sandbox-internal.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* All of this runs in children of a fork and ends in sandbox_fail(), execve() or _exit(). */

#define HOST_NAME "localhost"

_noreturn_ void sandbox_fail(int report_fd, SandboxStage stage, int number, size_t command)
{
        SandboxReport report = { .stage = stage, .number = number, .command = command };

        (void)write_full(report_fd, &report, sizeof(report));
        _exit(1);
}

int sandbox_end_with(pid_t parent)
{
        return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ? -1 : 0;
}

int sandbox_make_mount_point(const char *name)
{
        struct stat status;

        if (mkdir(name, 0755) < 0 && errno != EEXIST)
                return -errno;
        if (lstat(name, &status) < 0)
                return -errno;
        return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int sandbox_make_shared_memory(void)
{
        int r = sandbox_make_mount_point("dev/shm");

        return r >= 0 && chmod("dev/shm", 01777) < 0 ? -errno : r;
}

static int add_device(const char *name)
{
        char source[64];
        int fd;

        (void)snprintf(source, sizeof(source), "/dev/%s", name);
        fd = open(source + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0)
                return -errno;
        (void)close(fd);
        return mount(source, source + 1, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static int mount_devices(void)
{
        static const char *const names[] = { "null", "zero", "full", "random", "urandom" };
        static const char *const links[][2] = { { "/proc/self/fd", "dev/fd" },
                { "/proc/self/fd/0", "dev/stdin" }, { "/proc/self/fd/1", "dev/stdout" },
                { "/proc/self/fd/2", "dev/stderr" } };
        int r = sandbox_make_mount_point("dev");

        if (r >= 0 && mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64m") < 0)
                r = -errno;
        for (size_t i = 0; r >= 0 && i < ELEMENTS(names); i++)
                r = add_device(names[i]);
        if (r >= 0)
                r = sandbox_make_shared_memory();
        for (size_t i = 0; r >= 0 && i < ELEMENTS(links); i++)
                if (symlink(links[i][0], links[i][1]) < 0)
                        r = -errno;
        return r;
}

/* In a container that hides parts of its own /proc the kernel gives no other. */
static int mount_proc(bool is_read_only)
{
        unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (is_read_only ? MS_RDONLY : 0);
        int r = sandbox_make_mount_point("proc");

        if (r >= 0 && mount("proc", "proc", "proc", flags, NULL) < 0 && errno != EPERM && errno != EACCES)
                r = -errno;
        return r;
}

/* From the scratch folder into its tree. A script cannot mount a /proc that is not there: the kernel gives
 * one only to who can see one. */
static int enter(const Sandbox *sandbox)
{
        int r;

        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                        mount(SANDBOX_TREE, SANDBOX_TREE, NULL, MS_BIND, NULL) < 0 ||
                        chdir(SANDBOX_TREE) < 0)
                return -errno;
        r = mount_devices();
        if (r >= 0)
                r = sandbox->is_without_proc ? sandbox_make_mount_point("proc")
                                             : mount_proc(sandbox->may_be_root);
        if (r < 0)
                return r;
        if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ||
                        sethostname(HOST_NAME, strlen(HOST_NAME)) < 0)
                return -errno;
        return 0;
}

/* In a mount namespace of its own: mounts of ours stay ours. A container may forbid it, and the root of a
 * chroot is no mount. */
static bool can_mount(void)
{
        return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* As sandbox_end_with() for who cannot see its parent, which alone holds the other end of a pipe. */
static int end_with_holder(int parent_fd)
{
        struct pollfd other = { .fd = parent_fd };

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&other, 1, 0) < 0)
                return -1;
        return other.revents ? -1 : 0;
}

/* The first process of its namespace, if it has one: when it ends, so does whatever it left running. */
static _noreturn_ void run_first(
                const Sandbox *sandbox, size_t number, bool has_spaces, int report_fd, int parent_fd)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC), r;
        int output = sandbox->log_fd >= 0 ? sandbox->log_fd : null;

        if (end_with_holder(parent_fd) < 0)
                _exit(1);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
                        dup2(output, STDERR_FILENO) < 0)
                sandbox_fail(report_fd, SANDBOX_MOUNT, errno, number);
        if (!has_spaces || sandbox->is_chroot || (sandbox->is_plain && !can_mount()))
                r = sandbox_enter_plain();
        else
                r = enter(sandbox);
        if (r < 0)
                sandbox_fail(report_fd, SANDBOX_MOUNT, -r, number);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setsid() < 0)
                sandbox_fail(report_fd, SANDBOX_MOUNT, errno, number);
        /* What whoever started us left open would lead out of the tree. */
        if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                sandbox_fail(report_fd, SANDBOX_MOUNT, errno, number);
        (void)umask(022);
        r = sandbox->may_be_root ? sandbox_drop_capabilities() : 0;
        if (r < 0)
                sandbox_fail(report_fd, SANDBOX_MOUNT, -r, number);
        (void)execve(sandbox->commands[number],
                        (char *const[]){ (char *)(uintptr_t)sandbox->commands[number], NULL },
                        (char *const *)(uintptr_t)sandbox->environment);
        sandbox_fail(report_fd, SANDBOX_START, errno, number);
}

int sandbox_wait(pid_t child)
{
        int status;

        while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Between: its child is the first of the new process namespace, and it is not in it itself. */
static _noreturn_ void run_between(const Sandbox *sandbox, size_t number, int report_fd, pid_t parent)
{
        int spaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
        int alive[2], status;
        bool has_spaces;
        pid_t child;

        if (sandbox_end_with(parent) < 0)
                _exit(1);
        has_spaces = unshare(spaces | (sandbox->with_network ? 0 : CLONE_NEWNET)) == 0;
        if ((!has_spaces && !sandbox->is_plain) || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ||
                        pipe2(alive, O_CLOEXEC) < 0)
                sandbox_fail(report_fd, SANDBOX_SPACES, errno, number);
        child = fork();
        if (child < 0)
                sandbox_fail(report_fd, SANDBOX_SPACES, errno, number);
        if (child == 0) {
                (void)close(alive[1]);
                run_first(sandbox, number, has_spaces, report_fd, alive[0]);
        }
        status = sandbox_wait(child);
        sandbox_end_children(); /* without a namespace of processes it may have left some */
        if (status != 0)        /* an earlier report of the child counts */
                sandbox_fail(report_fd, SANDBOX_COMMAND, status, number);
        _exit(0);
}

void sandbox_run_command(const Sandbox *sandbox, size_t number, int report_fd)
{
        pid_t parent = getpid(), child = fork();

        if (child < 0)
                sandbox_fail(report_fd, SANDBOX_SPACES, errno, number);
        if (child == 0)
                run_between(sandbox, number, report_fd, parent);
        if (sandbox_wait(child) != 0)
                sandbox_fail(report_fd, SANDBOX_COMMAND, 1, number);
}
