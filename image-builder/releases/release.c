/* SPDX-License-Identifier: Apache-2.0 */
#include "release.h"

#include "channel.h"
#include "file.h"
#include "release-deltas.h"
#include "release-payloads.h"
#include "strv.h"

#include <string.h>
#include <time.h>

/* All that one publication works on. */
typedef struct Publication {
        const ReleaseRequest *request;
        Repository *repository;
        Channel *channel;
} Publication;

static void publication_done(Publication *publication)
{
        publication->repository = repository_free(publication->repository);
        publication->channel = channel_free(publication->channel);
}

void release_report_done(ReleaseReport *report)
{
        for (size_t i = 0; i < report->delta_count; i++)
                free(report->deltas[i].version);
        free(report->deltas);
        free(report->image_id);
        free(report->version);
        free(report->architecture);
        *report = (ReleaseReport){ 0 };
}

char *release_channel_path(const char *channel)
{
        return string_format("channels/%s.json", channel);
}

char *release_manifest_path(const char *version, const char *architecture)
{
        return string_format("releases/%s/%s/manifest.json", version, architecture);
}

char *release_payload_path(const char *version, const char *architecture, ImageKind kind)
{
        return string_format("payloads/%s/%s/%s-full.payload", version, architecture, image_kind_name(kind));
}

char *release_pieces_path(const char *version, const char *architecture, ImageKind kind)
{
        return string_format("payloads/%s/%s/%s.pieces", version, architecture, image_kind_name(kind));
}

/* Reads channels/NAME.json, or begins it when `image_id` says for what. */
static int open_channel(Publication *publication, const char *image_id, Error *error)
{
        const char *name = publication->request->channel;
        _cleanup_free_ char *path = release_channel_path(name), *text = NULL;
        Channel *channel;
        size_t size;
        int r;

        if (!path)
                return error_oom(error);
        if (repository_find_target(publication->repository, path)) {
                r = repository_read_target(publication->repository, path, CHANNEL_MAX, &text, &size, error);
                return r < 0 ? r : channel_parse(text, size, &publication->channel, error);
        }
        if (!image_id)
                return error_set(error, ERROR_REFUSED, ENOENT, "the repository has no channel \"%s\"", name);
        channel = calloc(1, sizeof(*channel));
        publication->channel = channel;
        if (!channel)
                return error_oom(error);
        channel->name = strdup(name);
        channel->image_id = strdup(image_id);
        return channel->name && channel->image_id ? 0 : error_oom(error);
}

/* For a look, or for writing, which locks the repository: that is done only when all payloads are made. */
static int open_publication(Publication *publication, const char *image_id, bool for_writing, Error *error)
{
        const ReleaseRequest *request = publication->request;
        int r;

        if (!image_id_is_valid(request->channel))
                return error_set(error, ERROR_USAGE, EINVAL,
                                "\"%s\" cannot name a channel: it takes a-z, 0-9 and dashes",
                                request->channel);
        r = repository_open(request->repository, for_writing, &publication->repository, error);
        return r < 0 ? r : open_channel(publication, image_id, error);
}

/* A repository that is not there is made, if the root metadata for it is at hand. */
static int make_repository(const ReleaseRequest *request, Error *error)
{
        Error creation = { 0 };
        int r;

        if (!request->keys_folder)
                return 0;
        r = repository_create(request->repository, request->keys_folder, &creation);
        if (r >= 0 || r == -EEXIST)
                return 0;
        if (error && !error_is_set(error))
                *error = creation;
        return r;
}

static int put_channel(Publication *publication, Error *error)
{
        _cleanup_free_ char *path = release_channel_path(publication->channel->name), *text = NULL;
        int r = path ? channel_format(publication->channel, &text, error) : error_oom(error);

        return r < 0 ? r : repository_add_data(publication->repository, path, text, strlen(text), error);
}

static int publish(Publication *publication, Error *error)
{
        const RepositoryPolicy policy = { .now = publication->request->now };
        int r = put_channel(publication, error);

        if (r >= 0)
                r = repository_publish(publication->repository, publication->request->keys, &policy, error);
        return r;
}

/* The manifest of this version and architecture, if one is published; *ret is NULL otherwise. */
static int find_manifest(const Publication *publication, const ImageInfo *info, Manifest **ret, Error *error)
{
        _cleanup_free_ char *path = release_manifest_path(info->version, info->architecture), *text = NULL;
        size_t size;
        int r;

        if (!path)
                return error_oom(error);
        if (!repository_find_target(publication->repository, path))
                return 0;
        r = repository_read_target(publication->repository, path, MANIFEST_MAX, &text, &size, error);
        return r < 0 ? r : manifest_parse(text, size, ret, error);
}

