/* SPDX-License-Identifier: Apache-2.0 */
/* As a file told. */
#include "installer.h"

#include "install-check.h"
#include "install-console.h"
#include "install-disks.h"

#include <string.h>
#include <unistd.h>

/* Some are seconds behind the first, and a bus is asked for each of its addresses in turn: a second one must
 * not be overlooked because it is slow. */
static const BlockWait late_disks = { .quiet_steps = 20, .max_steps = 60, .step = installer_pause };

static int find_told(
                const Installer *installer, const InstallAnswers *answers, InstallTarget **ret, Error *error)
{
        _cleanup_disks_ InstallDisks disks = { 0 };
        const InstallDisk *disk;
        int r = install_disks_find(&block_tree_default, installer->medium, &late_disks, &disks, error);

        if (r >= 0)
                r = install_disks_choose(&disks, answers, &disk, error);
        return r < 0 ? r : install_disk_look_again(disk, ret, error);
}

static int look_at_told(const char *path, InstallTarget **ret, Error *error)
{
        for (unsigned i = 0; i < late_disks.max_steps && access(path, F_OK) < 0; i++)
                installer_pause(NULL);
        return install_target_look(path, ret, error);
}

static int choose_told(
                const Installer *installer, const InstallAnswers *answers, InstallTarget **ret, Error *error)
{
        _cleanup_(install_target_freep) InstallTarget *target = NULL;
        int r = *answers->disk ? look_at_told(answers->disk, &target, error)
                               : find_told(installer, answers, &target, error);

        if (r < 0)
                return r;
        if (*answers->serial && strcmp(answers->serial, target->serial) != 0)
                return error_set(error, ERROR_REFUSED, EPERM,
                                "%s has serial \"%s\", not \"%s\"; nothing was written", target->path,
                                target->serial, answers->serial);
        *ret = TAKE_PTR(target);
        return 0;
}

int installer_obey(const Installer *installer, const InstallAnswers *answers, Error *error)
{
        _cleanup_(install_target_freep) InstallTarget *target = NULL;
        int r = choose_told(installer, answers, &target, error);

        if (r >= 0)
                r = install_check(installer->medium, target, error);
        if (r < 0)
                return r;
        console_print_target(target);
        /* Else a forgotten medium would cost a host its disk, and one that starts from it would do nothing
         * but install itself. */
        if (!answers->may_reinstall)
                r = install_refuse_host(target, error);
        if (r < 0)
                return r;
        r = installer_install(installer, target, error);
        return r < 0 ? r : installer_end(installer, answers->end, error);
}
