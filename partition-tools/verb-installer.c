/* SPDX-License-Identifier: Apache-2.0 */

/* What a machine does that was started from an installer (bascule-installer.service): it asks, or is told by
 * a file on the medium, where to install what the medium carries. */

#include "file.h"
#include "install-check.h"
#include "install-console.h"
#include "install-disks.h"
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
#define ASK_MAX 10

typedef struct Installer {
        char *medium;    /* device or file */
        bool is_running; /* this system lies on it, so that what comes then is the machine's end */
        unsigned esp_number;
} Installer;

/* ---- the medium ---- */

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

/* ---- what both do ---- */

static void wait_second(void *data)
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

static int install_onto(const Installer *installer, const InstallTarget *target, Error *error)
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
static int end_machine(const Installer *installer, InstallEnd end, Error *error)
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

/* ---- as it was told ---- */

/* Some are seconds behind the first, and a bus is asked for each of its addresses in turn: a second one must
 * not be overlooked because it is slow. */
static const BlockWait late_disks = { .quiet_steps = 20, .max_steps = 60, .step = wait_second };

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
                wait_second(NULL);
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

static int obey(const Installer *installer, const InstallAnswers *answers, Error *error)
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
        r = install_onto(installer, target, error);
        return r < 0 ? r : end_machine(installer, answers->end, error);
}

/* ---- as a person says ---- */

/* Ctrl-D is no answer. Who started the program from a shell may mean to leave it; the machine that was
 * started for it has nothing else to do, as long as there is a terminal. */
static bool ask_again(const Installer *installer, const char *question, char ret[static CONSOLE_ANSWER_MAX])
{
        for (unsigned i = 1; !console_ask(question, ret); i++) {
                if (isatty(STDIN_FILENO) != 1 || (!installer->is_running && i >= ASK_MAX))
                        return false;
                if (i >= ASK_MAX)
                        wait_second(NULL);
        }
        return true;
}

static void print_disks(const InstallDisks *disks)
{
        (void)fprintf(stderr, "\nDisks of this machine:\n\n");
        for (size_t i = 0; i < disks->count; i++) {
                const InstallDisk *disk = &disks->items[i];

                (void)fprintf(stderr, "%3zu  ", i + 1);
                if (disk->target)
                        console_print_target(disk->target);
                if (error_is_set(&disk->problem))
                        (void)fprintf(stderr, "  cannot be used: %s\n", disk->problem.message);
        }
        if (disks->count == 0)
                (void)fprintf(stderr, "     none beside the medium\n");
}

/* A number of the list, or any path; one of the list is the disk that was listed. */
static int choose_typed(const InstallDisks *disks, const char *answer, InstallTarget **ret, Error *error)
{
        char *end = NULL;
        unsigned long number = strtoul(answer, &end, 10);

        for (size_t i = 0; i < disks->count; i++)
                if (strcmp(answer, disks->items[i].path) == 0)
                        return install_disk_look_again(&disks->items[i], ret, error);
        if (*answer == '/')
                return install_target_look(answer, ret, error);
        if (*end || end == answer || number == 0 || number > disks->count)
                return error_set(error, ERROR_USAGE, EINVAL, "\"%.40s\" is no number of a disk", answer);
        return install_disk_look_again(&disks->items[number - 1], ret, error);
}

static int install_typed(
                const Installer *installer, const InstallDisks *disks, const char *answer, Error *error)
{
        _cleanup_(install_target_freep) InstallTarget *target = NULL;
        int r = choose_typed(disks, answer, &target, error);

        if (r >= 0)
                r = install_check(installer->medium, target, error);
        if (r < 0)
                return r;
        console_print_target(target);
        r = console_confirm(target, "write " INSTALL_ANSWERS_FILE, error);
        return r < 0 ? r : install_onto(installer, target, error);
}

static int end_typed(const Installer *installer, Error *error)
{
        char answer[CONSOLE_ANSWER_MAX];

        if (!installer->is_running)
                return 0;
        console_forget_typed();
        if (!ask_again(installer,
                            "\nPress Enter to start the machine again, or type \"off\" to switch it off; "
                            "remove the medium when the screen goes dark: ",
                            answer))
                return 0;
        return end_machine(installer, strcmp(answer, "off") == 0 ? INSTALL_END_POWEROFF : INSTALL_END_REBOOT,
                        error);
}

/* Until something is installed: what goes wrong is said, and asked again. */
static int converse(const Installer *installer, Error *error)
{
        if (isatty(STDIN_FILENO) != 1)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "there is no terminal to ask on; put answers into " INSTALL_ANSWERS_FILE
                                " on the medium's ESP, or name a file with --answers");
        for (;;) {
                _cleanup_disks_ InstallDisks disks = { 0 };
                char answer[CONSOLE_ANSWER_MAX];
                Error problem = { 0 };
                int r = install_disks_find(&block_tree_default, installer->medium, NULL, &disks, error);

                if (r < 0)
                        return r;
                print_disks(&disks);
                if (!ask_again(installer,
                                    "\nNumber of the disk to install onto (Enter: look again, off: switch "
                                    "off): ",
                                    answer))
                        return error_set(error, ERROR_CANCELLED, ECANCELED, "nothing was chosen%s",
                                        installer->is_running ? ", and the terminal is gone; start the "
                                                                "machine again"
                                                              : "");
                if (strcmp(answer, "off") == 0)
                        return end_machine(installer, INSTALL_END_POWEROFF, error);
                if (!*answer)
                        continue;
                if (install_typed(installer, &disks, answer, &problem) >= 0)
                        return end_typed(installer, error);
                (void)fprintf(stderr, "\n%s: %s\n", PROGRAM_NAME, problem.message);
        }
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
                r = answers ? obey(&installer, answers, error) : converse(&installer, error);
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
