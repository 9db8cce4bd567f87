/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Hexadecimal, lower case out; either case in. */

#include "macro.h"

/* Writes 2 * size digits and a NUL to ret, which has room for them. */
void hex_encode(const void *data, size_t size, char *ret);

/* Decodes exactly `size` bytes from exactly 2 * size digits. -EINVAL for any other text; ret is then
 * unchanged. The text may be hostile. */
int hex_decode(const char *text, void *ret, size_t size);
