/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which release a root filesystem is: IMAGE_ID and IMAGE_VERSION of its os-release (os-release(5)). */

#include "version-order.h"

typedef struct InitRelease {
        char image_id[VERSION_MAX + 1];
        char version[VERSION_MAX + 1];
} InitRelease;

/* -EBADMSG when one of the two is missing or is no valid name; they become parts of paths. */
int init_release_parse(const char *text, InitRelease *ret);
