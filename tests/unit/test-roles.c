/* SPDX-License-Identifier: Apache-2.0 */
/* Beginning and end of roles, as children and as services. This program is the roles, too. */
#include "frames.h"
#include "role-service.h"
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define OTHER_USER 12345

/* Before main(): a role must not run the tests. */
__attribute__((constructor)) static void be_a_role(int argc, char **argv)
{
        int status;
        if (role_dispatch(argc, argv, &status))
                exit(status);
}

static char socket_path[] = "/tmp/bascule-roles-XXXXXX";

/* As bascule-fetch.socket: starts one process for each connection. */
static pid_t serve(unsigned connections)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        memcpy(socket_path + strlen(socket_path) - 6, "XXXXXX", 6);
        _cleanup_fd_ int file = mkstemp(socket_path), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        memcpy(address.sun_path, socket_path, sizeof(socket_path));
        if (file < 0 || fd < 0 || unlink(socket_path) < 0 ||
                        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0)
                return -1;
        pid_t pid = fork();
        if (pid != 0)
                return pid;
        (void)signal(SIGCHLD, SIG_IGN);
        while (connections-- > 0) {
                int connection = accept(fd, NULL, NULL);
                if (fork() == 0) {
                        char self[16], program[] = "/proc/self/exe", role[] = "--role=fetch";
                        (void)snprintf(self, sizeof(self), "%d", (int)getpid());
                        (void)setenv("LISTEN_PID", self, true);
                        (void)setenv("LISTEN_FDS", "1", true);
                        (void)setenv("ASAN_OPTIONS", "detect_leaks=0", true);
                        (void)dup2(connection, ROLE_FD_CONTROL);
                        (void)execv(program, (char *[]){ program, role, NULL });
                        _exit(1);
                }
                (void)close(connection);
        }
        _exit(0);
}

static void serve_end(pid_t pid)
{
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        (void)unlink(socket_path);
}

static int connect_role(const RoleFd *fds, size_t count, RoleProcess *ret, Error *error)
{
        static const RoleLimits limits = { 0 };
        const RoleService service = { socket_path, -1 };
        return role_start(ROLE_FETCH, &service, &limits, fds, count, ret, error);
}

/* What a role says to an order that it cannot follow. */
static int receive_refusal(const RoleProcess *process, FrameReader *reader, Error *error)
{
        Frame frame;
        (void)fcntl(process->control_fd, F_SETFL, 0);
        int r = frame_send(process->control_fd, FRAME_FETCH_STREAM, NULL);
        if (r >= 0)
                r = frame_receive(reader, process->control_fd, &frame);
        if (r < 0)
                return r;
        return frame.type == FRAME_FAILED ? frame_take_error(&frame, error) : 0;
}

TEST(a_child_starts_answers_and_ends)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(4096);
        RoleProcess process = ROLE_PROCESS_NONE;
        RoleLimits limits = { 0 };
        Error error = { 0 };
        CHECK_OK(role_start(ROLE_FETCH, NULL, &limits, NULL, 0, &process, &error));
        CHECK(!process.is_service);
        CHECK_EQ(receive_refusal(&process, &reader, &error), -EBADMSG);
        CHECK_EQ(role_wait(&process, ROLE_END_MS, &error), -EIO);
        CHECK_EQ(process.pid, 0);
        role_stop(&process);
}

TEST(a_service_starts_answers_and_ends)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(4096);
        RoleProcess process = ROLE_PROCESS_NONE;
        Error error = { 0 };
        int pipe_fds[2];
        char byte;
        pid_t server = serve(1);
        CHECK(server > 0);
        CHECK_OK(pipe2(pipe_fds, O_CLOEXEC));
        RoleFd data = { pipe_fds[1], ROLE_FD_DATA };
        CHECK_OK(connect_role(&data, 1, &process, &error));
        (void)close(pipe_fds[1]);
        CHECK(process.is_service && process.pid > 0 && process.pid != server);
        /* It holds the pipe for as long as it is there, and no longer. */
        struct pollfd wait = { .fd = pipe_fds[0], .events = POLLIN };
        CHECK_EQ(poll(&wait, 1, 0), 0);
        CHECK_EQ(receive_refusal(&process, &reader, &error), -EBADMSG);
        CHECK_EQ(role_wait(&process, ROLE_END_MS, &error), -EIO);
        CHECK(strstr(error.message, "makes no sense"));
        CHECK_EQ(read(pipe_fds[0], &byte, 1), 0);
        (void)close(pipe_fds[0]);
        serve_end(server);
}

