/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"
#include "file.h"
#include "process.h"
#include "sandbox-internal.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What the child tells through Pipes.ready. */
enum { READY_FOR_IDS, READY_PLAIN };

typedef struct Pipes {
        int ready[2], go[2], report[2];
} Pipes;
#define PIPES_CLOSED ((Pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } })

/* ---- the child ---- */

/* tar of this machine, with one end of it an archive. */
static int run_tar(const Sandbox *sandbox, char *const *argv, int input, int output)
{
        pid_t parent = getpid(), child = fork();

        if (child < 0)
                return 127;
        if (child == 0) {
                int null = open("/dev/null", O_RDWR | O_CLOEXEC);

                (void)umask(0);
                if (sandbox_end_with(parent) < 0 || null < 0 ||
                                dup2(input >= 0 ? input : null, STDIN_FILENO) < 0 ||
                                dup2(output >= 0 ? output : null, STDOUT_FILENO) < 0 ||
                                dup2(sandbox->log_fd >= 0 ? sandbox->log_fd : null, STDERR_FILENO) < 0)
                        _exit(127);
                (void)execve("/usr/bin/tar", argv, (char *[]){ (char[]){ "LC_ALL=C.UTF-8" }, NULL });
                _exit(127);
        }
        return sandbox_wait(child);
}

static int unpack_tree(const Sandbox *sandbox)
{
        const char *const argv[] = { "tar", "--extract", "--numeric-owner", "--same-owner",
                "--preserve-permissions", "--xattrs", "--xattrs-include=security.capability",
                "--xattrs-include=user.*", "--delay-directory-restore", "-C", SANDBOX_TREE, "-f", "-",
                NULL };

        return run_tar(sandbox, (char *const *)(uintptr_t)argv, sandbox->from_fd, -1);
}

static int pack_tree(const Sandbox *sandbox)
{
        const char *const argv[] = { "tar", "--create", "--numeric-owner", "--xattrs",
                "--xattrs-include=security.capability", "--xattrs-include=user.*", "--format=pax",
                "--sort=name", "-C", SANDBOX_TREE, "-f", "-", ".", NULL };

        return run_tar(sandbox, (char *const *)(uintptr_t)argv, -1, sandbox->to_fd);
}

/* The report is written once the folder is gone: the first one counts, and failures come before. */
static int work(const Sandbox *sandbox, int report_fd)
{
        int status = unpack_tree(sandbox);

        if (status != 0)
                sandbox_fail(report_fd, SANDBOX_UNPACK, status, 0);
        for (size_t i = 0; sandbox->commands[i]; i++)
                sandbox_run_command(sandbox, i, report_fd);
        status = pack_tree(sandbox);
        if (status != 0)
                sandbox_fail(report_fd, SANDBOX_PACK, status, 0);
        return 0;
}

static volatile sig_atomic_t worker; /* 0: there is none, or this is the worker */

static void end_worker(int number _unused_)
{
        if (worker > 0)
                (void)kill(worker, SIGKILL);
}

/* What would end us, who must remove the folder, ends the worker instead. What the caller ignores stays
 * ignored, but for what comes when the parent ends. */
static void catch_signals(sigset_t *ret)
{
        static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
        const struct sigaction action = { .sa_handler = end_worker };
        struct sigaction before;

        (void)sigemptyset(ret);
        for (size_t i = 0; i < ELEMENTS(signals); i++) {
                (void)sigaddset(ret, signals[i]);
                if (sigaction(signals[i], NULL, &before) == 0 &&
                                (before.sa_handler != SIG_IGN || signals[i] == SIGTERM))
                        (void)sigaction(signals[i], &action, NULL);
        }
}

/* Exit status of the worker, once it and all that it has left behind are gone. */
static int run_worker(const Sandbox *sandbox, int report_fd)
{
        pid_t parent = getpid(), child;
        sigset_t caught, before;
        int status;

        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
        (void)sigprocmask(SIG_SETMASK, NULL, &before);
        catch_signals(&caught);
        (void)sigprocmask(SIG_BLOCK, &caught, NULL);
        child = fork();
        if (child >= 0)
                worker = child;
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        if (child == 0)
                _exit(sandbox_end_with(parent) < 0 ? 1 : work(sandbox, report_fd));
        if (child < 0)
                return -errno;
        status = sandbox_wait(child);
        worker = 0;
        sandbox_end_children();
        return status;
}

/* Whether an errno of the kernel's means that this machine does not give that. */
static bool is_forbidden(int errnum)
{
        return errnum == EPERM || errnum == EACCES || errnum == ENOSYS || errnum == EINVAL;
}

static bool may_be_root(const Sandbox *sandbox)
{
        return sandbox->may_be_root && geteuid() == 0;
}

