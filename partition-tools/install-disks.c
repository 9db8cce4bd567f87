/* SPDX-License-Identifier: Apache-2.0 */
#include "install-disks.h"

#include "printable.h"
#include "strv.h"

#include <string.h>
#include <sys/stat.h>

void install_disks_done(InstallDisks *disks)
{
        for (size_t i = 0; i < disks->count; i++) {
                free(disks->items[i].path);
                free(disks->items[i].serial);
                (void)install_target_free(disks->items[i].target);
        }
        free(disks->items);
        *disks = (InstallDisks){ 0 };
}

static bool is_medium(const char *medium, const char *path)
{
        struct stat a, b;

        return stat(medium, &a) >= 0 && stat(path, &b) >= 0 && S_ISBLK(a.st_mode) && a.st_rdev == b.st_rdev;
}

/* The kernel tells it also of a disk that is in use. */
static char *serial_of(const BlockTree *tree, const char *path)
{
        struct stat status;
        char *serial = NULL;

        if (stat(path, &status) < 0 || block_disk_serial(tree, status.st_rdev, &serial) < 0)
                return strdup("");
        printable_make(serial);
        return serial;
}

static bool says(const BlockTree *tree, dev_t disk, const char *attribute, const char *wanted)
{
        _cleanup_free_ char *word = NULL;

        return block_disk_attribute(tree, disk, attribute, &word) >= 0 && strcmp(word, wanted) == 0;
}

/* The kernel calls a card removable only if its reader is; what is soldered on is of type MMC. */
static bool is_removable(const BlockTree *tree, const char *path)
{
        struct stat status;

        return stat(path, &status) >= 0 && (says(tree, status.st_rdev, "removable", "1") ||
                                                           says(tree, status.st_rdev, "device/type", "SD"));
}

static int add(InstallDisks *disks, const BlockTree *tree, const char *medium, const char *path)
{
        InstallDisk *disk = &disks->items[disks->count++];

        disk->path = strdup(path);
        disk->serial = serial_of(tree, path);
        disk->is_removable = is_removable(tree, path);
        if (!disk->path || !disk->serial)
                return -ENOMEM;
        if (install_target_look(path, &disk->target, &disk->problem) >= 0)
                (void)install_check(medium, disk->target, &disk->problem);
        return 0;
}

int install_disks_find(const BlockTree *tree, const char *medium, const BlockWait *wait, InstallDisks *ret,
                Error *error)
{
        _cleanup_disks_ InstallDisks disks = { 0 };
        _cleanup_strv_ char **paths = NULL;
        int r = wait ? block_disks_settled(tree, wait, &paths) : block_disks(tree, &paths);

        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot find out which disks there are: %s",
                                strerror(-r));
        disks.items = calloc(strv_length(paths) + 1, sizeof(*disks.items));
        if (!disks.items)
                return error_oom(error);
        for (char **path = paths; path && *path; path++) {
                r = is_medium(medium, *path) ? 0 : add(&disks, tree, medium, *path);
                if (r < 0)
                        return error_oom(error);
        }
        *ret = disks;
        disks = (InstallDisks){ 0 };
        return 0;
}

int install_disks_choose(const InstallDisks *disks, const InstallAnswers *answers, const InstallDisk **ret,
                Error *error)
{
        _cleanup_free_ const char **serials = calloc(disks->count + 1, sizeof(*serials));
        size_t index;
        int r;

        if (!serials)
                return error_oom(error);
        for (size_t i = 0; i < disks->count; i++)
                serials[i] = disks->items[i].serial;
        r = install_answers_choose(answers, serials, disks->count, &index, error);
        if (r < 0)
                return r;
        if (answers->is_only && !*answers->serial && disks->items[index].is_removable)
                return error_set(error, ERROR_REFUSED, EPERM,
                                "the only disk beside the medium, %s, can be taken out, so it may not be "
                                "the machine's own; say by Disk= or Serial= that it is meant",
                                disks->items[index].path);
        *ret = &disks->items[index];
        return 0;
}

int install_disk_look_again(const InstallDisk *disk, InstallTarget **ret, Error *error)
{
        _cleanup_(install_target_freep) InstallTarget *now = NULL;
        int r;

        if (!disk->target)
                return error_set(error, disk->problem.code, EIO, "%s", disk->problem.message);
        r = install_target_look(disk->path, &now, error);
        if (r < 0)
                return r;
        if (!install_target_is_same(disk->target, now))
                return error_set(error, ERROR_REFUSED, ESTALE,
                                "%s is another disk now than the one that was found; nothing was written, "
                                "choose again",
                                disk->path);
        *ret = TAKE_PTR(now);
        return 0;
}
