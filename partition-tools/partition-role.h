/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which partition type and label make which role (Discoverable Partitions Specification). Internal to
 * partition-tools; partition_role_name() is in disk.h. */

#include "disk.h"

/* Type GUID as text, lower case. NULL for an architecture that is not known. */
const char *partition_role_type(PartitionRole role, const char *architecture);

/* The role that type (text, either case) and label name together; PARTITION_ROLE_MAX when none. The type may
 * be that of any architecture known. */
PartitionRole partition_role_from(const char *type, const char *label);
