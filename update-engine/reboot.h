/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Telling people, and asking the system to reboot. */

#include "config.h"
#include "host.h"

/* When the policy reboots for a waiting release: *ret is in seconds since 1970, at or after `now`, with the
 * grace period kept and, for a window, inside of one. -ENOENT: an administrator reboots. */
int reboot_plan(const Config *config, uint64_t now, uint64_t *ret);

/* Shows the message on every terminal where someone is logged in. Not being able to is no failure. */
void reboot_announce(const char *message, uint64_t seconds_left);

/* Asks login1, or systemd itself where that does not run, to reboot; on a described host appends a line to
 * its file. */
int reboot_now(const Host *host, Error *error);
