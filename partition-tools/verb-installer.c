/* SPDX-License-Identifier: Apache-2.0 */

/* What a machine does that was started from an installer (bascule-installer.service): it asks, or is told by
 * a file on the medium, where to install what the medium carries. */

#include "block-tree.h"
#include "file.h"
#include "install-answers.h"
#include "install-check.h"
#include "install-console.h"
#include "medium.h"
#include "strv.h"
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

/* A disk of this machine's. */
typedef struct Found {
        char *path;
        InstallTarget *target; /* NULL: it cannot be looked at */
        Error problem;         /* why it cannot be used */
} Found;

typedef struct FoundList {
        Found *items;
        size_t count;
} FoundList;

static void found_done(FoundList *list)
{
        for (size_t i = 0; i < list->count; i++) {
                free(list->items[i].path);
                (void)install_target_free(list->items[i].target);
        }
        free(list->items);
        *list = (FoundList){ 0 };
}

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

/* ---- disks ---- */

static bool is_medium(const Installer *installer, const char *path)
{
        struct stat medium, disk;

        return stat(installer->medium, &medium) >= 0 && stat(path, &disk) >= 0 && S_ISBLK(medium.st_mode) &&
               medium.st_rdev == disk.st_rdev;
}

static void wait_second(void *data)
{
        const struct timespec second = { .tv_sec = 1 };

        (void)data;
        (void)nanosleep(&second, NULL);
}

/* `wait` NULL: those that are there now. */
static int find_disks(const Installer *installer, const BlockWait *wait, FoundList *ret, Error *error)
{
        _cleanup_strv_ char **paths = NULL;
        int r = wait ? block_disks_settled(&block_tree_default, wait, &paths)
                     : block_disks(&block_tree_default, &paths);

        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot find out which disks there are: %s",
                                strerror(-r));
        ret->items = calloc(strv_length(paths) + 1, sizeof(*ret->items));
        if (!ret->items)
                return error_oom(error);
        for (char **path = paths; path && *path; path++) {
                Found *found = &ret->items[ret->count];

                if (is_medium(installer, *path))
                        continue;
                found->path = strdup(*path);
                if (!found->path)
                        return error_oom(error);
                ret->count++;
                if (install_target_look(*path, &found->target, &found->problem) >= 0)
                        (void)install_check(installer->medium, found->target, &found->problem);
        }
        return 0;
}

