/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A program that runs beside us, and never outlives us: the kernel kills it when we die, however that
 * happens. Also the signals that ask us to stop, so that a loop that waits for a child can end in order. */

#include "error.h"

#include <sys/types.h>

typedef struct Child {
        pid_t pid;  /* 0: none */
        int status; /* of waitpid(2), once it has ended */
} Child;

typedef struct ChildPipes {
        int input, output, errors; /* its standard descriptors; -1: /dev/null */
        const int *kept;           /* further descriptors that it inherits, ended by -1; may be NULL */
} ChildPipes;

/* argv[0] is a path. Must be called from the main thread: the kernel's promise hangs on the calling one. */
int child_start(const char *const *argv, const ChildPipes *pipes, Child *ret, Error *error);
/* False once it has ended. */
bool child_runs(Child *child);
/* Kills it, and waits until it is gone. */
void child_kill(Child *child);
/* Exit status as a shell tells it: 128 + N for signal N. */
int child_exit_status(const Child *child);

/* From now on SIGINT, SIGTERM and SIGHUP are only noted. */
void interrupt_catch(void);
bool interrupt_came(void);
