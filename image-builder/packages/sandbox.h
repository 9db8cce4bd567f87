/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Runs programs of a tree in that tree, where they are root of it and of nothing else: in a user namespace
 * (user_namespaces(7)) whose root is an ordinary id of the machine, also when we are its root, with mounts,
 * processes, IPC and host name of their own, and no network unless it is asked for. They see the tree as /,
 * a /dev with null, zero, full, random and urandom, a /proc if the kernel gives one, and nothing of the
 * building machine: no file, no descriptor of whoever started us, no environment, no clock setting.
 *
 * The tree comes as an archive, is unpacked into a folder, and leaves as an archive again. The folder's
 * files may belong to ids that the caller cannot touch, so all of that happens in the namespace, the
 * folder's removal included, whatever ends the caller or the scripts. */

#include "error.h"

typedef struct Sandbox {
        const char *folder;          /* absolute, empty; removed in the end */
        int from_fd, to_fd;          /* archives: what is unpacked, where the result goes */
        const char *const *commands; /* paths in the tree, run one after the other; NULL-terminated */
        const char *const *environment;
        int log_fd; /* what they print; -1: discarded */
        bool with_network;
        const char *user; /* who needs it, for messages: "Script=" */
        /* Where the machine gives its root no user namespace: the commands run as that root, with the other
         * namespaces and mounts if there are any, otherwise in a chroot: without a /proc, and with the
         * network and the processes of the machine. For packages only, which are as trusted as the machine's
         * own. Their commands have the capabilities that files need, and a /proc that is read-only, wherever
         * they run. */
        bool may_be_root;

        /* sandbox_run() finds these out; plain: no user namespace. */
        bool is_without_proc, is_plain, is_chroot, cannot_mount;
} Sandbox;

/* ERROR_MISSING_TOOL when this machine has no user namespace for it, with what would give one. A command
 * that fails is ERROR_FAILED (-EIO), and `ret_failed` (may be NULL) then tells which; else it is not
 * touched. */
int sandbox_run(const Sandbox *sandbox, size_t *ret_failed, Error *error);

/* Whether an ordinary user can have a user namespace with subordinate ids, as programs other than ours ask
 * for: ERROR_MISSING_TOOL, for `user` as above, when there is none, or no ids, or nothing that gives them.
 */
int sandbox_check(const char *user, Error *error);
