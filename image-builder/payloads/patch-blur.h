/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Makes bytes of programs alike that differ only by where things are, for the search of what two files have
 * in common: fields that refer to something (release-format/patch-fields.h) are overwritten by a number that
 * depends on what they refer to, not on where that is. A copy of each of the two files is blurred, matches
 * are looked for in the copies, and what they find is then coded from the files themselves.
 *
 * Only encoders do this; what comes out is no part of the format. */

#include "patch-fields.h"

/* Blurs a whole file in memory. 1, or 0 with nothing changed when it is not understood. Memory besides: 24
 * bytes for each field. */
int patch_blur(uint8_t *bytes, size_t size, Error *error);
