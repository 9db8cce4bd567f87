/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 320 /* deeper than any tree we make; bounds the recursion */

static int remove_entry(int dir_fd, const char *name, dev_t device, unsigned depth);

static int remove_children(int fd, dev_t device, unsigned depth)
{
        DIR *directory = fdopendir(fd);
        struct dirent *entry;
        int r = 0;

        if (!directory) {
                r = -errno;
                (void)fd_close(fd);
                return r;
        }
        for (errno = 0; r >= 0 && (entry = readdir(directory)); errno = 0) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                r = remove_entry(dirfd(directory), entry->d_name, device, depth + 1);
        }
        if (r >= 0 && errno != 0)
                r = -errno;
        (void)closedir(directory);
        return r;
}

static int remove_entry(int dir_fd, const char *name, dev_t device, unsigned depth)
{
        struct stat status;
        int fd, r;

        if (unlinkat(dir_fd, name, 0) >= 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &status) < 0 || (depth > 0 && status.st_dev != device) || depth >= DEPTH_MAX) {
                (void)fd_close(fd);
                return -EXDEV;
        }
        r = remove_children(fd, status.st_dev, depth);
        if (r >= 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
                r = -errno;
        return r;
}

int tree_remove(int dir_fd, const char *path)
{
        return remove_entry(dir_fd, path, 0, 0);
}
