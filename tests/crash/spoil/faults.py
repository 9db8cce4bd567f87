# SPDX-License-Identifier: Apache-2.0
"""Which ways to spoil a system call, from what a trace of an undisturbed run says of it (call-injector.c)."""
import errno
import os

KILLS = ("kill-before", "kill-after")

READS = ("read", "pread64", "readv", "recvfrom", "recvmsg", "readlinkat", "readlink")
WRITES = ("write", "pwrite64", "writev", "sendto", "sendmsg")
CHANGES = ("renameat", "renameat2", "rename", "linkat", "unlinkat", "unlink", "rmdir", "mkdirat", "mkdir", "symlinkat",
           "ftruncate", "fallocate", "fchmod", "fchmodat", "fchown", "fchownat", "utimensat", "setxattr", "fsetxattr")
FLUSHES = ("fsync", "fdatasync", "sync_file_range", "syncfs", "msync")
LOOKS = ("fstat", "newfstatat", "stat", "lstat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
         "getdents64", "lseek", "fadvise64", "ioctl")
MEMORY = ("mmap", "brk", "mremap", "mprotect")
DESCRIPTORS = ("socket", "socketpair", "pipe", "pipe2", "eventfd2", "epoll_create1", "timerfd_create", "signalfd4", "dup", "dup2",
               "dup3", "pidfd_open", "inotify_init1", "landlock_create_ruleset", "accept4")
WAITS = ("poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait")
BIRTHS = ("clone", "clone3", "fork", "vfork")
RIGHTS = ("prctl", "seccomp", "landlock_add_rule", "landlock_restrict_self", "setresuid", "setresgid", "setuid", "setgroups",
          "setrlimit", "prlimit64")

_TABLE = (
    (READS, ("EIO", "EINTR", "ENOMEM")),
    (WRITES, ("ENOSPC", "EIO", "EINTR", "EPIPE")),
    (CHANGES, ("EIO", "ENOSPC", "EROFS", "ENOMEM")),
    (FLUSHES, ("EIO", "ENOSPC", "EINTR")),
    (LOOKS, ("EIO", "ENOMEM")),
    (MEMORY, ("ENOMEM",)),
    (DESCRIPTORS, ("EMFILE", "ENOMEM")),
    (WAITS, ("EINTR", "ENOMEM")),
    (BIRTHS, ("EAGAIN", "ENOMEM")),
    (RIGHTS, ("EPERM", "ENOMEM")),
    (("open", "openat"), ("EMFILE", "ENOMEM", "EIO", "EINTR")),
    (("close",), ("EIO", "EINTR")),
    (("close_range",), ("EMFILE", "ENOMEM")),
    (("inotify_add_watch",), ("ENOSPC", "ENOMEM")),
    (("connect",), ("ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH")),
    (("bind", "getsockname", "getpeername", "getsockopt", "setsockopt", "shutdown"), ("ENOMEM",)),
    (("execve",), ("ENOMEM", "EIO")),
    (("nanosleep", "clock_nanosleep"), ("EINTR",)),
    (("waitid", "wait4"), ("EINTR", "ECHILD")),
    (("fcntl",), ("EMFILE", "ENOLCK")),
    (("flock",), ("EWOULDBLOCK", "EINTR", "ENOLCK")),
    (("getrandom",), ("EINTR",)),
    (("epoll_ctl", "timerfd_settime", "signalfd4", "pidfd_send_signal"), ("ENOMEM",)),
    (("sched_setscheduler", "ioprio_set"), ("EPERM",)),
)
# What reading and writing can give depends on what is read and written.
_BY_KIND = {
    ("read", "eventfd"): ("EINTR",), ("write", "eventfd"): ("EINTR",),
    ("read", "socket"): ("EINTR", "ENOMEM", "ECONNRESET", "ETIMEDOUT"), ("write", "socket"): ("EINTR", "ENOBUFS", "EPIPE"),
    ("read", "pipe"): ("EINTR",), ("write", "pipe"): ("EINTR", "EPIPE"),
    ("read", "file"): ("EIO", "EINTR", "ENOMEM"), ("write", "file"): ("ENOSPC", "EIO", "EINTR", "EROFS"),
}
_ERRORS = {call: names for calls, names in _TABLE for call in calls}
# What does not fail, or only when the program itself is wrong.
CANNOT_FAIL = ("exit", "exit_group", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "arch_prctl",
               "set_tid_address", "set_robust_list", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall",
               "sched_yield", "futex", "munmap", "madvise", "umask", "clock_gettime", "gettimeofday", "uname", "sysinfo",
               "inotify_rm_watch")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Call:
    """One line of a trace."""

    def __init__(self, line):
        self.who, self.name, number, result, length, self.kind = line.split()
        self.number, self.result, self.length = int(number), int(result), int(length)

    def __str__(self):
        return "%s %s #%d" % (self.who, self.name, self.number)

    @property
    def is_loader(self):
        return self.who.endswith(".ld")

    @property
    def is_of_a_device(self):
        """What fails again and again once the device, or the filesystem, has failed."""
        if self.is_loader:
            return False
        return self.name in FLUSHES + CHANGES or (self.name in READS + WRITES and self.kind == "file")

    def actions(self):
        """How it can fail: as call-injector's ACTION."""
        direction = "read" if self.name in READS else "write" if self.name in WRITES else ""
        names = list(_BY_KIND.get((direction, self.kind)) or _ERRORS.get(self.name, ()))
        if self.name in ("open", "openat") and self.length & _WRITING:
            names += ["EROFS", "ENOSPC"]
        how = "after" if self.name == "close" else "fail"
        found = ["%s=%d" % (how, getattr(errno, name)) for name in names]
        if self.is_of_a_device:
            lasting = ("EIO",) if direction == "read" else ("EIO", "ENOSPC", "EROFS")
            found += ["lasting=%d" % getattr(errno, name) for name in lasting]
        if direction and self.kind != "eventfd" and self.result > 1:
            found.append("short")
        return found

    def kills(self):
        return KILLS[:1] if self.name in ("exit", "exit_group") else KILLS


def unknown_calls(calls):
    """Names of calls of which nobody has said how they can fail, or that they cannot."""
    return sorted({call.name for call in calls if call.name not in _ERRORS and call.name not in CANNOT_FAIL})


def read_trace(path):
    with open(path, encoding="ascii") as file:
        return [Call(line) for line in file]


def describe(action):
    """For a person: "fail=5" is "EIO"."""
    word, _, number = action.partition("=")
    if not number:
        return word
    return errno.errorcode[int(number)] + (" from then on" if word == "lasting" else "")
