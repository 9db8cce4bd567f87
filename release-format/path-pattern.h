/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shell patterns over paths (glob(7)), as delegations use them: '*' matches any run of characters, '?' one,
 * "[abc]", "[a-z]" and "[!a-z]" one of a set; none of them ever matches '/'. There is no escape character. A
 * '[' that no ']' ends stands for itself. Characters are UTF-8. */

#include "macro.h"

/* Both texts may be hostile: time is bounded by the product of their lengths, memory by nothing more. */
bool path_pattern_matches(const char *pattern, const char *path);
