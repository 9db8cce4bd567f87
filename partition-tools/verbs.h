/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The verbs of bascule-disk: one file verb-NAME.c and one line here and in main.c each. Every verb gets argv
 * from its own name on, answers --help by itself and returns an exit status (common/error.h). */

#include "disk.h"
#include "options.h"

#define PROGRAM_NAME "bascule-disk"

int verb_grow(int argc, char **argv);
int verb_install(int argc, char **argv);
int verb_installer(int argc, char **argv);
int verb_repair(int argc, char **argv);
int verb_show(int argc, char **argv);
int verb_verify(int argc, char **argv);

/* Parses the options of a verb that takes at most one DISK. 0 to go on; 1 when --help was answered.
 * *ret_path is the disk that was named, or the one that the running system lies on. Freed by the caller. */
int verb_disk_argument(int argc, char **argv, const Option *options, const char *usage, const char *summary,
                char **ret_path, Error *error);
