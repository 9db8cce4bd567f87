/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a person sees and is asked before and after a disk is overwritten. Questions and what belongs to them
 * go to standard error: with --json standard output carries the result alone. */

#include "install.h"

#define CONSOLE_ANSWER_MAX 256

/* Path, size, model, serial, and what is on the disk. */
void console_print_target(const InstallTarget *target);

/* Asks for the disk's name, which is the yes. ERROR_CANCELLED when something else is typed, ERROR_USAGE,
 * with `instead`, what can be done without a terminal, when there is none. */
int console_confirm(const InstallTarget *target, const char *instead, Error *error);

/* A line of standard input without its end, empty when it was longer than anything that is asked for; false
 * at its end, which on a terminal is a key: it can be asked again. */
bool console_ask(const char *question, char ret[static CONSOLE_ANSWER_MAX]);

/* Drops what was typed into a terminal before a question was there to be answered by it. */
void console_forget_typed(void);

/* In JSON the path is made printable, which a path need not be. */
int console_print_result(const InstallTarget *target, const InstallResult *result, bool json, Error *error);
