/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The binary indexes beside a kernel's modules (modules.dep.bin and others), by which modprobe and udev find
 * a module: a radix tree from keys to values, version 2.1 of libkmod's format, all integers big-endian. What
 * is written is what depmod(8) would write for the same entries, to the byte.
 *
 *     magic 0xb007f457, version 0x00020001, node reference of the root
 *     a node:  prefix and NUL                          if the reference has 0x80000000
 *              first, last, last - first + 1 references if 0x20000000 (0: no such child)
 *              count, then priority, value and NUL     if 0x40000000
 *     the other 28 bits of a reference are the node's offset; children come before their parent */

#include "buffer.h"

typedef struct ModuleIndex ModuleIndex;

ModuleIndex *module_index_new(void);
ModuleIndex *module_index_free(ModuleIndex *index);
DEFINE_CLEANUP(ModuleIndex *, module_index_free)
#define _cleanup_module_index_ _cleanup_(module_index_freep)

/* Copies key and value. A key may have several values, read in order of their priority. -EINVAL for what is
 * not ASCII, -ENOMEM. */
int module_index_add(ModuleIndex *index, const char *key, const char *value, uint32_t priority);
/* Appends the file to an empty buffer with a cap. -E2BIG past the cap, -ENOMEM. */
int module_index_write(ModuleIndex *index, Buffer *ret);
