/* SPDX-License-Identifier: Apache-2.0 */
#include "release-deltas.h"

#include "file.h"
#include "hex.h"
#include "payload-make.h"
#include "release-payloads.h"

#include <fcntl.h>
#include <string.h>

#define DELTA_STEP "delta"
#define DELTA_FILE "delta.payload"
#define DELTA_HASH_FILE "sha256"
#define SHORT_HASH 12 /* digits in a payload's path */

static void delta_done(ReleaseDelta *delta)
{
        free(delta->version);
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++) {
                free(delta->references[kind].path);
                free(delta->files[kind]);
        }
}

void release_deltas_done(ReleaseDeltas *deltas)
{
        for (size_t i = 0; i < deltas->count; i++)
                delta_done(&deltas->list[i]);
        for (size_t i = 0; i < deltas->entry_count; i++)
                cache_entry_done(&deltas->entries[i]);
        free(deltas->list);
        free(deltas->entries);
        cache_close(deltas->cache);
        *deltas = (ReleaseDeltas){ 0 };
}

/* What one delta is made of. */
typedef struct DeltaWork {
        const ReleaseRequest *request;
        const ImageInfo *info;
        ReleaseSource *source;
        ImageKind kind;
        int level;
        const char *tool_hash;
        int *image_fds; /* of the new images, by kind */
} DeltaWork;

static int make_key(const DeltaWork *work, CacheKey *key, Error *error)
{
        cache_key_begin(key, DELTA_STEP);
        cache_key_add_text(key, "tool", work->tool_hash);
        cache_key_add_text(key, "kind", image_kind_name(work->kind));
        cache_key_add_number(key, "level", (uint64_t)work->level);
        cache_key_add(key, "old-root", work->source->sha256[IMAGE_ROOT], SHA256_SIZE);
        cache_key_add(key, "old-uki", work->source->sha256[IMAGE_UKI], SHA256_SIZE);
        cache_key_add(key, "new-root", work->info->root_sha256, SHA256_SIZE);
        if (work->kind == IMAGE_UKI)
                cache_key_add(key, "new-uki", work->info->uki_sha256, SHA256_SIZE);
        return cache_key_finish(key, error);
}

static void show_progress(void *data, uint64_t done_bytes)
{
        progress_update(data, done_bytes);
}

/* A root image is made of the old root image; a UKI of that, the old UKI and the new root image. */
static int encode(const DeltaWork *work, const char *path, PayloadReport *report, Error *error)
{
        const ReleaseSource *source = work->source;
        const PayloadMakeOptions how = { .threads = work->request->threads,
                .progress = show_progress,
                .progress_data = work->request->progress };
        PayloadInputs inputs = { .target_fd = work->image_fds[work->kind],
                .sources = { { source->fds[IMAGE_ROOT], 0, source->size_bytes[IMAGE_ROOT] }, { -1, 0, 0 },
                                { -1, 0, 0 } },
                .level = work->level };

        if (work->kind == IMAGE_UKI) {
                inputs.sources[PAYLOAD_SOURCE_OLD_UKI] =
                                (PayloadSource){ source->fds[IMAGE_UKI], 0, source->size_bytes[IMAGE_UKI] };
                inputs.sources[PAYLOAD_SOURCE_NEW_ROOT] = (PayloadSource){ work->image_fds[IMAGE_ROOT], 0,
                        work->info->root_size_bytes };
        }
        return payload_make(&inputs, &how, path, report, error);
}

static int open_new_images(const DeltaWork *work, Error *error)
{
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++) {
                int r = work->image_fds[kind] >= 0 ? 0
                                                   : release_open_image(work->request->folder, work->info,
                                                                     kind, &work->image_fds[kind], error);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int fill_entry(const DeltaWork *work, CacheEntry *entry, Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(entry, DELTA_FILE),
                            *hash = cache_entry_file(entry, DELTA_HASH_FILE),
                            *step = string_format("%s from %s", image_kind_name(work->kind),
                                            work->source->version);
        char size_text[SIZE_TEXT_MAX];
        PayloadReport report;
        int r = path && hash && step ? open_new_images(work, error) : error_oom(error);

        if (r >= 0)
                r = release_source_open(work->source, path, work->request->progress, error);
        if (r < 0)
                return r;
        progress_begin(work->request->progress, step,
                        work->kind == IMAGE_ROOT ? work->info->root_size_bytes : work->info->uki_size_bytes);
        r = encode(work, path, &report, error);
        if (r < 0)
                return error_prefix(error, r, "delta of the %s image from release %s",
                                image_kind_name(work->kind), work->source->version);
        progress_end(work->request->progress, size_format(report.size_bytes, size_text));
        r = file_replace(AT_FDCWD, hash, report.sha256, SHA256_SIZE, 0644);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot write \"%s\": %s", hash, strerror(-r));
        return cache_commit(entry, error);
}

/* What the manifest has to say of a file in the cache, which must still be what was put there. */
static int describe(const CacheEntry *entry, PayloadReference *ret, char **ret_path, Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(entry, DELTA_FILE),
                            *hash = cache_entry_file(entry, DELTA_HASH_FILE), *noted = NULL;
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        PayloadExpectation expectation;
        _cleanup_fd_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        size_t size = 0;
        int r;

        if (!path || !hash)
                return error_oom(error);
        r = fd < 0 ? -errno : file_read(AT_FDCWD, hash, SHA256_SIZE, &noted, &size);
        if (r >= 0)
                r = payload_file_open(fd, &index, &expectation, NULL);
        if (r >= 0)
                r = sha256_of_fd(fd, 0, expectation.payload_size_bytes, ret->sha256);
        if (r < 0 || size != SHA256_SIZE || memcmp(noted, ret->sha256, SHA256_SIZE) != 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "the cache entry %s is damaged; remove it",
                                entry->path);
        ret->size_bytes = expectation.payload_size_bytes;
        ret->index_size_bytes = expectation.index_size_bytes;
        memcpy(ret->index_sha256, expectation.index_sha256, SHA256_SIZE);
        ret->memory_bytes = payload_index_header(index)->memory_bytes;
        ret->minimum_engine = ENGINE_LEVEL;
        *ret_path = TAKE_PTR(path);
        return 0;
}

