/* SPDX-License-Identifier: Apache-2.0 */
#include "diff-image.h"

#include "file.h"
#include "fixes.h"
#include "normalise.h"
#include "output-file.h"
#include "papers.h"
#include "payload-walk.h"
#include "release-payloads.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define STATUS_MAX (64 * MIB)

void diff_image_close(DiffImage *image)
{
        for (size_t i = 0; i < image->count; i++)
                free(image->entries[i].path);
        free(image->entries);
        free(image->version);
        compose_free_packages(image->packages, image->package_count);
        manifest_free(image->manifest);
        json_decref(image->fixes);
        erofs_close(image->erofs);
        (void)fd_close(image->fd);
        *image = DIFF_IMAGE_CLOSED;
}

/* ---- where the image comes from ---- */

static int open_path(DiffImage *image, const char *path, Error *error)
{
        image->fd = open(path, O_RDONLY | O_CLOEXEC);
        return image->fd < 0 ? error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s", path,
                                               strerror(errno))
                             : 0;
}

static int read_fixes_of_folder(DiffImage *image, const ImageInfo *info, const char *folder, Error *error)
{
        for (size_t i = 0; i < info->paper_count; i++) {
                _cleanup_free_ char *text = NULL;
                size_t size;
                int r;

                if (strcmp(info->papers[i].file, PAPERS_FIXES_FILE) != 0)
                        continue;
                r = release_read_paper(folder, &info->papers[i], &text, &size, error);
                return r < 0 ? r : fixes_parse(text, size, PAPERS_FIXES_FILE, &image->fixes, error);
        }
        return 0;
}

static int open_folder(DiffImage *image, const DiffSource *source, Error *error)
{
        _cleanup_(image_info_freep) ImageInfo *info = NULL;
        int r = image_info_read(source->name, &info, error);

        if (r < 0)
                return r;
        image->version = strdup(info->version);
        r = image->version ? image_info_open_root(info, source->name, &image->fd, error) : error_oom(error);
        return r < 0 || !source->with_fixes ? r : read_fixes_of_folder(image, info, source->name, error);
}

static int rebuild(DiffImage *image, const char *payload_path, Error *error)
{
        _cleanup_free_ char *scratch = scratch_path("bascule-diff");
        _cleanup_fd_ int fd = open(payload_path, O_RDONLY | O_CLOEXEC);

        if (!scratch)
                return error_oom(error);
        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s", payload_path,
                                strerror(errno));
        return payload_file_restore(fd, scratch, NULL, NULL, &image->fd, error);
}

static int read_fixes_of_release(
                DiffImage *image, Repository *repository, const DiffSource *source, Error *error)
{
        _cleanup_free_ char *path = release_paper_path(
                                            source->name, source->architecture, PAPERS_FIXES_FILE),
                            *text = NULL;
        size_t size;
        int r;

        if (!path)
                return error_oom(error);
        if (!repository_find_target(repository, path))
                return 0;
        r = repository_read_target(repository, path, FIXES_MAX, &text, &size, error);
        return r < 0 ? r : fixes_parse(text, size, path, &image->fixes, error);
}

static int open_release(DiffImage *image, const DiffSource *source, Error *error)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_free_ char *path = release_manifest_path(source->name, source->architecture), *text = NULL,
                            *file = NULL;
        const RepositoryTarget *target;
        size_t size;
        int r = path ? repository_open(source->repository, false, &repository, error) : error_oom(error);

        if (r >= 0)
                r = repository_read_target(repository, path, MANIFEST_MAX, &text, &size, error);
        if (r >= 0)
                r = manifest_parse(text, size, &image->manifest, error);
        if (r >= 0 && source->with_fixes)
                r = read_fixes_of_release(image, repository, source, error);
        if (r < 0)
                return r;
        target = repository_find_target(repository, image->manifest->images[IMAGE_ROOT].payloads[0].path);
        if (!target)
                return error_set(error, ERROR_CORRUPT, ENOENT,
                                "the repository does not list the payload of release %s", source->name);
        image->version = strdup(source->name);
        file = path_join(source->repository, target->file);
        return file && image->version ? rebuild(image, file, error) : error_oom(error);
}

