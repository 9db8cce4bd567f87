/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a role may do once it is set up: a seccomp allow-list, Landlock where the kernel has it, no new
 * privileges. A call that is not listed kills the process. */

#include "error.h"

typedef struct ConfineProfile {
        const char *name;
        const int *system_calls;       /* allowed; ends with -1 */
        const char *const *read_paths; /* beneath which Landlock allows reading; NULL: no path at all */
        bool is_network_allowed;
} ConfineProfile;

extern const ConfineProfile confine_fetch, confine_apply;

/* Confines the calling process, for good. Seccomp is required: -ENOSYS and ERROR_MISSING_TOOL without it.
 * Landlock is used where the kernel has it. */
int confine_apply_profile(const ConfineProfile *profile, Error *error);
