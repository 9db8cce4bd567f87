/* SPDX-License-Identifier: Apache-2.0 */
#include "install-check.h"

#include "file.h"

#include <fcntl.h>
#include <string.h>

#define ALLOW "allow it by Reinstall=yes if all that is on it may be lost"

/* Whether there is a table that can be read. */
static int has_table(const char *path, bool *ret, Error *error)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        Error problem = { 0 };
        int r;

        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open %s: %s", path, strerror(errno));
        r = gpt_read(fd, 0, &gpt, &problem);
        if (r < 0 && r != -ENODATA)
                return error_set(error, ERROR_REFUSED, -r,
                                "it cannot be told whether %s holds a host (%s); " ALLOW, path,
                                problem.message);
        *ret = r >= 0;
        return 0;
}

int install_refuse_host(const InstallTarget *target, Error *error)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        Error problem = { 0 };
        bool is_table = false;
        int r = has_table(target->path, &is_table, error);

        if (r < 0 || !is_table)
                return r;
        r = disk_open(target->path, &disk, &problem);
        if (r < 0 && problem.code == ERROR_CORRUPT)
                return 0; /* a table, and not ours */
        if (r < 0)
                return error_set(error, problem.code, -r, "%s", problem.message);
        if (!gpt_report_is_good(&disk->table))
                return error_set(error, ERROR_REFUSED, EPERM,
                                "%s holds a host whose partition table is damaged, or what an install that "
                                "was cut off left; \"bascule-disk repair\" mends a table; " ALLOW,
                                target->path);
        return error_set(error, ERROR_NOTHING_TO_DO, EALREADY,
                        "%s is the disk of a host already; switch the machine off, remove the medium and "
                        "start it again, or " ALLOW,
                        target->path);
}
