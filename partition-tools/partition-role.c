/* SPDX-License-Identifier: Apache-2.0 */
#include "partition-role.h"

#include <string.h>

static const char *const names[PARTITION_ROLE_MAX] = {
        [PARTITION_ESP] = "esp",
        [PARTITION_ROOT_A] = "root-a",
        [PARTITION_ROOT_A_VERITY] = "root-a-verity",
        [PARTITION_ROOT_B] = "root-b",
        [PARTITION_ROOT_B_VERITY] = "root-b-verity",
        [PARTITION_VAR] = "var",
};

#define TYPE_ESP "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define TYPE_VAR "4d21b016-b534-45c2-a9fb-5c16e091fd2d"

/* Root and its verity, per architecture (Discoverable Partitions Specification). */
static const struct {
        const char *architecture, *root, *verity;
} types[] = {
        { "x86-64", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5" },
        { "arm64", "b921b045-1df0-41c3-af44-4c6f280d3fae", "df3300ce-d69f-4c92-978c-9bfb0f38d820" },
};

const char *partition_role_name(PartitionRole role)
{
        return (unsigned)role < PARTITION_ROLE_MAX ? names[role] : "unknown";
}

const char *partition_role_type(PartitionRole role, const char *architecture)
{
        if (role == PARTITION_ESP)
                return TYPE_ESP;
        if (role == PARTITION_VAR)
                return TYPE_VAR;
        for (size_t i = 0; i < ELEMENTS(types); i++)
                if (strcmp(types[i].architecture, architecture) == 0)
                        return role == PARTITION_ROOT_A || role == PARTITION_ROOT_B ? types[i].root
                                                                                    : types[i].verity;
        return NULL;
}

PartitionRole partition_role_from(const char *type, const char *label)
{
        for (unsigned role = 0; role < PARTITION_ROLE_MAX; role++) {
                if (strcmp(names[role], label) != 0)
                        continue;
                for (size_t i = 0; i < ELEMENTS(types); i++)
                        if (strcasecmp(partition_role_type((PartitionRole)role, types[i].architecture),
                                            type) == 0)
                                return (PartitionRole)role;
        }
        return PARTITION_ROLE_MAX;
}
