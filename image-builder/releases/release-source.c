/* SPDX-License-Identifier: Apache-2.0 */
#include "release-source.h"

#include "file.h"
#include "output-file.h"
#include "payload-walk.h"
#include "strv.h"

#include <fcntl.h>
#include <string.h>

void release_source_close(ReleaseSource *source)
{
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++)
                source->fds[kind] = fd_close(source->fds[kind]);
}

static void source_done(ReleaseSource *source)
{
        release_source_close(source);
        free(source->version);
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++)
                free(source->files[kind]);
}

void release_sources_done(ReleaseSources *sources)
{
        for (size_t i = 0; i < sources->count; i++)
                source_done(&sources->list[i]);
        free(sources->list);
        *sources = (ReleaseSources){ 0 };
}

/* The source belongs to the list afterwards, also when that fails. */
static int add_source(ReleaseSources *sources, ReleaseSource *source, Error *error)
{
        ReleaseSource *grown = reallocarray(sources->list, sources->count + 1, sizeof(*grown));

        if (!grown) {
                source_done(source);
                return error_oom(error);
        }
        sources->list = grown;
        sources->list[sources->count++] = *source;
        return 0;
}

static int from_folder(const char *folder, const ImageInfo *info, ReleaseSources *sources, Error *error)
{
        _cleanup_(image_info_freep) ImageInfo *old = NULL;
        ReleaseSource source = { .fds = { -1, -1 } };
        int r = image_info_read(folder, &old, error);

        if (r < 0)
                return r;
        if (strcmp(old->image_id, info->image_id) != 0 || strcmp(old->architecture, info->architecture) != 0)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "\"%s\" holds %s for %s, from which no host goes to %s for %s", folder,
                                old->image_id, old->architecture, info->image_id, info->architecture);
        memcpy(source.root_hash, old->verity.root_hash, SHA256_SIZE);
        memcpy(source.sha256[IMAGE_ROOT], old->root_sha256, SHA256_SIZE);
        memcpy(source.sha256[IMAGE_UKI], old->uki_sha256, SHA256_SIZE);
        source.size_bytes[IMAGE_ROOT] = old->root_size_bytes;
        source.size_bytes[IMAGE_UKI] = old->uki_size_bytes;
        source.files[IMAGE_ROOT] = path_join(folder, old->root_file);
        source.files[IMAGE_UKI] = path_join(folder, old->uki_file);
        source.version = strdup(old->version);
        if (!source.files[IMAGE_ROOT] || !source.files[IMAGE_UKI] || !source.version) {
                source_done(&source);
                return error_oom(error);
        }
        return add_source(sources, &source, error);
}

static bool is_known(const ReleaseSources *sources, const Manifest *manifest)
{
        const ManifestImage *images = manifest->images;

        for (size_t i = 0; i < sources->count; i++)
                if (memcmp(sources->list[i].root_hash, images[IMAGE_ROOT].verity.root_hash, SHA256_SIZE) ==
                                                0 &&
                                memcmp(sources->list[i].sha256[IMAGE_UKI], images[IMAGE_UKI].sha256,
                                                SHA256_SIZE) == 0)
                        return true;
        return false;
}

static int from_manifest(const ReleaseRequest *request, const Repository *repository,
                const Manifest *manifest, ReleaseSources *sources, Error *error)
{
        ReleaseSource source = { .is_rebuilt = true, .fds = { -1, -1 } };
        bool is_complete = true;

        memcpy(source.root_hash, manifest->images[IMAGE_ROOT].verity.root_hash, SHA256_SIZE);
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++) {
                const ManifestImage *image = &manifest->images[kind];
                const RepositoryTarget *target = repository_find_target(repository, image->payloads[0].path);

                memcpy(source.sha256[kind], image->sha256, SHA256_SIZE);
                source.size_bytes[kind] = image->size_bytes;
                source.files[kind] = target ? path_join(request->repository, target->file) : NULL;
                is_complete = is_complete && target;
        }
        source.version = strdup(manifest->version);
        if (!is_complete || !source.version || !source.files[IMAGE_ROOT] || !source.files[IMAGE_UKI]) {
                source_done(&source);
                return is_complete ? error_oom(error)
                                   : error_set(error, ERROR_CORRUPT, ENOENT,
                                                     "the repository does not list the payloads of release "
                                                     "%s",
                                                     manifest->version);
        }
        return add_source(sources, &source, error);
}

