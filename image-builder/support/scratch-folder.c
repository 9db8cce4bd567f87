/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch-folder.h"
#include "file.h"
#include "output-file.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* With all signals blocked: those of the terminal are for the maker. No other descriptor stays open, or what
 * waits for its end, a lock or the reader of our output, would wait for this process. */
static _noreturn_ void keep(const char *path, int maker_fd)
{
        char byte;

        if (dup2(maker_fd, STDIN_FILENO) >= 0)
                (void)close_range(STDIN_FILENO + 1, ~0U, 0);
        while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
                continue;
        (void)tree_remove(AT_FDCWD, path);
        _exit(0);
}

static int start_keeper(ScratchFolder *folder)
{
        sigset_t all, before;
        int ends[2], r = 0;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, &before);
        folder->keeper = fork();
        if (folder->keeper == 0)
                keep(folder->path, ends[0]);
        if (folder->keeper < 0)
                r = -errno;
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        (void)close(ends[0]);
        folder->alive_fd = ends[1];
        return r;
}

int scratch_folder_make(const char *name, ScratchFolder *ret, Error *error)
{
        _cleanup_scratch_folder_ ScratchFolder folder = SCRATCH_FOLDER_NONE;
        _cleanup_free_ char *path = scratch_path(name);
        char *template = path ? string_format("%s-XXXXXX", path) : NULL;
        int r;

        if (!template)
                return error_oom(error);
        if (!mkdtemp(template)) {
                r = error_set(error, ERROR_IO, errno, "cannot make the folder %s: %s", template,
                                strerror(errno));
                free(template);
                return r;
        }
        folder.path = template;
        r = start_keeper(&folder);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot watch over the folder %s: %s", template,
                                strerror(-r));
        *ret = folder;
        folder = SCRATCH_FOLDER_NONE;
        return 0;
}

void scratch_folder_done(ScratchFolder *folder)
{
        if (folder->path)
                (void)tree_remove(AT_FDCWD, folder->path);
        if (folder->keeper > 0) {
                (void)kill(folder->keeper, SIGKILL);
                while (waitpid(folder->keeper, NULL, 0) < 0 && errno == EINTR)
                        continue;
        }
        fd_close(folder->alive_fd);
        free(folder->path);
        *folder = SCRATCH_FOLDER_NONE;
}
