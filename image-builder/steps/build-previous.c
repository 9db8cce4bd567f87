/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "file.h"
#include "output-file.h"
#include "payload-walk.h"
#include "release.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int open_file(const char *path, int *ret, Error *error)
{
        *ret = open(path, O_RDONLY | O_CLOEXEC);
        return *ret < 0 ? error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s", path, strerror(errno))
                        : 0;
}

static int open_folder(const char *folder, ImageKind kind, int *ret, Error *error)
{
        _cleanup_(image_info_freep) ImageInfo *info = NULL;
        _cleanup_free_ char *path = NULL;
        int r = image_info_read(folder, &info, error);

        if (r < 0)
                return r;
        if (kind == IMAGE_ROOT)
                return image_info_open_root(info, folder, ret, error);
        path = path_join(folder, info->uki_file);
        return path ? open_file(path, ret, error) : error_oom(error);
}

/* VERSION of "releases/VERSION/ARCHITECTURE/manifest.json"; -ENOENT for another target. */
static int parse_path(const char *path, const char *architecture, char ret[static VERSION_MAX + 1])
{
        _cleanup_free_ char *wanted = NULL;
        const char *begin = path + strlen("releases/");
        size_t length;

        if (strncmp(path, "releases/", strlen("releases/")) != 0)
                return -ENOENT;
        length = strcspn(begin, "/");
        if (length == 0 || length > VERSION_MAX)
                return -ENOENT;
        memcpy(ret, begin, length);
        ret[length] = '\0';
        wanted = release_manifest_path(ret, architecture);
        if (!wanted)
                return -ENOMEM;
        return strcmp(path, wanted) == 0 ? 0 : -ENOENT;
}

/* The newest release below this one; "" when there is none. */
static int find_version(const Build *build, const Repository *repository, char ret[static VERSION_MAX + 1])
{
        char version[VERSION_MAX + 1];

        ret[0] = '\0';
        for (size_t i = 0; i < repository_target_count(repository); i++) {
                int r = parse_path(repository_target(repository, i)->path, build->recipe->architecture,
                                version);

                if (r == -ENOMEM)
                        return r;
                if (r >= 0 && version_is_valid(version) &&
                                version_compare(version, build->recipe->version) < 0 &&
                                (!ret[0] || version_compare(version, ret) > 0))
                        memcpy(ret, version, sizeof(version));
        }
        return 0;
}

/* Makes the image of a release again, in a file without a name. */
static int rebuild(Build *build, const char *payload_path, ImageKind kind, int *ret, Error *error)
{
        static const char *const steps[] = { [IMAGE_ROOT] = "previous root", [IMAGE_UKI] = "previous uki" };
        _cleanup_free_ char *scratch = path_join(cache_folder(build->cache), "previous");
        _cleanup_fd_ int fd = open(payload_path, O_RDONLY | O_CLOEXEC);

        if (!scratch)
                return error_oom(error);
        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s", payload_path,
                                strerror(errno));
        return payload_file_restore(fd, scratch, steps[kind], build->progress, ret, error);
}

static int open_release(Build *build, const Repository *repository, const char *version, ImageKind kind,
                int *ret, Error *error)
{
        _cleanup_free_ char *path = release_manifest_path(version, build->recipe->architecture),
                            *text = NULL, *file = NULL;
        _cleanup_(manifest_freep) Manifest *manifest = NULL;
        const RepositoryTarget *target;
        size_t size;
        int r = path ? repository_read_target(repository, path, MANIFEST_MAX, &text, &size, error)
                     : error_oom(error);

        if (r >= 0)
                r = manifest_parse(text, size, &manifest, error);
        /* A repository of other images has nothing to follow. */
        if (r < 0 || strcmp(manifest->image_id, build->recipe->image_id) != 0)
                return r;
        target = repository_find_target(repository, manifest->images[kind].payloads[0].path);
        if (!target)
                return error_set(error, ERROR_CORRUPT, ENOENT,
                                "the repository does not list the payload of release %s", version);
        file = path_join(build->options->previous, target->file);
        return file ? rebuild(build, file, kind, ret, error) : error_oom(error);
}

static int open_repository(Build *build, ImageKind kind, int *ret, Error *error)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        char version[VERSION_MAX + 1];
        int r = repository_open(build->options->previous, false, &repository, error);

        if (r < 0)
                return r;
        r = find_version(build, repository, version);
        if (r < 0)
                return error_oom(error);
        return version[0] ? open_release(build, repository, version, kind, ret, error) : 0;
}

static bool has(const char *folder, const char *name)
{
        _cleanup_free_ char *path = path_join(folder, name);

        return path && access(path, F_OK) == 0;
}

/* Leaves *ret alone if there is none. */
static int open_image(Build *build, ImageKind kind, int *ret, Error *error)
{
        const char *path = build->options->previous;
        struct stat status;

        if (!path)
                return 0;
        if (stat(path, &status) < 0)
                return error_set(error, ERROR_USAGE, errno, "cannot take the previous image from \"%s\": %s",
                                path, strerror(errno));
        if (!S_ISDIR(status.st_mode))
                return kind == IMAGE_ROOT ? open_file(path, ret, error) : 0;
        if (has(path, IMAGE_INFO_NAME))
                return open_folder(path, kind, ret, error);
        if (has(path, "metadata"))
                return open_repository(build, kind, ret, error);
        return error_set(error, ERROR_USAGE, EINVAL,
                        "\"%s\" is no image, no folder that `build` made and no repository", path);
}

int build_open_previous(Build *build, Error *error)
{
        uint64_t size = 0;
        int r = open_image(build, IMAGE_ROOT, &build->previous_fd, error);

        if (r < 0 || build->previous_fd < 0)
                return r;
        r = fd_size(build->previous_fd, &size);
        if (r >= 0)
                r = sha256_of_fd(build->previous_fd, 0, size, build->previous_sha256);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read the previous image: %s", strerror(-r))
                     : 0;
}

int build_open_previous_uki(Build *build, int *ret, Error *error)
{
        int fd = -1, r = open_image(build, IMAGE_UKI, &fd, error);

        if (r >= 0)
                *ret = fd;
        return r;
}
