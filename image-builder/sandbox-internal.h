/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of sandbox.h share. Nobody else includes this. */

#include "sandbox.h"

#include <sys/types.h>

typedef enum SandboxStage {
        SANDBOX_DONE,
        SANDBOX_USER,    /* number: errno of unshare() */
        SANDBOX_UNPACK,  /* number: exit status of tar */
        SANDBOX_SPACES,  /* number: errno */
        SANDBOX_MOUNT,   /* number: errno */
        SANDBOX_START,   /* number: errno of execve() */
        SANDBOX_COMMAND, /* number: exit status, or 128 and a signal */
        SANDBOX_PACK,    /* number: exit status of tar */
} SandboxStage;

/* What the child writes once, through a pipe: how far it came. */
typedef struct SandboxReport {
        SandboxStage stage;
        int number;
        size_t command;
} SandboxReport;

/* Gives the process of the new namespace its ids: all that we have when we are root, else our own as root
 * and the subordinate ones. */
int sandbox_map_ids(pid_t process, Error *error);

/* In the child, in the user namespace: runs one command in namespaces of its own. Returns when it ended
 * well, and otherwise reports and ends the process. */
void sandbox_run_command(const Sandbox *sandbox, size_t number, int report_fd);

_noreturn_ void sandbox_fail(int report_fd, SandboxStage stage, int number, size_t command);

/* In a child: the kernel kills it when its parent ends. Negative when that has ended already. */
int sandbox_end_with(pid_t parent);

/* Waits until it has ended: its exit status, 128 and the number of a signal, or a negative errno. */
int sandbox_wait(pid_t child);