static char *delta_path(const DeltaWork *work)
{
        char hash[SHA256_HEX_SIZE];

        hex_encode(work->source->root_hash, SHA256_SIZE, hash);
        return string_format("payloads/%s/%s/%s-from-%s-%.*s.payload", work->info->version,
                        work->info->architecture, image_kind_name(work->kind), work->source->version,
                        SHORT_HASH, hash);
}

static int make_one(const DeltaWork *work, uint64_t full_bytes, ReleaseDeltas *deltas, Error *error)
{
        ReleaseDelta *delta = &deltas->list[deltas->count - 1];
        CacheEntry *entry = &deltas->entries[deltas->entry_count];
        PayloadReference *reference = &delta->references[work->kind];
        _cleanup_cache_key_ CacheKey key = { 0 };
        int r = make_key(work, &key, error);

        *entry = CACHE_ENTRY_NONE;
        if (r >= 0)
                r = cache_acquire(deltas->cache, DELTA_STEP, &key, entry, error);
        if (r < 0)
                return r;
        deltas->entry_count++;
        if (!entry->is_present)
                r = fill_entry(work, entry, error);
        if (r >= 0)
                r = describe(entry, reference, &delta->files[work->kind], error);
        if (r < 0)
                return r;
        delta->size_bytes[work->kind] = reference->size_bytes;
        memcpy(reference->source_root_hash, work->source->root_hash, SHA256_SIZE);
        memcpy(reference->source_uki_sha256, work->source->sha256[IMAGE_UKI], SHA256_SIZE);
        if (reference->size_bytes >= full_bytes)
                return 0;
        reference->path = delta_path(work);
        return reference->path ? 0 : error_oom(error);
}

static int make_all(DeltaWork *work, ReleaseSources *sources, const uint64_t full_bytes[IMAGE_KIND_MAX],
                ReleaseDeltas *deltas, Error *error)
{
        char tool_hash[SHA256_HEX_SIZE];
        int r = cache_tool_hash(tool_hash, error);

        if (r >= 0)
                r = cache_open(work->request->cache, &deltas->cache, error);
        work->tool_hash = tool_hash;
        for (size_t i = 0; r >= 0 && i < sources->count; i++) {
                ReleaseDelta *delta = &deltas->list[deltas->count++];

                work->source = &sources->list[i];
                delta->version = strdup(work->source->version);
                if (!delta->version)
                        return error_oom(error);
                for (work->kind = 0; r >= 0 && work->kind < IMAGE_KIND_MAX; work->kind++)
                        r = make_one(work, full_bytes[work->kind], deltas, error);
                release_source_close(work->source);
        }
        return r;
}

int release_make_deltas(const ReleaseRequest *request, const ImageInfo *info, ReleaseSources *sources,
                const uint64_t full_bytes[IMAGE_KIND_MAX], ReleaseDeltas *ret, Error *error)
{
        _cleanup_(release_deltas_done) ReleaseDeltas deltas = { 0 };
        int image_fds[IMAGE_KIND_MAX] = { -1, -1 };
        DeltaWork work = { .request = request,
                .info = info,
                .level = request->level > 0 ? request->level : PAYLOAD_LEVEL_DEFAULT,
                .image_fds = image_fds };
        int r = 0;

        if (sources->count > 0) {
                deltas.list = calloc(sources->count, sizeof(*deltas.list));
                deltas.entries = calloc(sources->count * IMAGE_KIND_MAX, sizeof(*deltas.entries));
                r = deltas.list && deltas.entries ? make_all(&work, sources, full_bytes, &deltas, error)
                                                  : error_oom(error);
        }
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++)
                (void)fd_close(image_fds[kind]);
        if (r < 0)
                return r;
        *ret = deltas;
        deltas = (ReleaseDeltas){ 0 };
        return 0;
}

static bool has_delta(const ManifestImage *image, const PayloadReference *delta)
{
        for (size_t i = 1; i < image->payload_count; i++)
                if (memcmp(image->payloads[i].source_root_hash, delta->source_root_hash, SHA256_SIZE) == 0 &&
                                memcmp(image->payloads[i].source_uki_sha256, delta->source_uki_sha256,
                                                SHA256_SIZE) == 0)
                        return true;
        return false;
}

int release_add_deltas(const ReleaseDeltas *deltas, Manifest *manifest, bool *ret_changed, Error *error)
{
        *ret_changed = false;
        for (size_t i = 0; i < deltas->count * IMAGE_KIND_MAX; i++) {
                const PayloadReference *delta =
                                &deltas->list[i / IMAGE_KIND_MAX].references[i % IMAGE_KIND_MAX];
                ManifestImage *image = &manifest->images[i % IMAGE_KIND_MAX];
                PayloadReference *grown;
                char *path;

                if (!delta->path || has_delta(image, delta) || image->payload_count >= MANIFEST_PAYLOADS_MAX)
                        continue;
                grown = reallocarray(image->payloads, image->payload_count + 1, sizeof(*grown));
                path = strdup(delta->path);
                image->payloads = grown ? grown : image->payloads;
                if (!grown || !path) {
                        free(path);
                        return error_oom(error);
                }
                grown[image->payload_count] = *delta;
                grown[image->payload_count++].path = path;
                *ret_changed = true;
        }
        return 0;
}
