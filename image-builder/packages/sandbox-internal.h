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

/* In the scratch folder. That itself lets nobody in, since programs of the tree may be setuid. */
#define SANDBOX_TREE "tree"

/* Whose id on this machine is root's in the tree. The last one gets no /proc (but for Sandbox.may_be_root,
 * read-only), since what the kernel lets be set there asks for no more than the id of root. */
typedef enum SandboxRoot {
        SANDBOX_ROOT_IS_COMMON, /* the user's, or that of a container's root */
        SANDBOX_ROOT_IS_NOBODY, /* we are the machine's root: one that is in no use */
        SANDBOX_ROOT_IS_ROOT,   /* we may be the machine's root, and have no such id to give */
} SandboxRoot;

int sandbox_find_root(SandboxRoot *ret, Error *error);

/* Makes a file or folder of ours root's of the tree. */
int sandbox_lend(int fd, SandboxRoot root);

/* Gives the process of the new namespace its ids: when we are root nobody's, or all that we have; else our
 * own as root and the subordinate ones. The user is for messages. */
int sandbox_map_ids(pid_t process, SandboxRoot root, const char *user, Error *error);

/* In the child, in the user namespace and the scratch folder: runs one command in namespaces of its own.
 * Returns when it ended well, and otherwise reports and ends the process. */
void sandbox_run_command(const Sandbox *sandbox, size_t number, int report_fd);

/* Without namespaces or mounts: goes from the scratch folder into its tree, as its root, with device nodes
 * that stay in the tree and without a /proc. */
int sandbox_enter_plain(void);
/* A folder of the tree, which is made if it is not there; a link is no folder. */
int sandbox_make_mount_point(const char *name);
/* The same for dev/shm, in which anybody may write. */
int sandbox_make_shared_memory(void);
/* Leaves to the program that is executed next what the scripts of packages need: owners and modes of files,
 * other users, file capabilities; and the audit messages that PAM fails without. */
int sandbox_drop_capabilities(void);
/* Ends all children that are left, and what they leave to a process that takes orphans. Where the kernel
 * does not tell who they are it waits a while for their end. */
void sandbox_end_children(void);

_noreturn_ void sandbox_fail(int report_fd, SandboxStage stage, int number, size_t command);

/* In a child: the kernel kills it when its parent ends. Negative when that has ended already. */
int sandbox_end_with(pid_t parent);

/* Waits until it has ended: its exit status, 128 and the number of a signal, or a negative errno. */
int sandbox_wait(pid_t child);
