/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a machine does that was started from an installer, as verb-installer.c shares it out: what it is told
 * by a file is obeyed by installer-obey.c, and otherwise a person is asked by installer-ask.c. Internal to
 * bascule-disk. */

#include "install-answers.h"
#include "install.h"

typedef struct Installer {
        char *medium;    /* device or file */
        bool is_running; /* this system lies on it, so that what comes then is the machine's end */
        unsigned esp_number;
} Installer;

/* Installs and says so. No key and no terminal that goes away ends it. */
int installer_install(const Installer *installer, const InstallTarget *target, Error *error);

/* Ends the machine if the system lies on the medium; only returns when it does not. ERROR_MISSING_TOOL. */
int installer_end(const Installer *installer, InstallEnd end, Error *error);

/* For a second; `data` is not used. */
void installer_pause(void *data);

/* Either finds a disk, installs, and ends the machine. */
int installer_obey(const Installer *installer, const InstallAnswers *answers, Error *error);
int installer_ask(const Installer *installer, Error *error);
