/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The upper layers of /etc, one per release, under /var/lib/bascule/etc:
 *
 *     VERSION/upper, VERSION/work   of a release that has run here
 *     .VERSION.new/                 being made; a leftover of a cut is thrown away
 *     .last                         the version that was booted last
 *
 * The first boot of a release clones the upper layer of the release that was booted last, so changed files
 * go along, and all others follow the release. */

#include "error.h"

#define ETC_STATE_FOLDER "lib/bascule/etc" /* from /var */
#define ETC_LAST_FILE ".last"

/* Makes sure that the layer of `version` is there, whole, and that `.last` names it. `state_fd` is the
 * folder above. An interrupted call can be repeated. */
int etc_prepare(int state_fd, const char *version, Error *error);
