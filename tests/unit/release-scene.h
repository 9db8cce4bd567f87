/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What tests of releases begin with: keys, images that were never built, and a repository to be. */

#include "build.h"
#include "ceremony.h"
#include "channel.h"
#include "file.h"
#include "image-folder.h"
#include "release.h"
#include "verity.h"

#include <fcntl.h>

#define ROOT_SIZE (300 * 4096)

/* A folder with keys, a repository that is not made yet, and images of two versions. */
typedef struct Place {
        char folder[64], keys[80], repo[80], cache[80];
        KeyRing *ring;
} Place;

static inline void place_done(Place *place)
{
        place->ring = key_ring_free(place->ring);
        (void)tree_remove(AT_FDCWD, place->folder);
}

static inline int write_image(
                const char *folder, const char *name, uint8_t seed, size_t size, uint8_t *ret_sha256)
{
        _cleanup_free_ char *path = path_join(folder, name);
        _cleanup_free_ uint8_t *data = calloc(1, size);

        for (size_t i = 0; i < size; i++)
                data[i] = (uint8_t)(seed + (i / 100) * (i % 7));
        sha256_of(data, size, ret_sha256);
        return file_replace(AT_FDCWD, path, data, size, 0644);
}

/* An image folder PLACE/VERSION whose content depends on the seed. */
static inline int build_image(const Place *place, const char *version, uint8_t seed)
{
        _cleanup_free_ char *folder = path_join(place->folder, version),
                            *root = path_join(folder, "root.erofs");
        ImageInfo info = {
                .image_id = (char *)"host",
                .version = (char *)version,
                .architecture = (char *)"x86-64",
                .root_file = (char *)"root.erofs",
                .verity_file = (char *)"root.verity",
                .uki_file = (char *)"host.efi",
                .root_size_bytes = ROOT_SIZE,
                .uki_size_bytes = 7777,
                .verity = { .salt = { 1 }, .salt_size = 32 },
        };
        _cleanup_fd_ int fd = -1;
        int r = directory_make(AT_FDCWD, folder, 0755);

        if (r >= 0)
                r = write_image(folder, info.root_file, seed, ROOT_SIZE, info.root_sha256);
        if (r >= 0)
                r = write_image(folder, info.uki_file, (uint8_t)(seed + 1), 7777, info.uki_sha256);
        if (r < 0)
                return r;
        fd = open(root, O_RDONLY | O_CLOEXEC);
        r = verity_build(fd, 0, ROOT_SIZE, info.verity.salt, 32, -1, 0, info.verity.root_hash, NULL, NULL,
                        NULL);
        return r < 0 ? r : image_folder_describe(folder, &info);
}

static inline int place_make(Place *place)
{
        const CeremonyOptions plain = { 0 };
        int r;

        *place = (Place){ .folder = "/tmp/test-release-XXXXXX" };
        if (!mkdtemp(place->folder))
                return -errno;
        (void)snprintf(place->keys, sizeof(place->keys), "%s/keys", place->folder);
        (void)snprintf(place->repo, sizeof(place->repo), "%s/repo", place->folder);
        (void)snprintf(place->cache, sizeof(place->cache), "%s/cache", place->folder);
        r = ceremony_init(place->keys, &plain, NULL);
        if (r >= 0)
                r = key_ring_load(place->keys, NULL, &place->ring, NULL);
        if (r >= 0)
                r = build_image(place, "1", 10);
        return r < 0 ? r : build_image(place, "2", 50);
}

static inline ReleaseRequest request_for(const Place *place, const char *channel)
{
        return (ReleaseRequest){ .repository = place->repo,
                .keys_folder = place->keys,
                .keys = place->ring,
                .channel = channel,
                .cache = place->cache,
                .level = 3,
                .threads = 2 };
}

static inline int release(const Place *place, const char *version, const char *channel, Error *error)
{
        _cleanup_(release_report_done) ReleaseReport report = { 0 };
        _cleanup_free_ char *folder = path_join(place->folder, version);
        ReleaseRequest request = request_for(place, channel);

        request.folder = folder;
        return release_publish(&request, &report, error);
}

static inline int read_channel(const Place *place, const char *name, Channel **ret)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_free_ char *path = release_channel_path(name), *text = NULL;
        size_t size;
        int r = repository_open(place->repo, false, &repository, NULL);

        if (r >= 0)
                r = repository_read_target(repository, path, CHANNEL_MAX, &text, &size, NULL);
        return r < 0 ? r : channel_parse(text, size, ret, NULL);
}

static inline int read_manifest(const Place *place, const char *version, Manifest **ret)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_free_ char *path = release_manifest_path(version, "x86-64"), *text = NULL;
        size_t size;
        int r = repository_open(place->repo, false, &repository, NULL);

        if (r >= 0)
                r = repository_read_target(repository, path, MANIFEST_MAX, &text, &size, NULL);
        return r < 0 ? r : manifest_parse(text, size, ret, NULL);
}
