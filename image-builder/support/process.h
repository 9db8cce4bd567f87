/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Runs the programs that the builder stands on, in an environment of our own so that no locale, time zone or
 * umask of the caller shows in what they make. What they print goes to a log, not to the terminal. */

#include "error.h"

typedef struct ProcessOptions {
        const char *const *environment; /* more NAME=VALUE strings, NULL-terminated; may be NULL */
        const char *folder;             /* working directory; NULL: the present one */
        int log_fd;                     /* standard error, and output unless it is captured; -1: discarded */
        /* For a program that ends its process group with itself: it gets one of its own, in which Ctrl-C
         * does not reach it, and SIGINT when we die, however that happens. Needs setpriv, which every Debian
         * has. */
        bool has_own_group;
} ProcessOptions;

/* Runs argv[0] (looked up in PATH and the sbin folders) to its end and returns its exit status, 128 + N when
 * signal N ended it. A program that is not there is ERROR_MISSING_TOOL and names the Debian package to
 * install; otherwise a negative errno comes with ERROR_FAILED. */
int process_run(const char *const *argv, const ProcessOptions *options, Error *error);

/* As process_run(), but anything else than exit status 0 is an error too: -EIO with ERROR_FAILED, quoting
 * the last line of the log when log_fd is a regular file that can be read, or -ENOSPC with ERROR_NO_SPACE as
 * process_found_full_disk() tells. */
int process_check(const char *const *argv, const ProcessOptions *options, Error *error);

/* As process_check(), with standard output in *ret (NUL-terminated, freed by the caller). -E2BIG past
 * cap_bytes. */
int process_capture(const char *const *argv, const ProcessOptions *options, size_t cap_bytes, char **ret,
                size_t *ret_size, Error *error);

/* The last line of a log that is a regular file; "" when there is none. */
#define PROCESS_LINE_MAX 400
void process_last_line(int log_fd, char ret[static PROCESS_LINE_MAX + 1]);

/* Whether a program that failed met a full disk, told from its log (a regular file, and writable; else
 * false): with the line that says so, or because the log, too, cannot grow. The log may be hostile. */
bool process_found_full_disk(int log_fd, char ret_line[static PROCESS_LINE_MAX + 1]);

/* Path of a program, newly allocated; the error is as for process_run(). */
int process_find(const char *name, char **ret, Error *error);