static int install_onto(const Installer *installer, const InstallTarget *target, Error *error)
{
        _cleanup_(progress_freep) Progress *progress = progress_new();
        const struct sigaction ignore = { .sa_handler = SIG_IGN };
        struct sigaction interrupt, quit;
        InstallResult result;
        int r;

        /* Half a disk is none: a key that was hit by mistake must not make one. */
        (void)sigaction(SIGINT, &ignore, &interrupt);
        (void)sigaction(SIGQUIT, &ignore, &quit);
        r = install_image(installer->medium, target, progress, &result, error);
        (void)sigaction(SIGINT, &interrupt, NULL);
        (void)sigaction(SIGQUIT, &quit, NULL);
        if (r >= 0)
                console_print_result(target, &result, false);
        return r;
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

/* Some are seconds behind the first: a second one must not be overlooked because it is slow. */
static const BlockWait late_disks = { .quiet_steps = 5, .max_steps = 60, .step = wait_second };

static void wait_for_path(const char *path)
{
        for (unsigned i = 0; i < late_disks.max_steps && access(path, F_OK) < 0; i++)
                wait_second(NULL);
}

/* A disk without a path is looked for among all, also those that cannot be used: it is better to ask than to
 * take another one. */
static int find_told(const Installer *installer, const InstallAnswers *answers, char **ret, Error *error)
{
        _cleanup_(found_done) FoundList list = { 0 };
        _cleanup_free_ const char **serials = NULL;
        size_t index;
        int r = find_disks(installer, &late_disks, &list, error);

        if (r < 0)
                return r;
        serials = calloc(list.count + 1, sizeof(*serials));
        if (!serials)
                return error_oom(error);
        for (size_t i = 0; i < list.count; i++)
                serials[i] = list.items[i].target ? list.items[i].target->serial : "";
        r = install_answers_choose(answers, serials, list.count, &index, error);
        if (r >= 0)
                *ret = TAKE_PTR(list.items[index].path);
        return r;
}

static int choose_told(
                const Installer *installer, const InstallAnswers *answers, InstallTarget **ret, Error *error)
{
        _cleanup_free_ char *path = *answers->disk ? strdup(answers->disk) : NULL;
        int r = *answers->disk ? 0 : find_told(installer, answers, &path, error);

        if (r >= 0 && !path)
                r = error_oom(error);
        if (r >= 0)
                wait_for_path(path);
        if (r >= 0)
                r = install_target_look(path, ret, error);
        if (r >= 0 && *answers->serial && strcmp(answers->serial, (*ret)->serial) != 0)
                r = error_set(error, ERROR_REFUSED, EPERM,
                                "%s has serial \"%s\", not \"%s\"; nothing was written", path,
                                (*ret)->serial, answers->serial);
        return r;
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

/* Ctrl-D is no answer; a terminal that is gone gives no other. */
static bool ask_again(const char *question, char ret[static CONSOLE_ANSWER_MAX])
{
        for (unsigned i = 0; i < ASK_MAX; i++)
                if (console_ask(question, ret))
                        return true;
        return false;
}

static void print_disks(const FoundList *list)
{
        (void)fprintf(stderr, "\nDisks of this machine:\n\n");
        for (size_t i = 0; i < list->count; i++) {
                const Found *found = &list->items[i];

                (void)fprintf(stderr, "%3zu  ", i + 1);
                if (found->target)
                        console_print_target(found->target);
                if (error_is_set(&found->problem))
                        (void)fprintf(stderr, "  cannot be used: %s\n", found->problem.message);
        }
        if (list->count == 0)
                (void)fprintf(stderr, "     none beside the medium\n");
}

/* A number of the list, or any path. */
static int choose_typed(const FoundList *list, const char *answer, InstallTarget **ret, Error *error)
{
        char *end = NULL;
        unsigned long number = strtoul(answer, &end, 10);

        if (*answer == '/')
                return install_target_look(answer, ret, error);
        if (*end || end == answer || number == 0 || number > list->count)
                return error_set(error, ERROR_USAGE, EINVAL, "\"%.40s\" is no number of a disk", answer);
        return install_target_look(list->items[number - 1].path, ret, error);
}

static int install_typed(const Installer *installer, const FoundList *list, const char *answer, Error *error)
{
        _cleanup_(install_target_freep) InstallTarget *target = NULL;
        int r = choose_typed(list, answer, &target, error);

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
        if (!ask_again("\nPress Enter to start the machine again, or type \"off\" to switch it off; remove "
                       "the "
                       "medium when the screen goes dark: ",
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
                _cleanup_(found_done) FoundList list = { 0 };
                char answer[CONSOLE_ANSWER_MAX];
                Error problem = { 0 };
                int r = find_disks(installer, NULL, &list, error);

                if (r < 0)
                        return r;
                print_disks(&list);
                if (!ask_again("\nNumber of the disk to install onto (Enter: look again, off: switch "
                               "off): ",
                                    answer))
                        return error_set(error, ERROR_CANCELLED, ECANCELED, "nothing was chosen");
                if (strcmp(answer, "off") == 0)
                        return end_machine(installer, INSTALL_END_POWEROFF, error);
                if (!*answer)
                        continue;
                if (install_typed(installer, &list, answer, &problem) >= 0)
                        return end_typed(installer, error);
                (void)fprintf(stderr, "\n%s: %s\n", PROGRAM_NAME, problem.message);
        }
}

static int run(const char *medium, const char *file, Error *error)
{
        _cleanup_(install_answers_freep) InstallAnswers *answers = NULL;
        Installer installer = { 0 };
        int r = open_medium(medium, &installer, error);

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