static bool has_same_images(const Manifest *manifest, const ImageInfo *info)
{
        return strcmp(manifest->image_id, info->image_id) == 0 &&
               memcmp(manifest->images[IMAGE_ROOT].sha256, info->root_sha256, SHA256_SIZE) == 0 &&
               memcmp(manifest->images[IMAGE_ROOT].verity.root_hash, info->verity.root_hash, SHA256_SIZE) ==
                               0 &&
               memcmp(manifest->images[IMAGE_UKI].sha256, info->uki_sha256, SHA256_SIZE) == 0;
}

/* What can be refused before minutes are spent on compression. */
static int check_may_publish(const Publication *publication, const ImageInfo *info,
                const Manifest *published, Error *error)
{
        const ChannelRelease *release = channel_find(publication->channel, info->version);

        if (strcmp(publication->channel->image_id, info->image_id) != 0)
                return error_set(error, ERROR_REFUSED, EINVAL,
                                "channel \"%s\" is for image \"%s\", not \"%s\"", publication->channel->name,
                                publication->channel->image_id, info->image_id);
        if (published && !has_same_images(published, info))
                return error_set(error, ERROR_REFUSED, EEXIST,
                                "version %s for %s was published before with other content; a version is "
                                "for ever, "
                                "so build this as a new one",
                                info->version, info->architecture);
        if (release && release->is_withdrawn)
                return error_set(error, ERROR_REFUSED, EEXIST,
                                "version %s was withdrawn from channel \"%s\" (%s); build a new version",
                                info->version, publication->channel->name, release->withdrawn_reason);
        if (release && strv_contains(release->architectures, info->architecture))
                return error_set(error, ERROR_NOTHING_TO_DO, EALREADY,
                                "channel \"%s\" offers %s for %s already", publication->channel->name,
                                info->version, info->architecture);
        return 0;
}

static int describe_image(const ImageInfo *info, const char *notes, Manifest **ret, Error *error)
{
        _cleanup_(manifest_freep) Manifest *manifest = calloc(1, sizeof(*manifest));

        if (!manifest)
                return error_oom(error);
        if (notes && strlen(notes) > MANIFEST_NOTES_MAX)
                return error_set(error, ERROR_USAGE, E2BIG, "the notes are longer than %llu bytes",
                                (unsigned long long)MANIFEST_NOTES_MAX);
        manifest->image_id = strdup(info->image_id);
        manifest->version = strdup(info->version);
        manifest->architecture = strdup(info->architecture);
        manifest->notes = strdup(notes ? notes : "");
        manifest->minimum_engine = ENGINE_LEVEL;
        if (!manifest->image_id || !manifest->version || !manifest->architecture || !manifest->notes)
                return error_oom(error);
        *ret = TAKE_PTR(manifest);
        return 0;
}

