/* SPDX-License-Identifier: Apache-2.0 */
#include "init-clone.h"

#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define DEPTH_MAX 64    /* bounds the recursion */
#define LINKS_MAX 65536 /* files with several names that are remembered */
#define XATTR_LIST_MAX 65536
#define XATTR_VALUE_MAX 65536
#define LINK_PATH_MAX 4096

/* A file with several names: where its first copy is, from the top of the copy. */
typedef struct Link {
        dev_t device;
        ino_t inode;
        char *path;
} Link;

typedef struct Clone {
        int top_fd; /* of the copy */
        dev_t device;
        Link *links;
        size_t link_count, link_capacity;
        char *path; /* of the present folder from the top, for links and messages; LINK_PATH_MAX bytes */
        char *list, *value;
        Error *error;
} Clone;

static int clone_folder(Clone *clone, int from_fd, int to_fd, unsigned depth);

bool clone_drops_xattr(const char *name)
{
        static const char *const dropped[] = { "trusted.overlay.origin", "trusted.overlay.impure",
                "trusted.overlay.nlink", "trusted.overlay.upper", "trusted.overlay.uuid" };

        for (size_t i = 0; i < ELEMENTS(dropped); i++)
                if (strcmp(name, dropped[i]) == 0)
                        return true;
        return false;
}

/* A path by which the calls that know no descriptor can reach a name in a folder, or the folder itself. */
static void proc_path(int folder_fd, const char *name, char ret[static PATH_MAX])
{
        (void)snprintf(ret, PATH_MAX, "/proc/self/fd/%d/%s", folder_fd, name);
}

static int copy_xattr(Clone *clone, const char *from, const char *to, const char *name)
{
        ssize_t size = lgetxattr(from, name, clone->value, XATTR_VALUE_MAX);

        if (size < 0)
                return errno == ENODATA ? 0 : -errno;
        return lsetxattr(to, name, clone->value, (size_t)size, 0) < 0 ? -errno : 0;
}

static int copy_xattrs(Clone *clone, int from_fd, int to_fd, const char *name)
{
        char from[PATH_MAX], to[PATH_MAX];
        ssize_t size;
        int r = 0;

        proc_path(from_fd, name, from);
        proc_path(to_fd, name, to);
        size = llistxattr(from, clone->list, XATTR_LIST_MAX);
        if (size < 0)
                return errno == ENOTSUP ? 0 : -errno;
        for (char *p = clone->list; r >= 0 && p < clone->list + size; p += strlen(p) + 1)
                if (!clone_drops_xattr(p))
                        r = copy_xattr(clone, from, to, p);
        return r;
}

static int copy_bytes(int from_fd, int to_fd)
{
        char buffer[16384];

        for (;;) {
                size_t size;
                int r = read_up_to(from_fd, buffer, sizeof(buffer), &size);

                if (r >= 0)
                        r = write_full(to_fd, buffer, size);
                if (r < 0 || size < sizeof(buffer))
                        return r;
        }
}

