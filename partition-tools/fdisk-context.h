/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* libfdisk with our cleanup attributes. Internal to partition-tools. */

#include "error.h"

#include <libfdisk.h>

DEFINE_CLEANUP(struct fdisk_context *, fdisk_unref_context)
DEFINE_CLEANUP(struct fdisk_partition *, fdisk_unref_partition)
DEFINE_CLEANUP(struct fdisk_parttype *, fdisk_unref_parttype)
DEFINE_CLEANUP(struct fdisk_table *, fdisk_unref_table)
DEFINE_CLEANUP(struct fdisk_iter *, fdisk_free_iter)

/* A context on an open disk. libfdisk asks nothing, since it has nobody to ask. The descriptor stays the
 * caller's and outlives the context; `path` is for libfdisk's own messages. */
int fdisk_context_open(int fd, const char *path, unsigned sector_size_bytes, bool writable,
                struct fdisk_context **ret, Error *error);
