/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int number _unused_)
{
        interrupted = 1;
}

void interrupt_catch(void)
{
        const struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART: poll() returns */

        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
        (void)sigaction(SIGHUP, &action, NULL);
}

bool interrupt_came(void)
{
        return interrupted != 0;
}

/* In the child. */
static _noreturn_ void become(const char *const *argv, const ChildPipes *pipes, pid_t parent)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || null < 0 ||
                        dup2(pipes->input >= 0 ? pipes->input : null, STDIN_FILENO) < 0 ||
                        dup2(pipes->output >= 0 ? pipes->output : null, STDOUT_FILENO) < 0 ||
                        dup2(pipes->errors >= 0 ? pipes->errors : null, STDERR_FILENO) < 0)
                _exit(126);
        for (const int *fd = pipes->kept; fd && *fd >= 0; fd++)
                if (fcntl(*fd, F_SETFD, 0) < 0)
                        _exit(126);
        execv(argv[0], (char *const *)argv);
        _exit(127);
}

int child_start(const char *const *argv, const ChildPipes *pipes, Child *ret, Error *error)
{
        pid_t parent = getpid(), pid = fork();

        if (pid == 0)
                become(argv, pipes, parent);
        if (pid < 0)
                return error_set(
                                error, ERROR_FAILED, errno, "cannot start %s: %s", argv[0], strerror(errno));
        *ret = (Child){ .pid = pid };
        return 0;
}

bool child_runs(Child *child)
{
        pid_t pid;

        if (child->pid == 0)
                return false;
        do {
                pid = waitpid(child->pid, &child->status, WNOHANG);
        } while (pid < 0 && errno == EINTR);
        if (pid == 0)
                return true;
        child->pid = 0;
        return false;
}

void child_kill(Child *child)
{
        if (!child_runs(child))
                return;
        (void)kill(child->pid, SIGKILL);
        while (waitpid(child->pid, &child->status, 0) < 0)
                if (errno != EINTR)
                        break;
        child->pid = 0;
}

int child_exit_status(const Child *child)
{
        return WIFEXITED(child->status) ? WEXITSTATUS(child->status) : 128 + WTERMSIG(child->status);
}
