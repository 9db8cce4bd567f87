/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A folder of its own for a test program, made when it is first asked for and removed at the program's end.
 */

#include "file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char own_folder[] = "/tmp/bascule-test-XXXXXX";

static inline void own_folder_remove(void)
{
        (void)tree_remove(AT_FDCWD, own_folder);
}

/* "FOLDER/name"; good until the fourth call from here. "" for the folder itself. */
static inline const char *in_folder(const char *name)
{
        static char paths[4][256];
        static unsigned next;
        char *path = paths[next++ % ELEMENTS(paths)];

        if (own_folder[sizeof(own_folder) - 2] == 'X') {
                if (!mkdtemp(own_folder)) {
                        perror(own_folder);
                        abort();
                }
                (void)atexit(own_folder_remove);
        }
        (void)snprintf(path, sizeof(paths[0]), "%s/%s", own_folder, name);
        return path;
}

static inline void put_text(const char *name, const char *text)
{
        const char *path = in_folder(name);
        int r = file_replace(AT_FDCWD, path, text, strlen(text), 0644);

        if (r < 0) {
                (void)fprintf(stderr, "%s: %s\n", path, strerror(-r));
                abort();
        }
}
