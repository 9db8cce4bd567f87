/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A folder in which apt works as if on an empty machine, or one with the packages of a base: with the
 * sources, the architecture and the exclusions of a recipe and this machine's trusted keys, proxies and
 * timeouts, but with nothing else of its configuration. Nothing is installed there; it is for asking apt's
 * solver. */

#include "sources.h"

typedef struct AptRoot {
        char *folder;      /* absolute */
        char *environment; /* "APT_CONFIG=...": for ProcessOptions */
} AptRoot;

/* Fills `folder`, which must be there, empty, and an absolute path. `status` is dpkg's database; NULL:
 * nothing is installed. */
int apt_root_make(const Recipe *recipe, const char *status, const AptSources *sources, const char *folder,
                AptRoot *ret, Error *error);
void apt_root_done(AptRoot *root);
#define _cleanup_apt_root_ _cleanup_(apt_root_done)

/* After apt, or a program that runs it, failed with its output in the log: makes the Error "WHAT: apt's
 * first line that says what is wrong", which is not the last one. The path (may be NULL) is named too. An
 * Error that says something else, such as that a disk is full, stays, with WHAT before it. */
void apt_explain(int log_fd, const char *what, const char *log_path, ErrorCode code, Error *error);
