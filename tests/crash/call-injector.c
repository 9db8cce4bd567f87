/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program and everything that it starts, and spoils one system call of one of these processes:
 *
 *     call-injector [--trace FILE] [--report FILE] [--fault WHO:CALL:NUMBER:ACTION] [--seconds N] COMMAND
 *
 * WHO names a thread by how it came to be, so that it is the same in every run: "engine" is the program,
 * "fetch2" the second process that was started with --role=fetch, "spawn3" the third one between fork and
 * exec, and "engine.t1" the first thread that engine started; ".ld" at the end of a name says that the
 * dynamic loader is still at work. NUMBER counts from 1 the calls of that name by that thread. ACTION is one
 * of
 *
 *     fail=ERRNO     the call is not made and returns that error; brk(2), which has none, moves nothing
 *     lasting=ERRNO  the same for this call and all later ones of that name on files, as of a device
 *                    that has died
 *     after=ERRNO    the call is made and returns that error (close(2))
 *     short          the call is made with half its length (at least 1)
 *     kill-before    every process is killed, with SIGKILL, and the call is not made
 *     kill-after     the same, but the call has returned
 *
 * The trace has a line for each call: WHO CALL NUMBER RESULT LENGTH KIND, where LENGTH is the third argument
 * and KIND what the first one is if it can be a descriptor: eventfd, socket, pipe, file, or -. The report
 * says what became of the fault. Exit status: that of the program, 128 and the signal that ended it, 99 when
 * the fault was a kill, 124 when N seconds were over, 125 when this program failed.
 *
 * ptrace(2) sees calls before the seccomp filter of a role does, so confined processes are spoiled like
 * others; a call that is not made is replaced by getpid(2), which every filter of ours allows. */