/* Payload files into the repository's list; it links them, so that this costs no copy. */
static int add_payloads(
                Publication *publication, const Manifest *manifest, char **const *files, Error *error)
{
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++) {
                const ManifestImage *image = &manifest->images[kind];

                for (size_t i = 0; i < image->payload_count; i++) {
                        int r = repository_add_file(publication->repository, image->payloads[i].path,
                                        files[kind][i], error);

                        if (r < 0)
                                return r;
                }
                if (image->pieces) {
                        int r = repository_add_file(publication->repository, image->pieces->path,
                                        files[kind][image->payload_count], error);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* The files of those deltas that the manifest took. */
static int add_delta_files(Publication *publication, const ReleaseDeltas *deltas, const Manifest *manifest,
                Error *error)
{
        for (size_t i = 0; i < deltas->count * IMAGE_KIND_MAX; i++) {
                const ReleaseDelta *delta = &deltas->list[i / IMAGE_KIND_MAX];
                ImageKind kind = i % IMAGE_KIND_MAX;
                const ManifestImage *image = &manifest->images[kind];
                const char *path = delta->references[kind].path;

                for (size_t j = 1; path && j < image->payload_count; j++) {
                        const PayloadReference *payload = &image->payloads[j];
                        int r;

                        if (strcmp(payload->path, path) != 0 ||
                                        memcmp(payload->sha256, delta->references[kind].sha256,
                                                        SHA256_SIZE) != 0)
                                continue;
                        r = repository_add_file(publication->repository, path, delta->files[kind], error);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* What is written must read back as the engine will read it. */
static int put_manifest(Publication *publication, const Manifest *manifest, Error *error)
{
        _cleanup_free_ char *path = release_manifest_path(manifest->version, manifest->architecture),
                            *text = NULL;
        _cleanup_(manifest_freep) Manifest *again = NULL;
        int r = path ? manifest_format(manifest, &text, error) : error_oom(error);

        if (r >= 0)
                r = manifest_parse(text, strlen(text), &again, error);
        return r < 0 ? r : repository_add_data(publication->repository, path, text, strlen(text), error);
}

static int put_release(Publication *publication, const ImageInfo *info, Error *error)
{
        const ReleaseRequest *request = publication->request;
        ChannelRelease *release = channel_find(publication->channel, info->version);
        int r = release ? 0 : channel_add(publication->channel, info->version, &release, error);

        if (r < 0)
                return r;
        if (strv_append(&release->architectures, info->architecture) < 0)
                return error_oom(error);
        strv_sort(release->architectures);
        release->is_floor = release->is_floor || request->is_floor;
        if (request->wave_seconds > 0) {
                release->wave_start = (uint64_t)(request->now != 0 ? request->now : (int64_t)time(NULL));
                release->wave_seconds = request->wave_seconds;
        }
        return 0;
}

static int report_deltas(const ReleaseDeltas *deltas, ReleaseReport *report)
{
        report->deltas = calloc(deltas->count + 1, sizeof(*report->deltas));
        for (size_t i = 0; report->deltas && i < deltas->count; i++) {
                const ReleaseDelta *delta = &deltas->list[i];
                ReleaseDeltaReport *row = &report->deltas[report->delta_count++];

                row->version = strdup(delta->version);
                if (!row->version)
                        return -ENOMEM;
                for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++)
                        row->payload_bytes[kind] =
                                        delta->references[kind].path ? delta->size_bytes[kind] : 0;
        }
        return report->deltas ? 0 : -ENOMEM;
}

static int fill_report(const ImageInfo *info, const Manifest *manifest, const ReleaseDeltas *deltas,
                bool was_published, ReleaseReport *ret, Error *error)
{
        ReleaseReport report = { .was_published = was_published };
        int r = report_deltas(deltas, &report);

        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++) {
                const ManifestImage *image = &manifest->images[kind];

                report.image_bytes[kind] = image->size_bytes;
                report.full_payload_bytes[kind] = image->payloads[0].size_bytes;
                for (size_t i = 0; i < image->payload_count; i++)
                        report.decoder_memory_bytes =
                                        MAX_OF(report.decoder_memory_bytes, image->payloads[i].memory_bytes);
        }
        report.image_id = strdup(info->image_id);
        report.version = strdup(info->version);
        report.architecture = strdup(info->architecture);
        if (r < 0 || !report.image_id || !report.version || !report.architecture) {
                release_report_done(&report);
                return error_oom(error);
        }
        *ret = report;
        return 0;
}

/* A published release, or what is needed to publish it. */
typedef struct Preparation {
        ImageInfo *info;
        Manifest *published, *fresh;  /* one of them */
        char **files[IMAGE_KIND_MAX]; /* of the full payloads of `fresh`, on this machine */
        ReleaseDeltas deltas;
} Preparation;

static void preparation_done(Preparation *preparation)
{
        preparation->info = image_info_free(preparation->info);
        preparation->published = manifest_free(preparation->published);
        preparation->fresh = manifest_free(preparation->fresh);
        release_deltas_done(&preparation->deltas);
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++)
                preparation->files[kind] = strv_free(preparation->files[kind]);
}

/* Looks what is published; refuses what can be refused. */
static int look(Publication *publication, Preparation *preparation, bool for_writing, Error *error)
{
        int r = open_publication(publication, preparation->info->image_id, for_writing, error);

        preparation->published = manifest_free(preparation->published);
        if (r >= 0)
                r = find_manifest(publication, preparation->info, &preparation->published, error);
        return r < 0 ? r : check_may_publish(publication, preparation->info, preparation->published, error);
}

static int prepare_full(const ReleaseRequest *request, Preparation *preparation, Error *error)
{
        int r = describe_image(preparation->info, request->notes, &preparation->fresh, error);

        if (r >= 0)
                r = release_read_signatures(request, preparation->info,
                                &preparation->fresh->images[IMAGE_UKI].signatures, error);
        for (ImageKind kind = 0; r >= 0 && kind < IMAGE_KIND_MAX; kind++)
                r = release_make_payloads(request, preparation->info, kind,
                                &preparation->fresh->images[kind], &preparation->files[kind], error);
        return r;
}

/* Also for a release that another channel has: this channel's hosts may come from elsewhere. */
static int prepare_deltas(const ReleaseRequest *request, const Publication *publication,
                Preparation *preparation, Error *error)
{
        _cleanup_(release_sources_done) ReleaseSources sources = { 0 };
        const Manifest *manifest = preparation->published ? preparation->published : preparation->fresh;
        uint64_t full_bytes[IMAGE_KIND_MAX];
        int r = release_sources_find(request, publication->repository, publication->channel,
                        preparation->info, &sources, error);

        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++)
                full_bytes[kind] = manifest->images[kind].payloads[0].size_bytes;
        return r < 0 ? r
                     : release_make_deltas(request, preparation->info, &sources, full_bytes,
                                       &preparation->deltas, error);
}

/* The long part, without a lock on the repository. */
static int prepare(const ReleaseRequest *request, Preparation *preparation, Error *error)
{
        _cleanup_(publication_done) Publication publication = { .request = request };
        const RepositoryPolicy policy = { .now = request->now };
        int r = image_info_read(request->folder, &preparation->info, error);

        if (r >= 0)
                r = make_repository(request, error);
        if (r >= 0)
                r = look(&publication, preparation, false, error);
        if (r >= 0)
                r = repository_can_publish(publication.repository, request->keys, &policy, error);
        if (r >= 0)
                r = release_check_images(request, preparation->info, error);
        if (r >= 0)
                r = release_check_papers(request, preparation->info, error);
        if (r >= 0 && !preparation->published)
                r = prepare_full(request, preparation, error);
        return r < 0 ? r : prepare_deltas(request, &publication, preparation, error);
}

/* The manifest and what it names, as far as they are new. */
static int put_payloads(Publication *publication, Preparation *preparation, Error *error)
{
        bool is_fresh = !preparation->published, has_grown = false;
        Manifest *manifest = is_fresh ? preparation->fresh : preparation->published;
        int r = is_fresh ? add_payloads(publication, manifest, preparation->files, error) : 0;

        if (r >= 0 && is_fresh)
                r = release_add_papers(
                                publication->request, preparation->info, publication->repository, error);

        if (r >= 0)
                r = release_add_deltas(&preparation->deltas, manifest, &has_grown, error);
        if (r >= 0 && has_grown)
                r = add_delta_files(publication, &preparation->deltas, manifest, error);
        return r >= 0 && (is_fresh || has_grown) ? put_manifest(publication, manifest, error) : r;
}

int release_publish(const ReleaseRequest *request, ReleaseReport *ret, Error *error)
{
        _cleanup_(publication_done) Publication publication = { .request = request };
        _cleanup_(preparation_done) Preparation preparation = { 0 };
        int r = prepare(request, &preparation, error);

        if (r >= 0)
                r = look(&publication, &preparation, true, error);
        if (r < 0)
                return r;
        progress_begin(request->progress, "publish", 0);
        r = put_payloads(&publication, &preparation, error);
        if (r >= 0)
                r = put_release(&publication, preparation.info, error);
        if (r >= 0)
                r = publish(&publication, error);
        if (r < 0)
                return r;
        progress_end(request->progress, request->channel);
        return fill_report(preparation.info,
                        preparation.published ? preparation.published : preparation.fresh,
                        &preparation.deltas, preparation.published != NULL, ret, error);
}

int release_withdraw(const ReleaseRequest *request, const char *version, const char *reason, Error *error)
{
        _cleanup_(publication_done) Publication publication = { .request = request };
        ChannelRelease *release;
        int r = open_publication(&publication, NULL, true, error);

        if (r < 0)
                return r;
        release = channel_find(publication.channel, version);
        if (!release)
                return error_set(error, ERROR_REFUSED, ENOENT, "channel \"%s\" has no release \"%s\"",
                                request->channel, version);
        if (release->is_withdrawn)
                return error_set(error, ERROR_NOTHING_TO_DO, EALREADY,
                                "release %s was withdrawn before (%s)", version, release->withdrawn_reason);
        release->is_withdrawn = true;
        release->withdrawn_reason = strdup(reason);
        return release->withdrawn_reason ? publish(&publication, error) : error_oom(error);
}
