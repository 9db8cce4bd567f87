/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Canonical JSON as The Update Framework signs it (the form defined by OLPC): UTF-8, members in order of
 * code points, no white space, integers only, and in strings only '"' and '\' escaped; every other
 * character, control characters too, stands for itself. Equal values give equal bytes. */

#include "buffer.h"
#include "error.h"

#include <jansson.h>

/* Appends the canonical form of `value`. -EBADMSG with ERROR_UNTRUSTED when it holds a number that is not
 * an integer; -E2BIG past the buffer's cap. */
int canonical_json_append(Buffer *buffer, const json_t *value, Error *error);