#include "call-names.h"
#include "call-threads.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define AFTERLIFE_SECONDS 8 /* that children may outlive the program */
#define OPTIONS                                                                                             \
        (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |           \
                        PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

typedef enum Action {
        ACTION_FAIL,
        ACTION_AFTER,
        ACTION_SHORT,
        ACTION_KILL_BEFORE,
        ACTION_KILL_AFTER
} Action;

typedef struct Fault {
        char who[NAME_MAX_BYTES], call[NAME_MAX_BYTES];
        unsigned long number;
        Action action;
        int errnum;
        bool is_set, is_lasting, is_begun, is_done;
} Fault;

static Fault fault;
static FILE *trace, *report;
static pid_t root;
static unsigned spawned;
static volatile sig_atomic_t is_late;

static void on_alarm(int number)
{
        (void)number;
        is_late = 1;
}

static void finish(int status, const char *word)
{
        if (report) {
                (void)fprintf(report, "%s %s\n", fault.is_done ? "spoiled" : "untouched", word);
                (void)fclose(report);
        }
        if (trace)
                (void)fclose(trace);
        exit(status);
}

static void resume(const Traced *thread, int signal_number)
{
        bool is_watched = trace || thread->is_spoiled ||
                          (fault.is_set && (fault.is_lasting || !fault.is_begun));
        (void)ptrace(is_watched ? PTRACE_SYSCALL : PTRACE_CONT, thread->pid, NULL, (long)signal_number);
}

static void on_child(Traced *parent, int event)
{
        unsigned long message = 0;
        if (ptrace(PTRACE_GETEVENTMSG, parent->pid, NULL, &message) < 0)
                return;
        Traced *child = thread_find_or_add((pid_t)message);
        if (event == PTRACE_EVENT_CLONE)
                (void)snprintf(child->who, sizeof(child->who), "%.50s.t%u", parent->who, ++parent->threads);
        else
                (void)snprintf(child->who, sizeof(child->who), "spawn%u", ++spawned);
        child->is_known = true;
        if (child->is_held) {
                child->is_held = false;
                resume(child, 0);
        }
}

/* ---- Spoiling ---- */

static void spoil_before(Traced *thread)
{
        struct user_regs_struct registers;
        fault.is_begun = true;
        if (fault.action == ACTION_KILL_BEFORE) {
                fault.is_done = true;
                thread_kill_all();
                finish(99, "killed");
        }
        thread->is_spoiled = true;
        if (fault.action != ACTION_FAIL && fault.action != ACTION_SHORT)
                return;
        thread_get_registers(thread->pid, &registers);
        thread->old_first = registers.rdi;
        thread->old_third = registers.rdx;
        if (fault.action == ACTION_FAIL && thread->call == SYS_brk)
                registers.rdi = 0;
        else if (fault.action == ACTION_FAIL)
                registers.orig_rax = SYS_getpid;
        else
                registers.rdx = registers.rdx > 1 ? registers.rdx / 2 : registers.rdx;
        thread_set_registers(thread->pid, &registers);
}

static void spoil_after(Traced *thread)
{
        struct user_regs_struct registers;
        thread->is_spoiled = false;
        fault.is_done = true;
        if (fault.action == ACTION_KILL_AFTER) {
                thread_kill_all();
                finish(99, "killed");
        }
        thread_get_registers(thread->pid, &registers);
        if (fault.action == ACTION_AFTER || (fault.action == ACTION_FAIL && thread->call != SYS_brk))
                registers.rax = (unsigned long long)-(long long)fault.errnum;
        if (fault.action != ACTION_AFTER) { /* callers rely on registers that hold arguments */
                registers.rdi = thread->old_first;
                registers.rdx = thread->old_third;
        }
        thread_set_registers(thread->pid, &registers);
}

static bool is_wanted(const Traced *thread, const char *call, unsigned long number)
{
        bool is_due = fault.is_lasting ? number >= fault.number : !fault.is_begun && number == fault.number;
        return fault.is_set && is_due && strcmp(fault.call, call) == 0 &&
               strcmp(fault.who, thread->who) == 0;
}

static void trace_call(const Traced *thread, long long result)
{
        if (trace && thread->is_counted)
                (void)fprintf(trace, "%s %s %u %lld %lu %s\n", thread->who, call_name(thread->call),
                                thread->counts[thread->call], result, thread->length, thread->kind);
}

static const char *descriptor_kind(pid_t pid, unsigned long long number)
{
        char path[64], place[256];
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%llu", (int)pid, number);
        ssize_t length = number < 4096 ? readlink(path, place, sizeof(place) - 1) : -1;
        if (length < 0)
                return "-";
        place[length] = '\0';
        if (strstr(place, "[eventfd]"))
                return "eventfd";
        if (strncmp(place, "socket:", 7) == 0)
                return "socket";
        return strncmp(place, "pipe:", 5) == 0 ? "pipe" : "file";
}

static void on_entry(Traced *thread, const struct __ptrace_syscall_info *info)
{
        thread->is_inside = true;
        thread->is_counted = info->entry.nr < CALLS_MAX;
        if (!thread->is_counted)
                return;
        thread->call = (unsigned long)info->entry.nr;
        thread->length = (unsigned long)info->entry.args[2];
        thread->kind = trace ? descriptor_kind(thread->pid, info->entry.args[0]) : "-";
        unsigned number = ++thread->counts[thread->call];
        if (thread->call == SYS_exit_group || thread->call == SYS_exit)
                trace_call(thread, 0);
        /* A device that has died says nothing of sockets and eventfds. */
        bool is_spared = fault.is_lasting && number > fault.number &&
                         strcmp(descriptor_kind(thread->pid, info->entry.args[0]), "file") != 0;
        if (!is_spared && is_wanted(thread, call_name(thread->call), number))
                spoil_before(thread);
}

static void on_call(Traced *thread)
{
        struct __ptrace_syscall_info info = { 0 };
        if (ptrace(PTRACE_GET_SYSCALL_INFO, thread->pid, sizeof(info), &info) < 0)
                return;
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
                on_entry(thread, &info);
        } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && thread->is_inside) {
                thread->is_inside = false;
                trace_call(thread, (long long)info.exit.rval);
                if (thread->is_spoiled)
                        spoil_after(thread);
        }
}

/* ---- The loop ---- */

static void on_stop(Traced *thread, int status)
{
        int event = status >> 16, number = WSTOPSIG(status);
        switch (event) {
        case PTRACE_EVENT_CLONE:
        case PTRACE_EVENT_FORK:
        case PTRACE_EVENT_VFORK:
                on_child(thread, event);
                number = 0;
                break;
        case PTRACE_EVENT_EXEC:
                memset(thread->counts, 0, sizeof(thread->counts));
                thread->is_counted = false; /* what began before exec ends after it */
                thread_name_by_command_line(thread);
                thread_await_entry(thread);
                number = 0;
                break;
        case PTRACE_EVENT_STOP:
                if (!thread->is_known) {
                        thread->is_held = true;
                        return;
                }
                number = 0;
                break;
        default:
                if (number == (SIGTRAP | 0x80)) {
                        on_call(thread);
                        number = 0;
                } else if (number == SIGTRAP && thread->entry) {
                        thread_leave_loader(thread);
                        number = 0;
                }
        }
        resume(thread, number);
}

