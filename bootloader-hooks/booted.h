/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What bascule-init noted of this boot, /run/bascule/booted: lines KEY=value, which shells can source too.
 * Written by root in the initrd; parsed strictly all the same. Unknown keys are for later versions. */

#include "error.h"
#include "sha256.h"
#include "version-order.h"

#define BOOTED_FOLDER "/run/bascule"
#define BOOTED_DISK_MAX 64

typedef struct Booted {
        char image_id[VERSION_MAX + 1]; /* IMAGE_ID= */
        char version[VERSION_MAX + 1];  /* VERSION= */
        uint8_t root_hash[SHA256_SIZE]; /* ROOT_HASH= */
        char disk[BOOTED_DISK_MAX];     /* DISK=/dev/vda */
        char slot;                      /* SLOT=a */
        bool is_var_volatile;           /* VAR=volatile: /var is in memory */
        bool is_etc_volatile;           /* ETC=volatile */
} Booted;

/* `folder` is BOOTED_FOLDER but for tests. -ENOENT with ERROR_INCOMPATIBLE when this machine was not booted
 * by bascule-init, -EBADMSG with ERROR_CORRUPT for a file that lacks something. */
int booted_read(const char *folder, Booted *ret, Error *error);

/* The same from text. */
int booted_parse(const char *text, Booted *ret, Error *error);
