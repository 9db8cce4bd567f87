/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "sandbox-internal.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define CHILDREN_MAX (1 * MIB)

/* All of this runs in children of a fork, as that of sandbox-command.c does. */

/* What is there and is something else goes: a package may have put it there. */
static int make_device(const char *path, unsigned minor)
{
        dev_t device = makedev(1, minor);
        struct stat status;

        if (lstat(path, &status) == 0) {
                if (S_ISCHR(status.st_mode) && status.st_rdev == device)
                        return 0;
                if (unlink(path) < 0)
                        return -errno;
        }
        return mknod(path, S_IFCHR | 0666, device) < 0 ? -errno : 0;
}

int sandbox_enter_plain(void)
{
        static const struct {
                const char *path;
                unsigned minor;
        } devices[] = { { "dev/null", 3 }, { "dev/zero", 5 }, { "dev/full", 7 }, { "dev/random", 8 },
                { "dev/urandom", 9 } };
        int r = chdir(SANDBOX_TREE) < 0 ? -errno : sandbox_make_mount_point("dev");

        (void)umask(0);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(devices); i++)
                r = make_device(devices[i].path, devices[i].minor);
        if (r >= 0)
                r = sandbox_make_mount_point("proc");
        return r >= 0 && (chroot(".") < 0 || chdir("/") < 0) ? -errno : r;
}

/* From the bounding set: the program that is executed next has none of them. */
void sandbox_drop_capabilities(void)
{
        static const unsigned kept[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL,
                CAP_SETGID, CAP_SETUID, CAP_SETFCAP };
        unsigned number = 0;

        for (unsigned capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
                if (number < ELEMENTS(kept) && kept[number] == capability)
                        number++;
                else
                        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
}

/* Kills what our thread has as children now. */
static void kill_children(void)
{
        _cleanup_free_ char *text = NULL;
        char *next, *word;
        size_t size;

        if (file_read(AT_FDCWD, "/proc/thread-self/children", CHILDREN_MAX, &text, &size) < 0)
                return;
        next = text;
        while ((word = strsep(&next, " ")))
                if (*word)
                        (void)kill((pid_t)atoi(word), SIGKILL);
}

void sandbox_end_children(void)
{
        do
                kill_children();
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
}