static int exit_status(int status)
{
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void watch(void)
{
        int status, root_status = 125;
        bool has_ended = false;
        while (thread_count() > 0) {
                pid_t pid = waitpid(-1, &status, __WALL);
                if (is_late) {
                        thread_kill_all();
                        finish(has_ended ? root_status : 124, has_ended ? "orphans" : "late");
                }
                if (pid < 0 && errno == EINTR)
                        continue;
                if (pid < 0)
                        break;
                Traced *thread = thread_find_or_add(pid);
                if (WIFSTOPPED(status)) {
                        on_stop(thread, status);
                        continue;
                }
                if (pid == root) {
                        root_status = exit_status(status);
                        has_ended = true;
                        (void)alarm(AFTERLIFE_SECONDS);
                }
                thread->pid = 0;
        }
        finish(root_status, "ended");
}

static pid_t start(char **argv)
{
        int gate[2];
        char byte;
        if (pipe(gate) < 0)
                die("cannot make a pipe");
        pid_t pid = fork();
        if (pid < 0)
                die("cannot fork");
        if (pid == 0) {
                (void)close(gate[1]);
                if (read(gate[0], &byte, 1) != 1)
                        _exit(125);
                (void)close(gate[0]);
                (void)execv(argv[0], argv);
                _exit(125);
        }
        if (ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS) < 0)
                die("cannot trace");
        Traced *thread = thread_find_or_add(pid);
        (void)strcpy(thread->who, "engine");
        thread->is_known = true;
        (void)close(gate[0]);
        if (write(gate[1], "", 1) != 1)
                die("cannot let it go");
        (void)close(gate[1]);
        return pid;
}

/* ---- The command line ---- */

static void parse_fault(char *text)
{
        char *who = strtok(text, ":"), *call = strtok(NULL, ":"), *number = strtok(NULL, ":");
        char *action = strtok(NULL, ":");
        errno = EINVAL;
        if (!action)
                die("--fault is WHO:CALL:NUMBER:ACTION");
        (void)snprintf(fault.who, sizeof(fault.who), "%s", who);
        (void)snprintf(fault.call, sizeof(fault.call), "%s", call);
        fault.number = strtoul(number, NULL, 10);
        if (sscanf(action, "fail=%d", &fault.errnum) == 1)
                fault.action = ACTION_FAIL;
        else if (sscanf(action, "lasting=%d", &fault.errnum) == 1)
                fault.is_lasting = true;
        else if (sscanf(action, "after=%d", &fault.errnum) == 1)
                fault.action = ACTION_AFTER;
        else if (strcmp(action, "short") == 0)
                fault.action = ACTION_SHORT;
        else if (strcmp(action, "kill-before") == 0)
                fault.action = ACTION_KILL_BEFORE;
        else if (strcmp(action, "kill-after") == 0)
                fault.action = ACTION_KILL_AFTER;
        else
                die(action);
        fault.is_set = true;
}

static FILE *open_output(const char *path)
{
        FILE *file = fopen(path, "we");
        if (!file)
                die(path);
        return file;
}

int main(int argc, char **argv)
{
        unsigned seconds = 60;
        int at = 1;
        for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
                if (strcmp(argv[at], "--trace") == 0)
                        trace = open_output(argv[at + 1]);
                else if (strcmp(argv[at], "--report") == 0)
                        report = open_output(argv[at + 1]);
                else if (strcmp(argv[at], "--fault") == 0)
                        parse_fault(argv[at + 1]);
                else if (strcmp(argv[at], "--seconds") == 0)
                        seconds = (unsigned)strtoul(argv[at + 1], NULL, 10);
        }
        if (at >= argc) {
                errno = EINVAL;
                die("no program");
        }
        struct sigaction action = { .sa_handler = on_alarm };
        (void)sigaction(SIGALRM, &action, NULL);
        root = start(argv + at);
        (void)alarm(seconds);
        watch();
}