/* The work is a child of its own, so that what it leaves is removed however it ends. */
static _noreturn_ void run_child(Sandbox *sandbox, const Pipes *pipes, pid_t parent)
{
        SandboxReport done = { .stage = SANDBOX_DONE };
        char byte;
        int status;

        (void)close(pipes->go[1]); /* or the end of the parent would not be seen */
        /* Names on the way may be closed to the ids to come. */
        if (chdir(sandbox->folder) < 0)
                sandbox_fail(pipes->report[1], SANDBOX_SPACES, errno, 0);
        if (!sandbox->is_plain && unshare(CLONE_NEWUSER) < 0) {
                if (!may_be_root(sandbox) ||
                                (!is_forbidden(errno) && errno != ENOSPC)) /* as many as may be */
                        sandbox_fail(pipes->report[1], SANDBOX_USER, errno, 0);
                sandbox->is_plain = true;
        }
        byte = sandbox->is_plain ? READY_PLAIN : READY_FOR_IDS;
        if (write_full(pipes->ready[1], &byte, 1) < 0 || read_full(pipes->go[0], &byte, 1) < 0)
                _exit(1);
        (void)setgroups(0, NULL);
        if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                sandbox_fail(pipes->report[1], SANDBOX_USER, errno, 0);
        if (!sandbox->commands) { /* of sandbox_check() */
                (void)write_full(pipes->report[1], &done, sizeof(done));
                _exit(0);
        }
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
                _exit(1);
        if (mkdir(SANDBOX_TREE, 0755) < 0)
                sandbox_fail(pipes->report[1], SANDBOX_SPACES, errno, 0);
        status = run_worker(sandbox, pipes->report[1]);
        (void)tree_remove(AT_FDCWD, SANDBOX_TREE);
        if (status < 0)
                sandbox_fail(pipes->report[1], SANDBOX_SPACES, -status, 0);
        if (status == 0)
                (void)write_full(pipes->report[1], &done, sizeof(done));
        _exit(0);
}

/* ---- the parent ---- */

static int no_namespace(const char *user, int errnum, Error *error)
{
        return error_set(error, ERROR_MISSING_TOOL, errnum,
                        "%s needs a user namespace, so that scripts are root of the image and of nothing "
                        "else, and this machine gives none (%s); allow them (user.max_user_namespaces, "
                        "kernel.unprivileged_userns_clone, or the container's seccomp profile), or build "
                        "elsewhere",
                        user, errnum == ENOSPC ? "there are as many as may be" : strerror(errnum));
}

static int explain(const Sandbox *sandbox, const SandboxReport *report, Error *error)
{
        char line[PROCESS_LINE_MAX + 1];

        if (report->stage == SANDBOX_UNPACK || report->stage == SANDBOX_PACK ||
                        report->stage == SANDBOX_COMMAND)
                if (process_found_full_disk(sandbox->log_fd, line))
                        return error_set(error, ERROR_NO_SPACE, ENOSPC,
                                        "a disk is full, make room and run this again: %s", line);
        process_last_line(sandbox->log_fd, line);
        switch (report->stage) {
        case SANDBOX_DONE:
                return 0;
        case SANDBOX_USER:
                return no_namespace(sandbox->user, report->number, error);
        case SANDBOX_UNPACK:
        case SANDBOX_PACK:
                return error_set(error, ERROR_FAILED, EPROTO, "tar cannot %s the tree for scripts: %s",
                                report->stage == SANDBOX_PACK ? "collect" : "unpack", line);
        case SANDBOX_SPACES:
        case SANDBOX_MOUNT:
                if (report->number == ENOSPC && report->stage == SANDBOX_MOUNT)
                        return error_set(error, ERROR_NO_SPACE, ENOSPC,
                                        "a disk is full, make room and run this again");
                if (sandbox->is_plain)
                        return error_set(error, ERROR_MISSING_TOOL, report->number,
                                        "%s needs a user namespace, or as root a chroot with device nodes, "
                                        "and this machine gives neither: %s",
                                        sandbox->user, strerror(report->number));
                return error_set(error, ERROR_MISSING_TOOL, report->number,
                                "%s needs mounts in a user namespace, and this machine gives none: %s",
                                sandbox->user, strerror(report->number));
        case SANDBOX_START:
                return error_set(error, ERROR_FAILED, EIO, "it cannot be started: %s%s",
                                strerror(report->number),
                                report->number == ENOENT ? "; has the image what its first line names?"
                                                         : "");
        case SANDBOX_COMMAND:
                return error_set(error, ERROR_FAILED, EIO, "it failed with status %d%s%s", report->number,
                                line[0] ? ": " : "", line);
        }
        return error_set(error, ERROR_FAILED, EPROTO, "scripts ended in an unknown way");
}

