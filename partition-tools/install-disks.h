/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The disks of a machine that an installer can choose among. What they tell of themselves is hostile; what
 * is kept of it is printable. Internal to partition-tools. */

#include "block-tree.h"
#include "install-answers.h"
#include "install.h"

typedef struct InstallDisk {
        char *path;
        char *serial;          /* "" when it tells none; also of a disk that cannot be looked at */
        bool is_removable;     /* it can be taken out, as a stick or a card can */
        InstallTarget *target; /* as it was found; NULL when it cannot be looked at */
        Error problem;         /* why it cannot be used */
} InstallDisk;

typedef struct InstallDisks {
        InstallDisk *items;
        size_t count;
} InstallDisks;

/* All but the medium, each looked at and checked for what the medium carries. `wait` NULL: those that are
 * there now. ERROR_FAILED. */
int install_disks_find(const BlockTree *tree, const char *medium, const BlockWait *wait, InstallDisks *ret,
                Error *error);
void install_disks_done(InstallDisks *disks);
#define _cleanup_disks_ _cleanup_(install_disks_done)

/* The one that answers without a path mean, among all, also those that cannot be used: it is better to ask
 * than to take another one. The only one is not taken when it can be taken out: the machine's own may be
 * missing. ERROR_REFUSED. */
int install_disks_choose(const InstallDisks *disks, const InstallAnswers *answers, const InstallDisk **ret,
                Error *error);

/* What its name stands for now. ERROR_REFUSED when that is another disk than the one that was found; the
 * problem of one that could not be looked at. */
int install_disk_look_again(const InstallDisk *disk, InstallTarget **ret, Error *error);
