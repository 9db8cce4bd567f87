/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One read-only device-mapper device, by the control device's ioctls (linux/dm-ioctl.h). */

#include "error.h"

/* Makes /dev/mapper/NAME (a link to /dev/dm-N, whose path goes to ret_device) with one target over
 * size_bytes. What was made is removed again on failure. */
int dm_create(const char *name, const char *uuid, const char *target, const char *parameters,
                uint64_t size_bytes, char ret_device[static 32], Error *error);
/* Takes it away; success when it is not there. */
int dm_remove(const char *name);
