/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Order of version strings, as in the UAPI Group's Version Format Specification (the order that
 * systemd-boot uses to pick an entry, so that engine and loader never disagree). */

#include "macro.h"

#define VERSION_MAX 64 /* bytes, without the NUL */

/* Negative, 0 or positive, as strcmp(). Any bytes are accepted. */
int version_compare(const char *a, const char *b);

/* Whether the text may be a release version: 1..VERSION_MAX bytes of [A-Za-z0-9.~^-], beginning with a
 * letter or digit. '+' and '_' are excluded since entry names give them a meaning, '/' since it is a path. */
bool version_is_valid(const char *text);

/* Whether the text may be an image id: 1..64 bytes of [a-z0-9-], beginning with a letter or digit. */
bool image_id_is_valid(const char *text);