TEST(a_service_is_killed_like_a_child)
{
        RoleProcess process = ROLE_PROCESS_NONE;
        int pipe_fds[2];
        char byte;
        pid_t server = serve(1);
        CHECK(server > 0);
        CHECK_OK(pipe2(pipe_fds, O_CLOEXEC));
        RoleFd data = { pipe_fds[1], ROLE_FD_DATA };
        CHECK_OK(connect_role(&data, 1, &process, NULL));
        (void)close(pipe_fds[1]);
        /* It can do nothing about its end itself. */
        CHECK_OK(kill(process.pid, SIGSTOP));
        role_stop(&process);
        CHECK_EQ(process.pid, 0);
        CHECK_EQ(process.control_fd, -1);
        CHECK_EQ(read(pipe_fds[0], &byte, 1), 0);
        (void)close(pipe_fds[0]);
        serve_end(server);
}

TEST(a_descriptor_at_a_number_of_another_is_refused)
{
        RoleProcess process = ROLE_PROCESS_NONE;
        const int numbers[] = { 0, ROLE_FD_CONTROL, ROLE_FD_MAX };
        pid_t server = serve(ELEMENTS(numbers));
        CHECK(server > 0);
        for (size_t i = 0; i < ELEMENTS(numbers); i++) {
                RoleFd bad = { STDIN_FILENO, numbers[i] };
                Error error = { 0 };
                CHECK_EQ(connect_role(&bad, 1, &process, &error), -EBADMSG);
                CHECK(strstr(error.message, "was not started as it should be"));
        }
        serve_end(server);
}

TEST(a_service_that_is_not_there_is_said)
{
        RoleProcess process = ROLE_PROCESS_NONE;
        static const RoleLimits limits = { 0 };
        static const RoleService nowhere = { "/nowhere/fetch", -1 };
        Error error = { 0 };
        CHECK_EQ(role_start(ROLE_FETCH, &nowhere, &limits, NULL, 0, &process, &error), -ENOENT);
        CHECK(strstr(error.message, "bascule-fetch.socket"));
        CHECK_EQ(process.pid, 0);
}

TEST(only_systemd_starts_a_service)
{
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
                char program[] = "/proc/self/exe", role[] = "--role=fetch";
                (void)unsetenv("LISTEN_FDS");
                (void)execv(program, (char *[]){ program, role, NULL });
                _exit(0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
}

/* Whoever closes its socket and lives on holds nothing up. */
TEST(a_role_that_does_not_end_is_stopped)
{
        RoleProcess process = ROLE_PROCESS_NONE;
        RoleLimits limits = { 0 };
        Error error = { 0 };
        CHECK_OK(role_spawn(ROLE_FETCH, &limits, NULL, 0, &process, &error));
        pid_t pid = process.pid;
        CHECK_OK(kill(pid, SIGSTOP));
        CHECK_EQ(role_wait(&process, 500, &error), -EIO);
        CHECK(strstr(error.message, "did not end"));
        CHECK(kill(pid, 0) < 0 && errno == ESRCH);
}

TEST(a_role_that_may_not_be_killed_is_given_up)
{
        RoleProcess process = ROLE_PROCESS_NONE;
        RoleLimits limits = { 0 };
        pid_t role = 0;
        int status = 0, pipe_fds[2];
        if (geteuid() != 0)
                TEST_SKIP("needs root, to become two users");
        CHECK_OK(pipe2(pipe_fds, O_CLOEXEC));
        pid_t pid = fork();
        if (pid == 0) {
                if (role_spawn(ROLE_FETCH, &limits, NULL, 0, &process, NULL) < 0 ||
                                kill(process.pid, SIGSTOP) < 0 ||
                                write(pipe_fds[1], &process.pid, sizeof(pid_t)) != sizeof(pid_t) ||
                                setresuid(OTHER_USER, OTHER_USER, OTHER_USER) < 0)
                        _exit(2);
                role_stop(&process);
                _exit(process.pid == 0 && process.control_fd < 0 ? 0 : 1);
        }
        CHECK_EQ(read(pipe_fds[0], &role, sizeof(role)), sizeof(role));
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_OK(kill(role, SIGKILL));
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), 0);
}

TEST_MAIN
