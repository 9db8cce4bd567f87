/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A file that is long in the making: written without a name where the filesystem has that, else under
 * another one beside its place, which it takes in one step when it is whole. Until then readers find what
 * was there before. */

#include "error.h"

typedef struct OutputFile {
        int fd; /* read and write; owned */
        char *path;
        char *temporary; /* NULL while it has no name */
} OutputFile;

#define OUTPUT_FILE_CLOSED ((OutputFile){ .fd = -1 })

/* Begins a file in the folder of `path`. */
int output_file_open(const char *path, mode_t mode, OutputFile *ret, Error *error);

/* Flushes, and puts the file in its place, durably. The descriptor stays open. */
int output_file_commit(OutputFile *file, Error *error);

/* Closes, and removes what was not committed. */
void output_file_done(OutputFile *file);
#define _cleanup_output_file_ _cleanup_(output_file_done)

/* A nameless file, open for reading and writing, beside `path`. */
int scratch_file_open(const char *path, int *ret_fd, Error *error);

/* "$TMPDIR/NAME", or "/var/tmp/NAME": where large things are made that nobody keeps (file-hierarchy(7); /tmp
 * is often memory). The caller's; NULL when out of memory. */
char *scratch_path(const char *name);
