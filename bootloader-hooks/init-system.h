/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What bascule-init does to the machine outside of disks: messages, the first mounts, modules, the watchdog,
 * the end. Nothing here is used but in the initrd. */

#include "error.h"

/* Messages go to the kernel's log, which shows them on the console. A problem is shown even when the console
 * is quiet; a step only with bascule.debug. */
void init_set_debug(bool is_debug);
void init_problem(const char *format, ...) _printf_(1, 2);
void init_step(const char *format, ...) _printf_(1, 2);

/* /dev, /proc, /sys and /run, and the console as standard input and output. */
int init_mount_basics(Error *error);

/* efivarfs, once its module is there; a machine without EFI variables is fine. */
void init_mount_efivars(void);

/* Loads the modules of a list, one path a line, in its order. What the machine has no hardware for does not
 * matter. softdog is kept back for watchdog_arm(). */
void init_load_modules(const char *list_path);

/* What systemd-stub unpacked of a signed policy for the TPM goes where systemd on the host looks for it:
 * /.extra is gone once the host's root is there. */
void init_keep_pcr_policy(void);

/* Starts the machine's watchdog, or softdog if the list has it and nothing else is there. It stays armed
 * when the process that opened it is replaced, so whatever hangs from here on ends in a reset. 0 seconds:
 * does nothing. */
void watchdog_arm(unsigned seconds, const char *list_path);
void watchdog_keep_alive(void);

/* Says why, waits a little for a person to read it, and reboots. */
_noreturn_ void init_give_up(bool is_debug, const Error *error);

/* Writes a short text to a file, made if need be. Negative errno. */
int init_write_file(const char *path, const char *text);