static int follow(pid_t child, Sandbox *sandbox, const Pipes *pipes, SandboxRoot root, size_t *ret_failed,
                Error *error)
{
        SandboxReport report;
        char byte;
        int r = 0;

        if (read_full(pipes->ready[0], &byte, 1) >= 0) {
                sandbox->is_plain = byte == READY_PLAIN;
                if (sandbox->is_plain && sandbox->log_fd >= 0)
                        (void)dprintf(sandbox->log_fd,
                                        "there is no user namespace: scripts run as root of this "
                                        "machine, in the tree\n");
                r = byte == READY_PLAIN ? 0 : sandbox_map_ids(child, root, sandbox->user, error);
                sandbox->cannot_mount = may_be_root(sandbox) && is_forbidden(-r);
                if (r >= 0)
                        r = write_full(pipes->go[1], &byte, 1);
        }
        if (r < 0)
                return r;
        r = read_full(pipes->report[0], &report, sizeof(report));
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "scripts were ended from outside");
        sandbox->cannot_mount = may_be_root(sandbox) && is_forbidden(report.number) &&
                                (report.stage == SANDBOX_SPACES || report.stage == SANDBOX_MOUNT);
        if (ret_failed && (report.stage == SANDBOX_COMMAND || report.stage == SANDBOX_START))
                *ret_failed = report.command;
        return explain(sandbox, &report, error);
}

static void close_pair(int pair[static 2])
{
        pair[0] = fd_close(pair[0]);
        pair[1] = fd_close(pair[1]);
}

static void close_pipes(Pipes *pipes)
{
        close_pair(pipes->ready);
        close_pair(pipes->go);
        close_pair(pipes->report);
}

static int run(Sandbox *sandbox, Pipes *pipes, SandboxRoot root, size_t *ret_failed, Error *error)
{
        pid_t parent = getpid(), child;
        int r;

        if (pipe2(pipes->ready, O_CLOEXEC) < 0 || pipe2(pipes->go, O_CLOEXEC) < 0 ||
                        pipe2(pipes->report, O_CLOEXEC) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot start scripts: %s", strerror(errno));
        child = fork();
        if (child < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot start scripts: %s", strerror(errno));
        if (child == 0)
                run_child(sandbox, pipes, parent);
        pipes->ready[1] = fd_close(pipes->ready[1]);
        pipes->report[1] = fd_close(pipes->report[1]);
        pipes->go[0] = fd_close(pipes->go[0]);
        r = follow(child, sandbox, pipes, root, ret_failed, error);
        pipes->go[1] = fd_close(pipes->go[1]); /* a child that waits for it ends */
        (void)sandbox_wait(child);
        return r;
}

/* A script may open it again, by the name /dev/stderr. */
static bool has_log_file(const Sandbox *sandbox)
{
        struct stat status;

        return sandbox->log_fd >= 0 && fstat(sandbox->log_fd, &status) == 0 && S_ISREG(status.st_mode);
}

static int lend(const Sandbox *sandbox, SandboxRoot root, Error *error)
{
        _cleanup_fd_ int fd = open(sandbox->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = fd < 0 ? -errno : sandbox_lend(fd, root);

        if (r >= 0 && has_log_file(sandbox))
                r = sandbox_lend(sandbox->log_fd, root);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot give %s to scripts: %s", sandbox->folder,
                                       strerror(-r))
                     : 0;
}

/* Once more with less: without a user namespace, then in a chroot. No command has run. */
static int run_with_less(Sandbox *sandbox, SandboxRoot root, size_t *ret_failed, Error *error)
{
        Pipes pipes = PIPES_CLOSED;
        int r;

        error_clear(error);
        if (lseek(sandbox->from_fd, 0, SEEK_SET) < 0 || lseek(sandbox->to_fd, 0, SEEK_SET) < 0 ||
                        ftruncate(sandbox->to_fd, 0) < 0)
                return error_set(error, ERROR_IO, errno, "cannot rewind an archive: %s", strerror(errno));
        sandbox->is_chroot = sandbox->is_plain;
        sandbox->is_plain = true;
        r = run(sandbox, &pipes, root, ret_failed, error);
        close_pipes(&pipes);
        return r;
}

int sandbox_run(const Sandbox *sandbox, size_t *ret_failed, Error *error)
{
        Pipes pipes = PIPES_CLOSED;
        Sandbox own = *sandbox;
        SandboxRoot root;
        int r = sandbox_find_root(&root, error);

        if (r < 0)
                return r;
        own.is_without_proc = root == SANDBOX_ROOT_IS_ROOT && !sandbox->may_be_root;
        r = lend(sandbox, root, error);
        if (r >= 0)
                r = run(&own, &pipes, root, ret_failed, error);
        close_pipes(&pipes);
        while (r < 0 && own.cannot_mount && !own.is_chroot)
                r = run_with_less(&own, root, ret_failed, error);
        (void)tree_remove(AT_FDCWD, sandbox->folder); /* what the child may not */
        if (has_log_file(sandbox) && fchown(sandbox->log_fd, geteuid(), getegid()) < 0 && r >= 0)
                r = error_set(error, ERROR_FAILED, errno, "cannot take the log back from scripts: %s",
                                strerror(errno));
        return r;
}

int sandbox_check(const char *user, Error *error)
{
        Pipes pipes = PIPES_CLOSED;
        Sandbox none = { .folder = "/", .from_fd = -1, .to_fd = -1, .log_fd = -1, .user = user };
        int r = run(&none, &pipes, SANDBOX_ROOT_IS_COMMON, NULL, error);

        close_pipes(&pipes);
        return r;
}
