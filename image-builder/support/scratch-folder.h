/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A folder for what is needed for a while, which goes with its maker: a process of its own waits for that
 * and removes it, so that what kills a build leaves nothing, SIGKILL of that process alone excepted. What is
 * in it that its maker has no right to remove must go before. */

#include "error.h"

#include <sys/types.h>

typedef struct ScratchFolder {
        char *path;
        int alive_fd; /* closed by the kernel when the maker ends, and what it has forked without execve() */
        pid_t keeper;
} ScratchFolder;
#define SCRATCH_FOLDER_NONE ((ScratchFolder){ .alive_fd = -1 })

/* "NAME-" and six letters in $TMPDIR, or /var/tmp; mode 0700. ERROR_IO. */
int scratch_folder_make(const char *name, ScratchFolder *ret, Error *error);
/* Removes it with all in it. Nothing happens when there is none. */
void scratch_folder_done(ScratchFolder *folder);
#define _cleanup_scratch_folder_ _cleanup_(scratch_folder_done)
