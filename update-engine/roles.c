/* SPDX-License-Identifier: Apache-2.0 */
#include "roles.h"

#include "apply.h"
#include "fetch.h"
#include "frames.h"
#include "role-service.h"
#include "sha256.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ROLE_ARGUMENT "--role="
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)
#define UID_NOBODY 65534
#define STOP_MS 5000 /* for a role that may not be killed */

static const Role roles[ROLE_NAME_MAX] = {
        [ROLE_FETCH] = { .name = "fetch",
                        .user = "bascule-fetch",
                        .main = fetch_main,
                        .confine = &confine_fetch,
                        .is_service = true,
                        .address_space_bytes = 512 * MIB, /* mostly reserved: stacks of resolver threads */
                        .open_files = 64 },
        [ROLE_APPLY] = { .name = "apply",
                        .user = "bascule-apply",
                        .main = apply_main,
                        .confine = &confine_apply,
                        .is_idle = true,
                        .address_space_bytes = 96 * MIB,
                        .open_files = ROLE_FD_MAX },
};

/* Everything from here to role_dispatch() runs in the new process, before it has read a byte. */

static int set_limit(int resource, uint64_t value)
{
        struct rlimit limit = { .rlim_cur = value, .rlim_max = value };
        return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno : 0;
}

/* Yields to whatever else the machine does. Not being able to is no reason to stop. */
static void be_idle(void)
{
        struct sched_param parameter = { 0 };
        (void)sched_setscheduler(0, SCHED_IDLE, &parameter);
        (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

static int drop_user(const Role *role)
{
        if (geteuid() != 0)
                return 0;
        /* A host without its sysusers.d run still parts with its privileges. */
        const struct passwd *user = getpwnam(role->user);
        uid_t uid = user ? user->pw_uid : UID_NOBODY;
        gid_t gid = user ? user->pw_gid : UID_NOBODY;
        if (uid == 0 || gid == 0)
                return -EPERM;
        if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
                return -errno;
        return setuid(0) == 0 ? -EPERM : 0;
}

static int set_limits(const Role *role, const RoleLimits *limits)
{
        int r = set_limit(RLIMIT_CORE, 0);
        if (r >= 0)
                r = set_limit(RLIMIT_NOFILE, role->open_files);
        if (r >= 0)
                r = set_limit(RLIMIT_FSIZE, limits->file_size_bytes);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        /* A sanitizer reserves terabytes of addresses. */
        if (r >= 0)
                r = set_limit(RLIMIT_AS, role->address_space_bytes + limits->memory_bytes);
        if (r >= 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
                r = -errno;
#endif
        return r;
}

static int enter(const Role *role, const RoleLimits *limits, Error *error)
{
        (void)signal(SIGPIPE, SIG_IGN);
        if (role->is_idle)
                be_idle();
        int r = drop_user(role);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r,
                                "role %s cannot become user %s: %s; run systemd-sysusers", role->name,
                                role->user, strerror(-r));
        /* After the change of user, which would clear the signal. Should the parent be gone before this
         * call, the control socket is at its end and the role ends at its first read. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_set(error, ERROR_FAILED, errno, "role %s: %s", role->name, strerror(errno));
        r = set_limits(role, limits);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "role %s: limits: %s", role->name, strerror(-r));
        /* OpenSSL reads its configuration when it is used first; later there is no way to. */
        uint8_t hash[SHA256_SIZE];
        sha256_of("", 0, hash);
        return confine_enter(role->confine, error);
}

static const Role *find_role(const char *name)
{
        for (size_t i = 0; i < ROLE_NAME_MAX; i++)
                if (strcmp(name, roles[i].name) == 0)
                        return &roles[i];
        return NULL;
}

/* A child has its limits as arguments; a service is given them by its connection. */
static int begin(const Role *role, int argc, char **argv, Error *error)
{
        RoleLimits limits = { 0 };
        bool is_service = argc == 2;
        int r = 0;
        if (is_service)
                r = role_service_begin(&limits);
        else
                limits = (RoleLimits){ strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10) };
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "role %s was not started as it should be: %s",
                                role->name, strerror(-r));
        r = enter(role, &limits, error);
        return r >= 0 && is_service ? frame_send(ROLE_FD_CONTROL, FRAME_ROLE_READY, NULL) : r;
}