static int open_source(DiffImage *image, const DiffSource *source, Error *error)
{
        struct stat status;

        if (stat(source->name, &status) >= 0)
                return S_ISDIR(status.st_mode) ? open_folder(image, source, error)
                                               : open_path(image, source->name, error);
        if (source->repository)
                return open_release(image, source, error);
        return error_set(error, ERROR_USAGE, ENOENT,
                        "there is no \"%s\"; to name a release, say which repository (--repo DIR)",
                        source->name);
}

/* ---- what it holds ---- */

static int visit(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        DiffImage *image = data;
        char *copy = strdup(path);

        if (image->count == image->capacity) {
                size_t capacity = image->capacity > 0 ? 2 * image->capacity : 1024;
                DiffEntry *grown = reallocarray(image->entries, capacity, sizeof(*grown));

                if (grown) {
                        image->entries = grown;
                        image->capacity = capacity;
                }
        }
        if (!copy || image->count == image->capacity) {
                free(copy);
                return error_oom(error);
        }
        image->entries[image->count++] = (DiffEntry){ copy, *inode };
        return 0;
}

static int by_path(const void *a, const void *b)
{
        return strcmp(((const DiffEntry *)a)->path, ((const DiffEntry *)b)->path);
}

const DiffEntry *diff_image_find(const DiffImage *image, const char *path)
{
        const DiffEntry wanted = { .path = (char *)path };

        return image->count == 0 ? NULL
                                 : bsearch(&wanted, image->entries, image->count, sizeof(wanted), by_path);
}

int diff_image_read(
                const DiffImage *image, const DiffEntry *entry, size_t cap_bytes, char **ret, Error *error)
{
        _cleanup_free_ char *text = NULL;
        int r;

        if (entry->inode.size_bytes > cap_bytes)
                return error_set(error, ERROR_CORRUPT, E2BIG, "/%s is longer than it may be", entry->path);
        text = calloc(1, entry->inode.size_bytes + 1);
        if (!text)
                return error_oom(error);
        r = erofs_read(image->erofs, &entry->inode, 0, text, entry->inode.size_bytes, error);
        if (r >= 0)
                *ret = TAKE_PTR(text);
        return r;
}

static int read_packages(DiffImage *image, Error *error)
{
        const DiffEntry *status = diff_image_find(image, NORMALISE_DPKG_PATH "/status");
        _cleanup_free_ char *text = NULL;
        int r;

        if (!status)
                status = diff_image_find(image, "var/lib/dpkg/status");
        if (!status || !S_ISREG(status->inode.mode))
                return 0;
        r = diff_image_read(image, status, STATUS_MAX, &text, error);
        return r < 0 ? r : compose_parse_packages(text, &image->packages, &image->package_count, error);
}

static int read_image(DiffImage *image, const char *name, Error *error)
{
        int r = fd_size(image->fd, &image->size_bytes);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read \"%s\": %s", name, strerror(-r));
        r = erofs_open(image->fd, &image->erofs, error);
        if (r >= 0)
                r = erofs_walk(image->erofs, visit, image, error);
        if (r < 0)
                return error_prefix(error, r, "\"%s\"", name);
        if (image->count > 0)
                qsort(image->entries, image->count, sizeof(*image->entries), by_path);
        r = read_packages(image, error);
        return r < 0 ? error_prefix(error, r, "\"%s\"", name) : 0;
}

int diff_image_open(const DiffSource *source, DiffImage *ret, Error *error)
{
        _cleanup_diff_image_ DiffImage image = DIFF_IMAGE_CLOSED;
        int r = open_source(&image, source, error);

        if (r >= 0)
                r = read_image(&image, source->name, error);
        if (r < 0)
                return r;
        *ret = image;
        image = DIFF_IMAGE_CLOSED;
        return 0;
}

int diff_image_open_fd(int fd, const char *name, DiffImage *ret, Error *error)
{
        _cleanup_diff_image_ DiffImage image = DIFF_IMAGE_CLOSED;
        int r;

        image.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (image.fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot read \"%s\": %s", name, strerror(errno));
        r = read_image(&image, name, error);
        if (r < 0)
                return r;
        *ret = image;
        image = DIFF_IMAGE_CLOSED;
        return 0;
}
