/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a stretch of a disk holds, for a person who is about to overwrite it. */

#include "error.h"

/* "ext4", "ext4 (label home)", "partition table gpt", or "" when nothing is known. Freed by the caller. */
int probe_content(int fd, uint64_t offset_bytes, uint64_t size_bytes, char **ret);