bool role_dispatch(int argc, char **argv, int *ret_status)
{
        Error error = { 0 };
        if ((argc != 2 && argc != 4) || strncmp(argv[1], ROLE_ARGUMENT, strlen(ROLE_ARGUMENT)) != 0)
                return false;
        const Role *role = find_role(argv[1] + strlen(ROLE_ARGUMENT));
        if (!role || (argc == 2 && !role->is_service)) {
                *ret_status = ERROR_USAGE;
                return true;
        }
        int r = begin(role, argc, argv, &error);
        if (r < 0)
                role_tell_failure((RoleName)(role - roles), r, &error);
        *ret_status = r < 0 ? EXIT_FAILURE : role->main();
        return true;
}

/* The descriptors are first moved above all fixed numbers, so that no dup2() overwrites one still needed. */
static int add_descriptors(posix_spawn_file_actions_t *actions, int control, const RoleFd *fds, size_t count)
{
        int r = posix_spawn_file_actions_adddup2(actions, control, ROLE_FD_CONTROL);
        for (size_t i = 0; i < count && r == 0; i++)
                r = posix_spawn_file_actions_adddup2(actions, fds[i].fd, fds[i].number);
        /* What is not in use between the fixed numbers is closed as well. */
        for (int number = ROLE_FD_CONTROL + 1; number < ROLE_FD_MAX && r == 0; number++) {
                bool is_used = false;
                for (size_t i = 0; i < count; i++)
                        is_used |= fds[i].number == number;
                if (!is_used)
                        r = posix_spawn_file_actions_addclose(actions, number);
        }
        return r == 0 ? posix_spawn_file_actions_addclosefrom_np(actions, ROLE_FD_MAX) : r;
}

static int spawn(const Role *role, const RoleLimits *limits, int control, const RoleFd *fds, size_t count,
                pid_t *ret)
{
        char argument[64], memory[24], file_size[24];
        (void)snprintf(argument, sizeof(argument), ROLE_ARGUMENT "%s", role->name);
        (void)snprintf(memory, sizeof(memory), "%" PRIu64, limits->memory_bytes);
        (void)snprintf(file_size, sizeof(file_size), "%" PRIu64, limits->file_size_bytes);
        char *const argv[] = { (char *)"bascule-role", argument, memory, file_size, NULL };
        char *const environment[] = {
                (char *)"PATH=/usr/bin",
                (char *)"LC_ALL=C.UTF-8",
#if defined(__SANITIZE_ADDRESS__)
                (char *)"ASAN_OPTIONS=detect_leaks=0", /* which would need /proc */
#endif
                NULL
        };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;

        (void)sigemptyset(&none);
        (void)sigfillset(&all);
        int r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (r != 0) {
                (void)posix_spawn_file_actions_destroy(&actions);
                return -r;
        }
        r = add_descriptors(&actions, control, fds, count);
        if (r == 0)
                r = posix_spawnattr_setsigmask(&attributes, &none);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(&attributes, &all);
        if (r == 0)
                r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (r == 0)
                r = posix_spawn(ret, "/proc/self/exe", &actions, &attributes, argv, environment);
        (void)posix_spawnattr_destroy(&attributes);
        (void)posix_spawn_file_actions_destroy(&actions);
        return -r;
}

