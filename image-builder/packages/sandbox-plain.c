/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "sandbox-internal.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#define CHILDREN_MAX (1 * MIB)
#define WITHOUT_LIST_MAX 500 /* times that we look for the end of what we cannot kill: five seconds */

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
                r = sandbox_make_shared_memory();
        if (r >= 0)
                r = sandbox_make_mount_point("proc");
        return r >= 0 && (chroot(".") < 0 || chdir("/") < 0) ? -errno : r;
}

/* What the next program could get back although it is not in the bounding set. */
static int clear_inheritable(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTS(data); i++)
                data[i].inheritable = 0;
        if (syscall(SYS_capset, &header, data) < 0)
                return -errno;
        return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ? -errno : 0;
}

int sandbox_drop_capabilities(void)
{
        static const unsigned kept[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL,
                CAP_SETGID, CAP_SETUID, CAP_AUDIT_WRITE, CAP_SETFCAP }; /* in order */
        unsigned number = 0;

        for (unsigned capability = 0;; capability++) {
                int has = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);

                if (has < 0) /* past the last one */
                        return clear_inheritable();
                if (number < ELEMENTS(kept) && kept[number] == capability)
                        number++;
                else if (has > 0 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
                        return -errno;
        }
}

/* Whether numbers in /proc are those of our namespace of processes. */
static bool knows_us(void)
{
        char link[24] = "", own[24];

        (void)snprintf(own, sizeof(own), "%d", (int)getpid());
        return readlink("/proc/self", link, sizeof(link) - 1) > 0 && strcmp(link, own) == 0;
}

/* Kills what our thread has as children now; whether there is a list of them. */
static bool kill_children(void)
{
        _cleanup_free_ char *text = NULL;
        char *next, *word;
        size_t size;

        if (!knows_us() || file_read(AT_FDCWD, "/proc/thread-self/children", CHILDREN_MAX, &text, &size) < 0)
                return false;
        next = text;
        while ((word = strsep(&next, " \n"))) {
                long id = strtol(word, NULL, 10);

                if (id > 1)
                        (void)kill((pid_t)id, SIGKILL);
        }
        return true;
}

void sandbox_end_children(void)
{
        const struct timespec pause = { .tv_nsec = 10000000 };

        for (unsigned i = 0; i < WITHOUT_LIST_MAX; i++) {
                bool has_list = kill_children();
                pid_t ended = waitpid(-1, NULL, has_list ? 0 : WNOHANG);

                if (ended < 0 && errno != EINTR)
                        return;
                if (ended != 0)
                        i = 0;
                else
                        (void)nanosleep(&pause, NULL);
        }
}
