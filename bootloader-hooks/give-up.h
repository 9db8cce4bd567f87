/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The bad end of a trial, as bascule-health and bascule-bless bring it about. Part of these programs, so it
 * logs what it does. */

#include "trial.h"

typedef struct GiveUp {
        const char *state_folder;
        const char *esp_folder; /* NULL: the partition of the disk that was booted */
        bool no_reboot;         /* note the failure only */
} GiveUp;

/* Gives the running release, which is on trial, up: notes the reason, and reboots. Where nothing else can be
 * booted the host stays up, and with no_reboot too: the note is all then, and its result returned. `reason`
 * is a sentence, and may quote what others wrote. */
int give_up(const GiveUp *options, const Booted *booted, const char *reason, Error *error);
