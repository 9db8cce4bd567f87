/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The threads that call-injector traces: which there are, what they are called, their registers. Whatever
 * cannot be done ends the program with status 125. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/user.h>

#if !defined(__x86_64__)
#error "say in spoil_before(), spoil_after() and thread_leave_loader() which registers this architecture uses"
#endif

#define CALLS_MAX 512 /* numbers of system calls */
#define NAME_MAX_BYTES 80

/* A thread that is traced. */
typedef struct Traced {
        pid_t pid; /* 0: free */
        char who[NAME_MAX_BYTES];
        bool is_known, is_held; /* named by its parent's event; stopped until then */
        bool is_inside, is_spoiled, is_counted;
        unsigned threads;                /* that it has started */
        unsigned long entry, entry_word; /* of the program, while a breakpoint stands there */
        unsigned short counts[CALLS_MAX];
        unsigned long call, length;
        unsigned long long old_first, old_third; /* arguments, as the caller gave them */
        const char *kind;                        /* of the descriptor that the call is for */
} Traced;

/* Says what, and what errno means. */
_Noreturn void die(const char *what);

Traced *thread_find_or_add(pid_t pid);
size_t thread_count(void);
/* Kills whatever is left, as a power cut would, and waits until it is gone. */
void thread_kill_all(void);

/* Of a thread that is gone: nothing. */
void thread_get_registers(pid_t pid, struct user_regs_struct *ret);
void thread_set_registers(pid_t pid, const struct user_regs_struct *registers);

/* After exec: a role is named after itself, all else keeps its name. */
void thread_name_by_command_line(Traced *thread);
/* After exec: puts a breakpoint where the program begins. Until it is met, the loader works. */
void thread_await_entry(Traced *thread);
/* The breakpoint was met. */
void thread_leave_loader(Traced *thread);