static int from_channel(const ReleaseRequest *request, const Repository *repository, const char *version,
                const char *architecture, ReleaseSources *sources, Error *error)
{
        _cleanup_free_ char *path = release_manifest_path(version, architecture), *text = NULL;
        _cleanup_(manifest_freep) Manifest *manifest = NULL;
        size_t size;
        int r = path ? repository_read_target(repository, path, MANIFEST_MAX, &text, &size, error)
                     : error_oom(error);

        if (r >= 0)
                r = manifest_parse(text, size, &manifest, error);
        if (r < 0 || is_known(sources, manifest))
                return r;
        return from_manifest(request, repository, manifest, sources, error);
}

int release_sources_find(const ReleaseRequest *request, const Repository *repository, const Channel *channel,
                const ImageInfo *info, ReleaseSources *ret, Error *error)
{
        _cleanup_(release_sources_done) ReleaseSources sources = { 0 };
        size_t left = request->delta_count;
        int r = 0;

        for (char *const *folder = request->from; r >= 0 && folder && *folder; folder++)
                r = from_folder(*folder, info, &sources, error);
        for (size_t i = channel->release_count; r >= 0 && left > 0 && i > 0; i--) {
                const ChannelRelease *release = &channel->releases[i - 1];

                if (version_compare(release->version, info->version) >= 0 || release->is_withdrawn ||
                                !strv_contains(release->architectures, info->architecture))
                        continue;
                r = from_channel(request, repository, release->version, info->architecture, &sources, error);
                left--;
                if (release->is_floor)
                        break; /* older hosts go there first */
        }
        if (r < 0)
                return r;
        *ret = sources;
        sources = (ReleaseSources){ 0 };
        return 0;
}

/* ---- images ---- */

static int rebuild(const ReleaseSource *source, ImageKind kind, int payload_fd, const char *scratch_path,
                Progress *progress, int *ret, Error *error)
{
        _cleanup_free_ char *step =
                        string_format("%s image of %s again", image_kind_name(kind), source->version);

        return payload_file_restore(payload_fd, scratch_path, step ? step : "image", progress, ret, error);
}

static int check_image(const ReleaseSource *source, ImageKind kind, int fd, Error *error)
{
        uint8_t sha256[SHA256_SIZE];
        uint64_t size;
        int r = fd_size(fd, &size);

        if (r >= 0 && size == source->size_bytes[kind])
                r = sha256_of_fd(fd, 0, size, sha256);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read \"%s\": %s", source->files[kind],
                                strerror(-r));
        if (size != source->size_bytes[kind] || memcmp(sha256, source->sha256[kind], SHA256_SIZE) != 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "\"%s\" does not give the %s image of release %s; name a folder with its "
                                "images (--from), or do without deltas (--deltas 0)",
                                source->files[kind], image_kind_name(kind), source->version);
        return 0;
}

int release_source_open(ReleaseSource *source, const char *scratch_path, Progress *progress, Error *error)
{
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++) {
                _cleanup_fd_ int fd = -1, image_fd = -1;
                int r = 0;

                if (source->fds[kind] >= 0)
                        continue;
                fd = open(source->files[kind], O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        return error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s",
                                        source->files[kind], strerror(errno));
                if (source->is_rebuilt)
                        r = rebuild(source, kind, fd, scratch_path, progress, &image_fd, error);
                if (r >= 0)
                        r = check_image(source, kind, source->is_rebuilt ? image_fd : fd, error);
                if (r < 0)
                        return error_prefix(error, r, "release %s", source->version);
                source->fds[kind] = source->is_rebuilt ? TAKE_FD(image_fd) : TAKE_FD(fd);
        }
        return 0;
}
