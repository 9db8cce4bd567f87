/* SPDX-License-Identifier: Apache-2.0 */
#include "confine.h"

#include <sys/socket.h>
#include <sys/syscall.h>

/* Memory, time and the end: what malloc(), the C library and a crash need. mmap() and mprotect() are judged
 * by their arguments in confine.c. */
#define CALLS_BASIC                                                                                         \
        SYS_read, SYS_write, SYS_pread64, SYS_close, SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise,          \
                        SYS_futex, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_exit,        \
                        SYS_exit_group, SYS_restart_syscall, SYS_clock_gettime, SYS_gettimeofday,           \
                        SYS_getpid, SYS_gettid, SYS_sendto

static const int apply_calls[] = { CALLS_BASIC, SYS_pwrite64, SYS_fsync, SYS_fdatasync, SYS_sync_file_range,
        SYS_fadvise64, -1 };

const ConfineProfile confine_apply = { .name = "apply", .system_calls = apply_calls };

static const int fetch_calls[] = { CALLS_BASIC, SYS_openat, SYS_newfstatat, SYS_fstat, SYS_statx, SYS_lseek,
        SYS_getdents64, SYS_readlinkat, SYS_faccessat, SYS_faccessat2, SYS_fcntl, SYS_ioctl, SYS_dup,
        SYS_pipe2, SYS_eventfd2, SYS_socketpair, SYS_connect, SYS_bind, SYS_getsockname, SYS_getpeername,
        SYS_getsockopt, SYS_setsockopt, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg, SYS_recvmmsg,
        SYS_shutdown, SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait,
        SYS_nanosleep, SYS_clock_nanosleep, SYS_getrandom, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
        SYS_getppid, SYS_uname, SYS_sysinfo, SYS_set_robust_list, SYS_rseq, SYS_sched_yield,
        SYS_sched_getaffinity, SYS_sigaltstack, SYS_prlimit64, SYS_writev, SYS_readv,
#ifdef SYS_open
        SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_poll, SYS_select, SYS_pipe, SYS_eventfd,
        SYS_epoll_wait, SYS_time,
#endif
        -1 };

/* The last two are for the resolver. */
static const int fetch_families[] = { AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, -1 };

static const char *const fetch_paths[] = { "/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve",
        "/run/nscd", "/run/NetworkManager", "/run/resolvconf", "/dev/urandom", "/proc/sys", NULL };

const ConfineProfile confine_fetch = { .name = "fetch",
        .system_calls = fetch_calls,
        .read_paths = fetch_paths,
        .socket_families = fetch_families,
        .may_start_threads = true,
        .may_map_code = true };
