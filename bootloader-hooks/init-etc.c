/* SPDX-License-Identifier: Apache-2.0 */
#include "init-etc.h"

#include "file.h"
#include "init-clone.h"
#include "version-order.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* No version begins with a dot, so neither this name nor ETC_LAST_FILE can be taken for one. */
#define NEW_FORMAT ".%s.new"

static int io_error(Error *error, int r, const char *what)
{
        return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot %s: %s", what,
                        strerror(-r));
}

static int open_folder(int dir_fd, const char *path)
{
        int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* The upper layer of the release that was booted last; -ENOENT when there is none to clone. */
static int open_last_upper(int state_fd)
{
        _cleanup_free_ char *text = NULL, *path = NULL;
        size_t size;
        int r = file_read(state_fd, ETC_LAST_FILE, 2 * VERSION_MAX, &text, &size);

        if (r < 0)
                return r == -E2BIG ? -ENOENT : r;
        text[strcspn(text, "\n")] = 0;
        if (!version_is_valid(text))
                return -ENOENT;
        path = string_format("%s/upper", text);
        return path ? open_folder(state_fd, path) : -ENOMEM;
}

static int fill_upper(int state_fd, int new_fd, Error *error)
{
        _cleanup_fd_ int from_fd = open_last_upper(state_fd), upper_fd = -1;

        if (mkdirat(new_fd, "upper", 0755) < 0 || mkdirat(new_fd, "work", 0700) < 0)
                return io_error(error, -errno, "make a layer of /etc");
        if (from_fd == -ENOENT)
                return 0;
        if (from_fd < 0)
                return io_error(error, from_fd, "open the last layer of /etc");
        upper_fd = open_folder(new_fd, "upper");
        if (upper_fd < 0)
                return io_error(error, upper_fd, "open a layer of /etc");
        return clone_tree(from_fd, upper_fd, error);
}

/* All of the layer reaches the disk before its name does. */
static int make_layer(int state_fd, const char *version, Error *error)
{
        _cleanup_free_ char *new = string_format(NEW_FORMAT, version);
        _cleanup_fd_ int new_fd = -1;
        int r;

        if (!new)
                return error_oom(error);
        r = tree_remove(state_fd, new);
        if (r >= 0 && mkdirat(state_fd, new, 0700) < 0)
                r = -errno;
        if (r >= 0)
                r = new_fd = open_folder(state_fd, new);
        if (r < 0)
                return io_error(error, r, "begin a layer of /etc");
        r = fill_upper(state_fd, new_fd, error);
        if (r < 0)
                return r;
        if (syncfs(new_fd) < 0 || renameat(state_fd, new, state_fd, version) < 0 || fsync(state_fd) < 0)
                return io_error(error, -errno, "keep a layer of /etc");
        return 0;
}

static bool layer_is_whole(int state_fd, const char *version)
{
        _cleanup_fd_ int fd = open_folder(state_fd, version);
        struct stat status;

        return fd >= 0 && fstatat(fd, "upper", &status, AT_SYMLINK_NOFOLLOW) >= 0 &&
               S_ISDIR(status.st_mode) && fstatat(fd, "work", &status, AT_SYMLINK_NOFOLLOW) >= 0 &&
               S_ISDIR(status.st_mode);
}

static int write_last(int state_fd, const char *version)
{
        _cleanup_free_ char *text = NULL, *old = NULL;
        size_t size;

        text = string_format("%s\n", version);
        if (!text)
                return -ENOMEM;
        if (file_read(state_fd, ETC_LAST_FILE, 2 * VERSION_MAX, &old, &size) >= 0 && strcmp(old, text) == 0)
                return 0; /* nothing to write at most boots */
        return file_replace(state_fd, ETC_LAST_FILE, text, strlen(text), 0644);
}

int etc_prepare(int state_fd, const char *version, Error *error)
{
        int r = 0;

        if (!version_is_valid(version))
                return error_set(error, ERROR_FAILED, EINVAL, "\"%s\" is not a version", version);
        if (!layer_is_whole(state_fd, version)) {
                r = tree_remove(state_fd, version);
                if (r < 0)
                        return io_error(error, r, "remove a broken layer of /etc");
                r = make_layer(state_fd, version, error);
        }
        if (r < 0)
                return r;
        r = write_last(state_fd, version);
        return r < 0 ? io_error(error, r, "note the release that was booted") : 0;
}
