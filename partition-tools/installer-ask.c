/* SPDX-License-Identifier: Apache-2.0 */
/* As a person says. */
#include "installer.h"

#include "install-console.h"
#include "install-disks.h"
#include "verbs.h"

#include <string.h>
#include <unistd.h>

#define ASK_MAX 10

/* Ctrl-D is no answer. Who started the program from a shell may mean to leave it; the machine that was
 * started for it has nothing else to do, as long as there is a terminal. */
static bool ask_again(const Installer *installer, const char *question, char ret[static CONSOLE_ANSWER_MAX])
{
        for (unsigned i = 1; !console_ask(question, ret); i++) {
                if (isatty(STDIN_FILENO) != 1 || (!installer->is_running && i >= ASK_MAX))
                        return false;
                if (i >= ASK_MAX)
                        installer_pause(NULL);
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
        return r < 0 ? r : installer_install(installer, target, error);
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
        return installer_end(installer,
                        strcmp(answer, "off") == 0 ? INSTALL_END_POWEROFF : INSTALL_END_REBOOT, error);
}

/* Until something is installed: what goes wrong is said, and asked again. */
int installer_ask(const Installer *installer, Error *error)
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
                        return installer_end(installer, INSTALL_END_POWEROFF, error);
                if (!*answer)
                        continue;
                if (install_typed(installer, &disks, answer, &problem) >= 0)
                        return end_typed(installer, error);
                (void)fprintf(stderr, "\n%s: %s\n", PROGRAM_NAME, problem.message);
        }
}
