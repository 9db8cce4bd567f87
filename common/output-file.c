/* SPDX-License-Identifier: Apache-2.0 */
#include "output-file.h"

#include "file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int cannot(Error *error, const char *what, const char *path)
{
        int errnum = errno;

        return error_set(error, errnum == ENOSPC || errnum == EDQUOT ? ERROR_NO_SPACE : ERROR_IO, errnum,
                        "cannot %s \"%s\": %s", what, path, strerror(errnum));
}

/* "folder/.name.XXXXXX" for mkostemp(). */
static char *temporary_name(const char *path)
{
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;

        return string_format("%.*s.%s.XXXXXX", (int)(name - path), path, name);
}

static char *folder_of(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? string_format("%.*s", (int)(slash - path + 1), path) : strdup(".");
}

/* A file without a name is gone when the program is killed, but not every filesystem has them, and giving
 * it a name needs /proc. */
static int open_nameless(const char *path, mode_t mode)
{
        _cleanup_free_ char *folder = folder_of(path);

        if (!folder || access("/proc/self/fd", X_OK) < 0)
                return -1;
        return open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
}

int output_file_open(const char *path, mode_t mode, OutputFile *ret, Error *error)
{
        _cleanup_output_file_ OutputFile file = OUTPUT_FILE_CLOSED;

        file.path = strdup(path);
        if (!file.path)
                return error_oom(error);
        file.fd = open_nameless(path, mode);
        if (file.fd < 0) {
                file.temporary = temporary_name(path);
                if (!file.temporary)
                        return error_oom(error);
                file.fd = mkostemp(file.temporary, O_CLOEXEC);
        }
        if (file.fd < 0) {
                int r = cannot(error, "create", path);

                free(TAKE_PTR(file.temporary));
                return r;
        }
        if (fchmod(file.fd, mode) < 0)
                return cannot(error, "set the mode of", path);
        *ret = file;
        file = OUTPUT_FILE_CLOSED;
        return 0;
}

/* linkat() replaces nothing, so even a nameless file gets another name first. */
static int name_file(OutputFile *file, Error *error)
{
        char link[64];

        for (unsigned attempt = 0; !file->temporary && attempt < 100; attempt++) {
                _cleanup_free_ char *name = temporary_name(file->path);
                int fd;

                if (!name)
                        return error_oom(error);
                /* Finds a free name; the moment between its removal and the link is what the loop is for. */
                fd = mkostemp(name, O_CLOEXEC);
                if (fd < 0)
                        return cannot(error, "create", file->path);
                (void)fd_close(fd);
                (void)unlink(name);
                (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
                if (linkat(AT_FDCWD, link, AT_FDCWD, name, AT_SYMLINK_FOLLOW) >= 0)
                        file->temporary = TAKE_PTR(name);
                else if (errno != EEXIST)
                        return cannot(error, "create", file->path);
        }
        return file->temporary ? 0 : error_set(error, ERROR_IO, EEXIST, "cannot create \"%s\"", file->path);
}

static int sync_folder_of(const char *path)
{
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *folder =
                        slash ? string_format("%.*s", (int)(slash - path + 1), path) : strdup(".");
        _cleanup_fd_ int fd = -1;

        if (!folder)
                return -ENOMEM;
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int output_file_commit(OutputFile *file, Error *error)
{
        int r;

        if (fsync(file->fd) < 0)
                return cannot(error, "write", file->path);
        r = name_file(file, error);
        if (r < 0)
                return r;
        if (rename(file->temporary, file->path) < 0)
                return cannot(error, "replace", file->path);
        free(TAKE_PTR(file->temporary));
        return sync_folder_of(file->path) < 0 ? cannot(error, "write the folder of", file->path) : 0;
}

void output_file_done(OutputFile *file)
{
        file->fd = fd_close(file->fd);
        if (file->temporary)
                (void)unlink(file->temporary);
        free(TAKE_PTR(file->temporary));
        free(TAKE_PTR(file->path));
}

int scratch_file_open(const char *path, int *ret_fd, Error *error)
{
        _cleanup_free_ char *name = temporary_name(path);
        int fd;

        if (!name)
                return error_oom(error);
        fd = mkostemp(name, O_CLOEXEC);
        if (fd < 0)
                return cannot(error, "create a file beside", path);
        (void)unlink(name);
        *ret_fd = fd;
        return 0;
}

char *scratch_path(const char *name)
{
        const char *base = getenv("TMPDIR");

        return path_join(base && base[0] == '/' ? base : "/var/tmp", name);
}
