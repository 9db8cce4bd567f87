/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A VMDK inside of another file: an OVA holds one. */

#include "disk-source.h"

#define DISK_VMDK_FILE "disk.vmdk"

/* Writes a stream-optimised VMDK at `offset` of the file. */
int disk_put_vmdk(const DiskSource *source, int fd, uint64_t offset, uint64_t *ret_size_bytes);
