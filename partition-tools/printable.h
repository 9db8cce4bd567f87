/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* Text that a disk tells of itself, and names of files, for a terminal. Internal to partition-tools. */

/* Replaces in place, byte by byte, by '?' what is no UTF-8 and what a terminal could obey: U+0000 to U+001F
 * and U+007F to U+009F. */
void printable_make(char *text);

/* A copy of which that is done, for what takes UTF-8 only, such as JSON. NULL when there is no memory. */
char *printable_copy(const char *text);

/* Bytes of the longest beginning of it that has whole letters and no more than this. It is printable. */
size_t printable_length(const char *text, size_t max_bytes);
