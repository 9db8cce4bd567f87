/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The table by which the kernel knows its own symbols. */

#include "patch-walk.h"

/* Learns that a byte of a name became `actual`. */
void patch_token_learn(PatchToken *token, uint8_t actual);

/* 1, or 0 when there is none that is understood. Reads the read-only data once, and the names in it up to
 * four times. */
int patch_kallsyms_find(PatchFields *fields, PatchKallsyms *ret, Error *error);
