/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* UUIDs as 16 bytes in the order in which they are printed (RFC 9562), and as text. GPT stores them in a
 * mixed order; that is partition-tools/gpt.c's to know. */

#include "macro.h"

#define UUID_SIZE 16
#define UUID_TEXT_SIZE 37 /* with the NUL */

/* "8-4-4-4-12" hexadecimal digits, lower case. Returns ret. */
const char *uuid_format(const uint8_t uuid[static UUID_SIZE], char ret[static UUID_TEXT_SIZE]);

/* Either case. -EINVAL for any other text; ret is then unchanged. The text may be hostile. */
int uuid_parse(const char *text, uint8_t ret[static UUID_SIZE]);

/* A random (version 4) UUID from the kernel. */
int uuid_random(uint8_t ret[static UUID_SIZE]);

bool uuid_is_nil(const uint8_t uuid[static UUID_SIZE]);
