/* SPDX-License-Identifier: Apache-2.0 */
#include "confine.h"
#include "sort.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_FILTERED false /* see confine_enter() */
#else
#define IS_FILTERED true
#endif
#define NO_FILTER "a sanitizer runs without the filter"

/* Runs an attempt inside a role. How it ended: -SIGNAL, or the exit status: 0 it worked, 1 it was refused.
 */
static int attempt(const ConfineProfile *profile, int (*act)(void))
{
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
                struct rlimit none = { 0 };
                (void)setrlimit(RLIMIT_CORE, &none);
                (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                if (confine_enter(profile, NULL) < 0)
                        _exit(99);
                _exit(act() < 0 ? 1 : 0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                return 98;
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int act_nothing(void)
{
        void *memory = malloc(1 * MIB);
        if (memory)
                memset(memory, 1, 1 * MIB);
        free(memory);
        return 0;
}

static int act_open(void)
{
        return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int act_open_for_writing(void)
{
        return open("/tmp/bascule-confine-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int act_open_state(void)
{
        return open("/var/lib", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int act_socket(void)
{
        return socket(AF_INET, SOCK_STREAM, 0);
}

static int act_local_socket(void)
{
        return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int act_raw_socket(void)
{
        return socket(AF_PACKET, SOCK_RAW, 0);
}

static int act_machine_socket(void)
{
        return socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int act_exec(void)
{
        char *const argv[] = { (char *)"true", NULL };
        return execv("/bin/true", argv);
}

static int act_fork(void)
{
        pid_t pid = fork();
        if (pid == 0)
                _exit(0);
        return pid;
}

static int act_ptrace(void)
{
        return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int act_kill(void)
{
        return kill(getppid(), 0);
}

static int act_map_code(void)
{
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1
                                                                                                         : 0;
}

static int act_map_writable_code(void)
{
        void *memory = mmap(
                        NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return memory == MAP_FAILED ? -1 : 0;
}

static int act_make_code(void)
{
        void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return mprotect(memory, 4096, PROT_READ | PROT_EXEC);
}

static int act_setuid(void)
{
        return setuid(0);
}

static int act_unlink(void)
{
        return unlink("/tmp/bascule-confine-none");
}

static int compare_bytes(const void *a, const void *b)
{
        return *(const uint8_t *)a - *(const uint8_t *)b;
}

/* What the C library's qsort() may not: it asks how much memory there is. */
static int act_sort(void)
{
        uint8_t *bytes = calloc(1, 64 * KIB);
        if (!bytes)
                return -1;
        sort_in_place(bytes, 64 * KIB, 1, compare_bytes);
        free(bytes);
        return 0;
}

TEST(a_role_can_work)
{
        CHECK_EQ(attempt(&confine_apply, act_sort), 0);
        CHECK_EQ(attempt(&confine_apply, act_nothing), 0);
        CHECK_EQ(attempt(&confine_fetch, act_nothing), 0);
        CHECK_EQ(attempt(&confine_fetch, act_socket), 0);
        CHECK_EQ(attempt(&confine_fetch, act_open), 0);
        if (!IS_FILTERED)
                TEST_SKIP(NO_FILTER);
}

TEST(apply_cannot_leave)
{
        static int (*const acts[])(void) = { act_open, act_open_for_writing, act_socket, act_exec, act_fork,
                act_ptrace, act_kill, act_map_code, act_map_writable_code, act_make_code, act_setuid,
                act_unlink };
        if (!IS_FILTERED)
                TEST_SKIP(NO_FILTER);
        for (size_t i = 0; i < ELEMENTS(acts); i++)
                if (attempt(&confine_apply, acts[i]) != -SIGSYS)
                        TEST_FAIL("attempt %zu was not killed", i);
}

TEST(fetch_cannot_leave)
{
        static int (*const acts[])(void) = { act_exec, act_fork, act_ptrace, act_kill, act_map_writable_code,
                act_make_code, act_setuid, act_unlink };
        if (!IS_FILTERED)
                TEST_SKIP(NO_FILTER);
        for (size_t i = 0; i < ELEMENTS(acts); i++)
                if (attempt(&confine_fetch, acts[i]) != -SIGSYS)
                        TEST_FAIL("attempt %zu was not killed", i);
}

TEST(fetch_has_few_kinds_of_sockets)
{
        CHECK_EQ(attempt(&confine_fetch, act_local_socket), 0);
        if (!IS_FILTERED)
                TEST_SKIP(NO_FILTER);
        CHECK_EQ(attempt(&confine_fetch, act_raw_socket), 1);
        CHECK_EQ(attempt(&confine_fetch, act_machine_socket), 1);
}

/* On kernels with Landlock. */
TEST(fetch_sees_few_paths)
{
        int writing = attempt(&confine_fetch, act_open_for_writing),
            state = attempt(&confine_fetch, act_open_state);
        (void)unlink("/tmp/bascule-confine-test");
        if (writing == 0 && state == 0)
                TEST_SKIP("this kernel has no Landlock");
        CHECK_EQ(writing, 1);
        CHECK_EQ(state, 1);
}

TEST_MAIN
