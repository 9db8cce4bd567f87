/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "health-checks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

static uint64_t now_milliseconds(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_BOOTTIME, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* In the child: a group of its own, so that all of it can be killed. */
_noreturn_ static void run_child(const char *path, int output_fd)
{
        int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        (void)setpgid(0, 0);
        if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
                        dup2(output_fd, STDERR_FILENO) < 0)
                _exit(126);
        (void)execl(path, path, (char *)NULL);
        dprintf(STDERR_FILENO, "%s\n", strerror(errno));
        _exit(126);
}

/* Keeps the last HEALTH_OUTPUT_MAX bytes. */
static void keep_output(HealthCheck *check, const char *data, size_t size)
{
        size_t used = strlen(check->output), excess;

        if (size > HEALTH_OUTPUT_MAX) {
                data += size - HEALTH_OUTPUT_MAX;
                size = HEALTH_OUTPUT_MAX;
        }
        excess = used + size > HEALTH_OUTPUT_MAX ? used + size - HEALTH_OUTPUT_MAX : 0;
        memmove(check->output, check->output + excess, used - excess);
        used -= excess;
        for (size_t i = 0; i < size; i++)
                check->output[used + i] =
                                data[i] == '\n' || (data[i] >= ' ' && data[i] < 0x7f) ? data[i] : '?';
        check->output[used + size] = 0;
}

/* 1 at the end of the stream. */
static int take_output(HealthCheck *check, int fd, int copy_fd)
{
        char data[4096];
        ssize_t size = read(fd, data, sizeof(data));

        if (size < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : 1;
        if (size == 0)
                return 1;
        if (copy_fd >= 0)
                (void)write_full(copy_fd, data, (size_t)size);
        keep_output(check, data, (size_t)size);
        return 0;
}

static bool has_ended(pid_t child)
{
        siginfo_t info = { 0 };

        return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == child;
}

/* Until the check ends, not until its output does: a daemon that it left behind may hold that open. */
static bool watch(HealthCheck *check, pid_t child, int fd, int copy_fd, uint64_t deadline)
{
        bool is_open = true;

        while (!has_ended(child)) {
                struct pollfd item = { .fd = is_open ? fd : -1, .events = POLLIN };

                if (now_milliseconds() >= deadline)
                        return false;
                if (poll(&item, 1, 50) > 0)
                        is_open = take_output(check, fd, copy_fd) == 0;
        }
        while (is_open) {
                struct pollfd item = { .fd = fd, .events = POLLIN };

                if (poll(&item, 1, 0) <= 0)
                        break;
                is_open = take_output(check, fd, copy_fd) == 0;
        }
        return true;
}

static void judge(HealthCheck *check, int status, bool in_time)
{
        check->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (!in_time)
                check->result = HEALTH_TIMED_OUT;
        else
                check->result = check->status == 0 ? HEALTH_PASSED : HEALTH_FAILED;
}

static void run_check(HealthCheck *check, unsigned timeout_seconds, int copy_fd)
{
        _cleanup_fd_ int in_fd = -1, out_fd = -1;
        uint64_t start = now_milliseconds();
        int fds[2], status = 0;
        bool in_time;
        pid_t child;

        check->result = HEALTH_NOT_RUN;
        if (access(check->path, X_OK) < 0 || pipe2(fds, O_CLOEXEC) < 0) {
                check->status = errno;
                return;
        }
        in_fd = fds[0];
        out_fd = fds[1];
        child = fork();
        if (child == 0)
                run_child(check->path, out_fd);
        if (child < 0) {
                check->status = errno;
                return;
        }
        (void)setpgid(child, child);
        out_fd = fd_close(out_fd);
        in_time = watch(check, child, in_fd, copy_fd, start + UINT64_C(1000) * timeout_seconds);
        (void)kill(-child, SIGKILL); /* it is not reaped yet, so the group's number is still its own */
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                ;
        judge(check, status, in_time);
        check->milliseconds = now_milliseconds() - start;
}

int health_run(HealthReport *report, const char *version, bool is_trial, unsigned timeout_seconds,
                int output_fd, Error *error)
{
        if (setenv("BASCULE_VERSION", version, 1) < 0 ||
                        setenv("BASCULE_TRIAL", is_trial ? "yes" : "no", 1) < 0)
                return error_oom(error);
        report->is_healthy = true;
        for (size_t i = 0; i < report->count; i++) {
                run_check(&report->checks[i], timeout_seconds, output_fd);
                report->is_healthy &= report->checks[i].result == HEALTH_PASSED;
        }
        return 0;
}
