/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an installer is told in a file, so that it need not ask (bascule-disk(8), "ANSWERS"):
 *
 *     [Install]
 *     Disk=/dev/disk/by-id/X   a path, or "only": the one disk that the machine has beside the medium
 *     Serial=S4EVNX0M123456    instead of, or beside, a path: the disk with this serial number
 *     Erase=yes                needed: everything on the disk is lost
 *     Reinstall=no             "yes": also when the disk is that of a host already
 *     Then=poweroff            or "reboot", or "stay"
 *
 * The file lies on the medium's ESP, where whoever has the medium can write: it is hostile as far as its
 * bytes go, and is obeyed. */

#include "error.h"

#define INSTALL_ANSWERS_FILE "bascule-install.conf" /* on the ESP */

typedef enum InstallEnd {
        INSTALL_END_POWEROFF,
        INSTALL_END_REBOOT,
        INSTALL_END_STAY,
        INSTALL_END_MAX
} InstallEnd;

/* "poweroff", "reboot", "stay". */
const char *install_end_name(InstallEnd end);

typedef struct InstallAnswers {
        char *disk;   /* a path; "" when there is none */
        char *serial; /* "" when any will do */
        bool is_only; /* Disk=only */
        bool may_reinstall;
        InstallEnd end;
} InstallAnswers;

/* `name` is for messages. ERROR_CONFIG for an unknown key, an answer that is missing, Erase= without "yes",
 * a key that is empty or there twice, a path that is not written in full, and the kernel's name of a disk
 * without its serial number. */
int install_answers_parse(
                const char *name, const char *text, size_t size, InstallAnswers **ret, Error *error);
InstallAnswers *install_answers_free(InstallAnswers *answers);
DEFINE_CLEANUP(InstallAnswers *, install_answers_free)

/* Which disk is meant when no path says it, as an index into the serial numbers of the disks that there are
 * ("" where one has none). ERROR_REFUSED when it is none of them, or could be more than one. */
int install_answers_choose(const InstallAnswers *answers, const char *const *serials, size_t count,
                size_t *ret_index, Error *error);
