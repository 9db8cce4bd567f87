/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What state.c and state-json.c share. */

#include "state.h"

/* Numbers in the file stay within what every JSON reader keeps exactly. */
#define STATE_NUMBER_MAX ((UINT64_C(1) << 53) - 1)
