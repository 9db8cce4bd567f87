/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The four top-level roles of The Update Framework, in the order in which a client fetches them. */

#include "macro.h"

typedef enum TufRole {
        TUF_ROLE_ROOT,
        TUF_ROLE_TIMESTAMP,
        TUF_ROLE_SNAPSHOT,
        TUF_ROLE_TARGETS,
        TUF_ROLE_MAX
} TufRole;

/* "root", "timestamp", "snapshot", "targets". */
const char *tuf_role_name(TufRole role);

/* -EINVAL for a name that is not one of the four. */
int tuf_role_from_name(const char *name, TufRole *ret);
