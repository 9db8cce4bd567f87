/* SPDX-License-Identifier: Apache-2.0 */
#include "call-threads.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MAX 128
#define ROLES_MAX 8

typedef struct RoleCount {
        char name[NAME_MAX_BYTES];
        unsigned count;
} RoleCount;

static Traced traced[PROCESSES_MAX];
static RoleCount roles[ROLES_MAX];

_Noreturn void die(const char *what)
{
        (void)fprintf(stderr, "call-injector: %s: %s\n", what, strerror(errno));
        exit(125);
}

static Traced *find(pid_t pid)
{
        for (size_t i = 0; i < PROCESSES_MAX; i++)
                if (traced[i].pid == pid)
                        return &traced[i];
        return NULL;
}

Traced *thread_find_or_add(pid_t pid)
{
        Traced *thread = find(pid);
        if (thread)
                return thread;
        thread = find(0);
        if (!thread) {
                errno = E2BIG;
                die("more processes than there are places for");
        }
        *thread = (Traced){ .pid = pid };
        return thread;
}

size_t thread_count(void)
{
        size_t count = 0;
        for (size_t i = 0; i < PROCESSES_MAX; i++)
                count += traced[i].pid != 0;
        return count;
}

void thread_kill_all(void)
{
        int status;
        pid_t pid;
        for (size_t i = 0; i < PROCESSES_MAX; i++)
                if (traced[i].pid)
                        (void)kill(traced[i].pid, SIGKILL);
        while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR)
                if (pid > 0 && WIFSTOPPED(status)) /* a child whose birth was not told yet */
                        (void)kill(pid, SIGKILL);
}

void thread_get_registers(pid_t pid, struct user_regs_struct *ret)
{
        if (ptrace(PTRACE_GETREGS, pid, NULL, ret) < 0 && errno != ESRCH)
                die("cannot read registers");
}

void thread_set_registers(pid_t pid, const struct user_regs_struct *registers)
{
        if (ptrace(PTRACE_SETREGS, pid, NULL, registers) < 0 && errno != ESRCH)
                die("cannot write registers");
}

void thread_name_by_command_line(Traced *thread)
{
        char path[64], line[512];
        (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)thread->pid);
        FILE *file = fopen(path, "re");
        if (!file)
                return;
        size_t size = fread(line, 1, sizeof(line) - 1, file);
        (void)fclose(file);
        line[size] = '\0';
        const char *argument = line + strlen(line) + 1;
        if (argument >= line + size || strncmp(argument, "--role=", 7) != 0)
                return;
        for (size_t i = 0; i < ROLES_MAX; i++) {
                if (roles[i].count > 0 && strcmp(roles[i].name, argument + 7) != 0)
                        continue;
                (void)snprintf(roles[i].name, sizeof(roles[i].name), "%.30s", argument + 7);
                (void)snprintf(thread->who, sizeof(thread->who), "%.30s%u", roles[i].name, ++roles[i].count);
                return;
        }
}

static unsigned long entry_address(pid_t pid)
{
        char path[64];
        unsigned long pair[2], found = 0;
        (void)snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
        FILE *file = fopen(path, "re");
        if (!file)
                return 0;
        while (!found && fread(pair, sizeof(pair), 1, file) == 1)
                found = pair[0] == AT_ENTRY ? pair[1] : 0;
        (void)fclose(file);
        return found;
}

void thread_await_entry(Traced *thread)
{
        unsigned long entry = entry_address(thread->pid);
        errno = 0;
        long word = entry ? ptrace(PTRACE_PEEKTEXT, thread->pid, entry, NULL) : -1;
        if (word == -1 && errno)
                return;
        unsigned long trap = ((unsigned long)word & ~0xffUL) | 0xcc;
        if (!entry || ptrace(PTRACE_POKETEXT, thread->pid, entry, trap) < 0)
                return;
        thread->entry = entry;
        thread->entry_word = (unsigned long)word;
        (void)strcat(thread->who, ".ld");
}

void thread_leave_loader(Traced *thread)
{
        struct user_regs_struct registers;
        thread_get_registers(thread->pid, &registers);
        if (registers.rip != thread->entry + 1)
                return;
        registers.rip = thread->entry;
        thread_set_registers(thread->pid, &registers);
        (void)ptrace(PTRACE_POKETEXT, thread->pid, thread->entry, thread->entry_word);
        thread->entry = 0;
        thread->who[strlen(thread->who) - strlen(".ld")] = '\0';
        memset(thread->counts, 0, sizeof(thread->counts));
}