static int make_file(int from_fd, int to_fd, const char *name)
{
        _cleanup_fd_ int source = openat(from_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_fd_ int target = -1;

        if (source < 0)
                return -errno;
        target = openat(to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (target < 0)
                return -errno;
        return copy_bytes(source, target);
}

static int make_symlink(int from_fd, int to_fd, const char *name)
{
        char target[PATH_MAX];
        ssize_t size = readlinkat(from_fd, name, target, sizeof(target) - 1);

        if (size < 0)
                return -errno;
        target[size] = 0;
        return symlinkat(target, to_fd, name) < 0 ? -errno : 0;
}

static int make_entry(int from_fd, int to_fd, const char *name, const struct stat *status)
{
        if (S_ISDIR(status->st_mode))
                return mkdirat(to_fd, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
        if (unlinkat(to_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        if (S_ISREG(status->st_mode))
                return make_file(from_fd, to_fd, name);
        if (S_ISLNK(status->st_mode))
                return make_symlink(from_fd, to_fd, name);
        return mknodat(to_fd, name, status->st_mode, status->st_rdev) < 0 ? -errno : 0;
}

/* Owner before mode: a change of owner clears set-id bits. Times last: all else changes them. */
static int copy_attributes(Clone *clone, int from_fd, int to_fd, const char *name, const struct stat *status)
{
        const struct timespec times[] = { status->st_atim, status->st_mtim };
        int r;

        if (fchownat(to_fd, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!S_ISLNK(status->st_mode) && fchmodat(to_fd, name, status->st_mode & 07777, 0) < 0)
                return -errno;
        r = copy_xattrs(clone, from_fd, to_fd, name);
        if (r < 0)
                return r;
        return utimensat(to_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* 1 when the file was made as another name of one that is there already. */
static int make_link(Clone *clone, int to_fd, const char *name, const struct stat *status)
{
        for (size_t i = 0; i < clone->link_count; i++) {
                const Link *link = &clone->links[i];

                if (link->device != status->st_dev || link->inode != status->st_ino)
                        continue;
                if (unlinkat(to_fd, name, 0) < 0 && errno != ENOENT)
                        return -errno;
                if (linkat(clone->top_fd, link->path, to_fd, name, 0) < 0)
                        return -errno;
                return 1;
        }
        return 0;
}

static int remember_link(Clone *clone, const char *name, const struct stat *status)
{
        char *path;

        if (clone->link_count >= LINKS_MAX)
                return -E2BIG;
        if (clone->link_count == clone->link_capacity) {
                size_t capacity = clone->link_capacity ? 2 * clone->link_capacity : 64;
                Link *links = reallocarray(clone->links, capacity, sizeof(Link));

                if (!links)
                        return -ENOMEM;
                clone->links = links;
                clone->link_capacity = capacity;
        }
        path = string_format("%s%s", clone->path, name);
        if (!path)
                return -ENOMEM;
        clone->links[clone->link_count++] = (Link){ status->st_dev, status->st_ino, path };
        return 0;
}

static int clone_subfolder(Clone *clone, int from_fd, int to_fd, const char *name, unsigned depth)
{
        _cleanup_fd_ int from = openat(from_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_fd_ int to = -1;
        size_t length = strlen(clone->path);
        int r;

        if (from < 0)
                return -errno;
        to = openat(to_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (to < 0)
                return -errno;
        if (depth >= DEPTH_MAX || length + strlen(name) + 2 > LINK_PATH_MAX)
                return -ENAMETOOLONG;
        (void)snprintf(clone->path + length, LINK_PATH_MAX - length, "%s/", name);
        r = clone_folder(clone, from, to, depth + 1);
        clone->path[length] = 0;
        return r;
}

static int clone_entry(Clone *clone, int from_fd, int to_fd, const char *name, unsigned depth)
{
        struct stat status;
        bool has_names;
        int r = 0;

        if (fstatat(from_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (status.st_dev != clone->device || S_ISSOCK(status.st_mode))
                return 0; /* something mounted here is not part of the layer; a socket means nothing later */
        has_names = !S_ISDIR(status.st_mode) && status.st_nlink > 1;
        if (has_names)
                r = make_link(clone, to_fd, name, &status);
        if (r != 0)
                return r < 0 ? r : 0;
        r = make_entry(from_fd, to_fd, name, &status);
        if (r >= 0 && S_ISDIR(status.st_mode))
                r = clone_subfolder(clone, from_fd, to_fd, name, depth);
        if (r >= 0)
                r = copy_attributes(clone, from_fd, to_fd, name, &status);
        if (r >= 0 && has_names)
                r = remember_link(clone, name, &status);
        return r;
}

static void directory_closep(DIR **directory)
{
        if (*directory)
                (void)closedir(*directory);
}

static int clone_folder(Clone *clone, int from_fd, int to_fd, unsigned depth)
{
        _cleanup_(directory_closep) DIR *directory = NULL;
        struct dirent *item;
        int fd = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        directory = fdopendir(fd);
        if (!directory) {
                (void)fd_close(fd);
                return -errno;
        }
        for (errno = 0; (item = readdir(directory)); errno = 0) {
                int r;

                if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
                        continue;
                r = clone_entry(clone, from_fd, to_fd, item->d_name, depth);
                if (r < 0)
                        return error_set(clone->error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                        "cannot copy %s%s: %s", clone->path, item->d_name, strerror(-r));
        }
        return errno > 0 ? -errno : 0;
}

static void clone_done(Clone *clone)
{
        for (size_t i = 0; i < clone->link_count; i++)
                free(clone->links[i].path);
        free(clone->links);
        free(clone->path);
        free(clone->list);
        free(clone->value);
}

int clone_tree(int from_fd, int to_fd, Error *error)
{
        _cleanup_(clone_done) Clone clone = { .top_fd = to_fd, .error = error };
        struct stat status;
        int r;

        clone.path = calloc(1, LINK_PATH_MAX);
        clone.list = malloc(XATTR_LIST_MAX);
        clone.value = malloc(XATTR_VALUE_MAX);
        if (!clone.path || !clone.list || !clone.value)
                return error_oom(error);
        if (fstat(from_fd, &status) < 0)
                return error_set(error, ERROR_IO, errno, "cannot look at the folder to copy: %s",
                                strerror(errno));
        clone.device = status.st_dev;
        r = clone_folder(&clone, from_fd, to_fd, 0);
        if (r >= 0)
                r = copy_attributes(&clone, from_fd, to_fd, ".", &status);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot copy a folder: %s", strerror(-r));
        return 0;
}
