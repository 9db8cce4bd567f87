/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The initial root of our hosts: bascule-init as /init, the kernel modules it needs, and the list of these
 * in the order in which it inserts them (INITRD_MODULE_LIST, one absolute path a line). Nothing else: no
 * shell, no library, no modprobe. One cpio archive. It is not compressed: the kernel would have to unpack
 * it, and a host that updates takes the modules from the new root image, where they are the same bytes. */

#include "buffer.h"
#include "normalise.h"

#define INITRD_MODULE_LIST "etc/bascule-initrd/modules"
#define INITRD_MAX (256 * MIB)

/* `modules` are names as in lsmod, '-' and '_' being the same; what dm-verity, erofs, overlay, ext4 and
 * efivarfs need is always added. Names that are built into the kernel are fine; a name that it does not know
 * is ERROR_CONFIG with a suggestion. `init` is the program. The archive goes to an empty buffer with a cap.
 */
int initrd_build(Tree *tree, const TreeKernel *kernel, char *const *modules, const void *init,
                size_t init_size, Buffer *ret, Error *error);

/* Paths relative to the modules' folder ("kernel/fs/erofs/erofs.ko") in order of insertion, each after what
 * it depends on, hard (modules.dep) or soft (modules.softdep, resolved by modules.alias); freed by
 * the caller with strv_free(). */
int initrd_order_modules(
                Tree *tree, const TreeKernel *kernel, char *const *modules, char ***ret, Error *error);