int role_spawn(RoleName name, const RoleLimits *limits, const RoleFd *fds, size_t fd_count, RoleProcess *ret,
                Error *error)
{
        const Role *role = &roles[name];
        int sockets[2];
        RoleFd moved[ROLE_FD_MAX];
        size_t count = 0;
        pid_t pid = 0;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot make a socket: %s", strerror(errno));
        _cleanup_fd_ int ours = sockets[0], theirs = sockets[1], control = -1;
        control = fcntl(theirs, F_DUPFD_CLOEXEC, ROLE_FD_MAX);
        int r = control < 0 ? -errno : 0;
        for (size_t i = 0; i < fd_count && i < ROLE_FD_MAX && r >= 0; i++) {
                moved[i] = (RoleFd){ fcntl(fds[i].fd, F_DUPFD_CLOEXEC, ROLE_FD_MAX), fds[i].number };
                if (moved[i].fd < 0)
                        r = -errno;
                else
                        count++;
        }
        if (r >= 0)
                r = spawn(role, limits, control, moved, count, &pid);
        for (size_t i = 0; i < count; i++)
                (void)close(moved[i].fd);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot start role %s: %s", role->name,
                                strerror(-r));
        RoleProcess process = { .role = name, .pid = pid, .pid_fd = -1, .control_fd = TAKE_FD(ours) };
        process.pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (process.pid_fd < 0) {
                r = -errno;
                role_stop(&process);
                return error_set(error, ERROR_FAILED, -r, "cannot watch role %s: %s", role->name,
                                strerror(-r));
        }
        (void)fcntl(process.control_fd, F_SETFL, O_NONBLOCK);
        *ret = process;
        return 0;
}

int role_start(RoleName name, const RoleService *service, const RoleLimits *limits, const RoleFd *fds,
                size_t fd_count, RoleProcess *ret, Error *error)
{
        if (service && service->socket_path && roles[name].is_service)
                return role_service_connect(name, service, limits, fds, fd_count, ret, error);
        return role_spawn(name, limits, fds, fd_count, ret, error);
}

const char *role_name(RoleName role)
{
        return roles[role].name;
}

void role_tell_failure(RoleName role, int r, Error *error)
{
        (void)error_set(error, ERROR_FAILED, -r, "role %s and basculed cannot talk to each other: %s",
                        role_name(role), strerror(-r));
        (void)frame_send_error(ROLE_FD_CONTROL, r, error);
}

static bool has_ended(const RoleProcess *process, int timeout_ms)
{
        struct pollfd wait = { .fd = process->pid_fd, .events = POLLIN };
        int r;
        do
                r = poll(&wait, 1, timeout_ms);
        while (r < 0 && errno == EINTR);
        return r > 0;
}

/* It has ended, or is given up. */
static int reap(RoleProcess *process, siginfo_t *ret)
{
        int r = 0;
        if (!process->is_service)
                do
                        r = waitid(P_PID, (id_t)process->pid, ret, WEXITED | WNOHANG);
                while (r < 0 && errno == EINTR);
        process->pid = 0;
        process->pid_fd = fd_close(process->pid_fd);
        process->control_fd = fd_close(process->control_fd);
        return r < 0 ? -errno : 0;
}

void role_stop(RoleProcess *process)
{
        siginfo_t info;
        process->control_fd = fd_close(process->control_fd);
        if (process->pid <= 0)
                return;
        bool is_killed = syscall(SYS_pidfd_send_signal, process->pid_fd, SIGKILL, NULL, 0) == 0;
        (void)has_ended(process, is_killed ? -1 : STOP_MS);
        (void)reap(process, &info);
}

int role_wait(RoleProcess *process, int timeout_ms, Error *error)
{
        siginfo_t info = { 0 };
        const char *name = roles[process->role].name;
        if (process->pid <= 0)
                return 0;
        if (!has_ended(process, timeout_ms)) {
                role_stop(process);
                return error_set(error, ERROR_FAILED, EIO, "role %s said no more and did not end", name);
        }
        bool is_service = process->is_service;
        int r = reap(process, &info);
        if (is_service)
                return error_set(error, ERROR_FAILED, EIO,
                                "role %s ended by itself; `journalctl -u 'bascule-%s@*'` may say why", name,
                                name);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot wait for role %s: %s", name, strerror(-r));
        if (info.si_code == CLD_EXITED && info.si_status == 0)
                return 0;
        if (info.si_code == CLD_EXITED)
                return error_set(error, ERROR_FAILED, EIO, "role %s ended with status %d", name,
                                info.si_status);
        return error_set(error, ERROR_FAILED, EIO, "role %s was killed by signal %d (%s)%s", name,
                        info.si_status, strsignal(info.si_status),
                        info.si_status == SIGSYS ? ": it made a system call that it may not make" : "");
}
