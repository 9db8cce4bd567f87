/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The filesystems of the host, below SYSROOT: /var, and the overlay on /etc. Neither is worth refusing to
 * boot for: what cannot be mounted is replaced by memory, said loudly, and noted in /run/bascule, where the
 * health checks see it and give up a release on trial. */

#include "error.h"

#define SYSROOT "/sysroot"
#define VAR_VOLATILE_FILE "/run/bascule/var-volatile" /* holds the reason */
#define ETC_VOLATILE_FILE "/run/bascule/etc-volatile"

/* Mounts `device` (NULL or "" for none) on /var, and fills a new one from the image's own /var. */
int init_mount_var(const char *device, bool want_volatile, void (*alive)(void), Error *error);

/* Mounts the overlay on /etc for a release. */
int init_mount_etc(const char *version, Error *error);

/* Moves /dev, /proc, /sys and /run over, empties the initrd and becomes the host's init. Returns only on
 * failure. */
int init_switch_root(Error *error);
