/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"
#include "verbs.h"

#include <string.h>

int verb_disk_argument(int argc, char **argv, const Option *options, const char *usage, const char *summary,
                char **ret_path, Error *error)
{
        const Usage whole = { PROGRAM_NAME, usage, summary, 0, 1 };
        char **arguments, *path = NULL;
        int r = options_take(argc, argv, options, &whole, &arguments, error);

        if (r != 0)
                return r;
        if (arguments[0])
                path = strdup(arguments[0]);
        else
                r = disk_find_running(&path);
        if (r < 0)
                return error_set(error, ERROR_USAGE, -r,
                                "the disk that this system runs from cannot be told; name a disk or a disk "
                                "image");
        if (!path)
                return error_oom(error);
        *ret_path = path;
        return 0;
}

int main(int argc, char **argv)
{
        static const Verb verbs[] = {
                { "show", "[DISK]", "Show the partitions and what each slot holds", verb_show },
                { "verify", "[DISK]", "Check both slots, data and hash tree, block by block", verb_verify },
                { "grow", "[DISK]", "Grow var, partition and filesystem, to the end of the disk",
                                verb_grow },
                { "install", "IMAGE DISK", "Overwrite a disk with a disk image", verb_install },
                { "installer", "[MEDIUM]",
                                "Ask, or read in a file, where to install what an installer carries",
                                verb_installer },
                { "repair", "[DISK]", "Mend a damaged copy of the partition table from the other",
                                verb_repair },
                { 0 },
        };

        log_open(PROGRAM_NAME);
        return verbs_run(PROGRAM_NAME, "Inspects, installs, grows and repairs disks that hold two slots.",
                        verbs, argc, argv);
}
