/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf-role.h"

#include <string.h>

static const char *const role_names[TUF_ROLE_MAX] = {
        [TUF_ROLE_ROOT] = "root",
        [TUF_ROLE_TIMESTAMP] = "timestamp",
        [TUF_ROLE_SNAPSHOT] = "snapshot",
        [TUF_ROLE_TARGETS] = "targets",
};

const char *tuf_role_name(TufRole role)
{
        return role_names[role];
}

int tuf_role_from_name(const char *name, TufRole *ret)
{
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++)
                if (strcmp(role_names[role], name) == 0) {
                        *ret = (TufRole)role;
                        return 0;
                }
        return -EINVAL;
}
