/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which root image a UKI boots: the root hash on the kernel command line inside it. The file may be
 * anything. */

#include "sha256.h"

/* "bascule.roothash=HEX" of a kernel command line; the last one counts. -ENODATA, or -EINVAL for a bad
 * value. */
int command_line_root_hash(const char *text, uint8_t ret[static SHA256_SIZE]);

/* The same from the .cmdline section of a UKI. -EBADMSG for a file that is no UKI. */
int uki_read_root_hash(int fd, uint8_t ret[static SHA256_SIZE]);
