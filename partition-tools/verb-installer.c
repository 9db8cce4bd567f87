/* SPDX-License-Identifier: Apache-2.0 */

/* What a machine does that was started from an installer (bascule-installer.service): it asks, or is told by
 * a file on the medium, where to install what the medium carries. */

#include "block-tree.h"
#include "file.h"
#include "install-console.h"
#include "installer.h"
#include "medium.h"
#include "verbs.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#define MOUNT_POINT "/run/bascule/installer"
#define ANSWERS_MAX (64 * KIB)

static int open_medium(const char *argument, Installer *installer, Error *error)
{
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        _cleanup_fd_ int fd = -1;
        GptEntry esp;
        int r = 0;

        installer->is_running = !argument;
        if (argument)
                installer->medium = strdup(argument);
        else if (disk_find_running(&installer->medium) < 0)
                return error_set(error, ERROR_USAGE, ENODEV,
                                "the disk that this system runs from cannot be told; name the installer");
        if (!installer->medium)
                return error_oom(error);
        fd = open(installer->medium, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open %s: %s", installer->medium,
                                strerror(errno));
        r = gpt_read(fd, 0, &gpt, error);
        if (r >= 0)
                r = gpt_check(gpt, error);
        if (r < 0)
                return error_prefix(error, r, "%s", installer->medium);
        if (!medium_is(gpt) || medium_find_esp(gpt, &installer->esp_number, &esp) < 0)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "%s is no installer; a recipe with Formats=installer makes one",
                                installer->medium);
        return 0;
}

static int mount_esp(const Installer *installer, Error *error)
{
        _cleanup_free_ char *node = NULL;
        struct stat status;
        int r = stat(installer->medium, &status) < 0 ? -errno : 0;

        if (r >= 0)
                r = block_partition_node(&block_tree_default, status.st_rdev, installer->esp_number, &node);
        if (r >= 0)
                r = directory_make(AT_FDCWD, MOUNT_POINT, 0700);
        if (r >= 0 && mount(node, MOUNT_POINT, "vfat", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) <
                                        0)
                r = -errno;
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot look for answers on the medium: %s",
                                       strerror(-r))
                     : 0;
}

/* *ret stays NULL when there is no file: the machine asks. */
static int read_answers(const Installer *installer, const char *file, InstallAnswers **ret, Error *error)
{
        const char *path = file ? file : MOUNT_POINT "/" INSTALL_ANSWERS_FILE;
        _cleanup_free_ char *text = NULL;
        Error problem = { 0 };
        size_t size;
        int r;

        if (!file && !installer->is_running)
                return 0;
        if (!file && mount_esp(installer, &problem) < 0) {
                (void)fprintf(stderr, "%s: %s\n", PROGRAM_NAME,
                                problem.message); /* asking is always possible */
                return 0;
        }
        r = file_read(AT_FDCWD, path, ANSWERS_MAX, &text, &size);
        if (!file)
                (void)umount2(MOUNT_POINT, MNT_DETACH);
        if (r == -ENOENT && !file)
                return 0;
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r));
        return install_answers_parse(file ? file : INSTALL_ANSWERS_FILE, text, size, ret, error);
}

void installer_pause(void *data)
{
        const struct timespec second = { .tv_sec = 1 };

        (void)data;
        (void)nanosleep(&second, NULL);
}

/* Keys, and a terminal that goes away. Half a disk is none, and an installer that a key ended leaves a
 * machine on which nothing can be done. */
static const int ending_signals[] = { SIGINT, SIGQUIT, SIGHUP };

/* former: what they did; or NULL, for good. */
static void ignore_signals(struct sigaction *former)
{
        const struct sigaction ignore = { .sa_handler = SIG_IGN };

        for (size_t i = 0; i < ELEMENTS(ending_signals); i++)
                (void)sigaction(ending_signals[i], &ignore, former ? &former[i] : NULL);
}

int installer_install(const Installer *installer, const InstallTarget *target, Error *error)
{
        _cleanup_(progress_freep) Progress *progress = progress_new();
        struct sigaction former[ELEMENTS(ending_signals)];
        InstallResult result;
        int r;

        ignore_signals(former);
        r = install_image(installer->medium, target, progress, &result, error);
        for (size_t i = 0; i < ELEMENTS(ending_signals); i++)
                (void)sigaction(ending_signals[i], &former[i], NULL);
        return r < 0 ? r : console_print_result(target, &result, false, error);
}

/* The system manager ends what runs and writes back what is left. */
int installer_end(const Installer *installer, InstallEnd end, Error *error)
{
        if (!installer->is_running || end == INSTALL_END_STAY)
                return 0;
        /* Until then the system that runs lies on the medium. */
        (void)fprintf(stderr, "%s; remove the medium when the screen goes dark.\n",
                        end == INSTALL_END_REBOOT ? "The machine starts again"
                                                  : "The machine is switched off");
        (void)execlp("systemctl", "systemctl", "--no-block", install_end_name(end), (char *)NULL);
        return error_set(error, ERROR_MISSING_TOOL, errno, "cannot run systemctl: %s", strerror(errno));
}

static int run(const char *medium, const char *file, Error *error)
{
        _cleanup_(install_answers_freep) InstallAnswers *answers = NULL;
        Installer installer = { 0 };
        int r = open_medium(medium, &installer, error);

        if (r >= 0 && installer.is_running)
                ignore_signals(NULL);
        if (r >= 0)
                r = read_answers(&installer, file, &answers, error);
        if (r >= 0)
                r = answers ? installer_obey(&installer, answers, error) : installer_ask(&installer, error);
        free(installer.medium);
        return r;
}

int verb_installer(int argc, char **argv)
{
        const char *file = NULL;
        const Option options[] = {
                { "answers", 0, OPTION_STRING, &file, "FILE", "Do not ask, but do what this file says" },
                { 0 },
        };
        char **arguments;
        const Usage usage = { PROGRAM_NAME, "installer [OPTION...] [MEDIUM]",
                "Installs what an installer carries onto a disk of this machine: asks for the disk, or does "
                "what\n"
                "bascule-install.conf on the medium says. Without MEDIUM, the one that this system runs "
                "from.",
                0, 1 };
        Error error = { 0 };
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0)
                r = run(arguments[0], file, &error);
        return program_exit(PROGRAM_NAME, r, &error, false);
}
