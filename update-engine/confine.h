/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a role may do once it is set up: a seccomp allow-list, Landlock where the kernel has it, no new
 * privileges. A system call that is not listed kills the process. */

#include "error.h"

typedef struct ConfineProfile {
        const char *name;
        const int *system_calls;       /* allowed whatever their arguments; ends with -1 */
        const char *const *read_paths; /* beneath which files may be read; NULL: no path at all */
        const int *socket_families;    /* of socket(), which is not listed; ends with -1; NULL: none */
        bool may_start_threads;        /* clone() of threads, never of processes */
        bool may_map_code;             /* mmap() of executable pages that are not writable (NSS modules) */
} ConfineProfile;

extern const ConfineProfile confine_fetch, confine_apply;

/* Confines the calling process, for good; it must have no_new_privs. Seccomp is required: ERROR_MISSING_TOOL
 * without it. Landlock is used as far as the kernel has it. */
int confine_enter(const ConfineProfile *profile, Error *error);

/* The parts, for tests. Landlock: success when the kernel has none. */
int confine_paths(const ConfineProfile *profile);
int confine_system_calls(const ConfineProfile *profile);
