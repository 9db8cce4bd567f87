/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The words of the kernel command line that are bascule-init's own. The line is normally part of the signed
 * UKI, but without Secure Boot anyone at the console can edit it: a wrong value is an error, never a guess.
 *
 *     bascule.roothash=HEX      root hash of the release, 64 digits; needed
 *     bascule.var=auto          the var partition, or a volatile /var when it cannot be mounted
 *     bascule.var=volatile      a /var in memory, for rescue
 *     bascule.wait=SECONDS      how long to wait for the disk: 0 to 600, 30 when not given
 *     bascule.watchdog=SECONDS  1 to 3600, 60 when not given; 0 leaves the watchdog alone
 *     bascule.debug             tell every step, and offer a shell after a failure if the initrd has one
 *
 * Of a word that comes twice the last counts, as for the kernel. */

#include "error.h"
#include "sha256.h"

#define CMDLINE_MAX 4096
#define CMDLINE_WAIT_DEFAULT 30
#define CMDLINE_WATCHDOG_DEFAULT 60

typedef struct Cmdline {
        uint8_t root_hash[SHA256_SIZE];
        bool has_root_hash;
        bool is_var_volatile;
        bool is_debug;
        unsigned wait_seconds;
        unsigned watchdog_seconds; /* 0: none */
} Cmdline;

/* -EINVAL with a sentence for a bad value or an unknown word that begins with "bascule.". Double quotes
 * group as in the kernel. *ret has the defaults and what was understood even after an error. */
int cmdline_parse(const char *text, Cmdline *ret, Error *error);
