/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs.h"

#include "install-console.h"

#include <string.h>

typedef struct InstallOptions {
        bool json, yes;
        const char *serial;
        uint64_t size_bytes, sector_size_bytes; /* 0 when not given */
} InstallOptions;

/* --yes alone would make a typing mistake in the disk's name fatal; something that only the right disk has
 * must be given with it. What is given is checked in any case. */
static int check_expectations(const InstallTarget *target, const InstallOptions *options, Error *error)
{
        /* A disk that tells none would have it: a script whose variable is unset names no disk by it. */
        if (options->serial && !*options->serial)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "--disk-serial is empty; give the serial number, or --disk-size instead");
        if (options->serial && strcmp(options->serial, target->serial) != 0)
                return error_set(error, ERROR_REFUSED, EPERM,
                                "%s has serial \"%s\", not \"%s\"; nothing was written", target->path,
                                target->serial, options->serial);
        if (options->size_bytes != 0 && options->size_bytes != target->size_bytes)
                return error_set(error, ERROR_REFUSED, EPERM,
                                "%s has %ju bytes, not %ju; nothing was written", target->path,
                                (uintmax_t)target->size_bytes, (uintmax_t)options->size_bytes);
        if (options->yes && !options->serial && options->size_bytes == 0)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "--yes needs --disk-serial or --disk-size, so that the right disk is "
                                "overwritten");
        return 0;
}

/* A disk has told its own. A file is the disk of a machine that is not there. */
static int take_sector_size(InstallTarget *target, const InstallOptions *options, Error *error)
{
        if (options->sector_size_bytes == 0)
                return 0;
        if (options->sector_size_bytes != 512 && options->sector_size_bytes != 4096)
                return error_set(error, ERROR_USAGE, EINVAL, "--sector-size is 512 or 4096");
        if (target->is_block_device && target->sector_size_bytes != options->sector_size_bytes)
                return error_set(error, ERROR_REFUSED, EPERM,
                                "%s has sectors of %u bytes; --sector-size is for files", target->path,
                                target->sector_size_bytes);
        target->sector_size_bytes = (unsigned)options->sector_size_bytes;
        return 0;
}

static int install(const char *image, const char *disk, const InstallOptions *options, Error *error)
{
        _cleanup_(install_target_freep) InstallTarget *target = NULL;
        _cleanup_(progress_freep) Progress *progress = progress_new();
        InstallResult result;
        int r = install_target_look(disk, &target, error);

        if (r >= 0)
                r = take_sector_size(target, options, error);
        if (r >= 0)
                r = install_check(image, target, error);
        if (r < 0)
                return r;
        console_print_target(target);
        r = check_expectations(target, options, error);
        if (r >= 0 && !options->yes)
                r = console_confirm(target, "use --yes with --disk-serial or --disk-size", error);
        if (r >= 0)
                r = install_image(image, target, progress, &result, error);
        return r < 0 ? r : console_print_result(target, &result, options->json, error);
}

int verb_install(int argc, char **argv)
{
        InstallOptions chosen = { 0 };
        const Option options[] = {
                { "yes", 'y', OPTION_FLAG, &chosen.yes, NULL, "Do not ask; needs one of the next two" },
                { "disk-serial", 0, OPTION_STRING, &chosen.serial, "TEXT",
                                "Refuse a disk with another serial" },
                { "disk-size", 0, OPTION_SIZE, &chosen.size_bytes, "SIZE", "Refuse a disk of another size" },
                { "sector-size", 0, OPTION_SIZE, &chosen.sector_size_bytes, "BYTES",
                                "Of a file that is to be the disk of a machine: 512 or 4096" },
                { "json", 'j', OPTION_FLAG, &chosen.json, NULL, "Print the result as JSON" },
                { 0 },
        };
        char **arguments;
        const Usage usage = { PROGRAM_NAME, "install [OPTION...] IMAGE DISK",
                "Overwrites a disk with a raw disk image, or with what an installer carries, reads it back, "
                "and\n"
                "gives var the rest of the disk.\nRefuses disks in use and the one that the running system "
                "lies on.",
                2, 2 };
        Error error = { 0 };
        int r = options_take(argc, argv, options, &usage, &arguments, &error);
        if (r == 0)
                r = install(arguments[0], arguments[1], &chosen, &error);
        return program_exit(PROGRAM_NAME, r, &error, chosen.json);
}
