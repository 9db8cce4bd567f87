/* SPDX-License-Identifier: Apache-2.0 */
#include "ceremony.h"
#include "channel.h"
#include "file.h"
#include "release.h"
#include "strv.h"
#include "test.h"
#include "verity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define ROOT_SIZE (300 * 4096)

/* A folder with keys, a repository that is not made yet, and images of two versions. */
typedef struct Place {
        char folder[64], keys[80], repo[80];
        KeyRing *ring;
} Place;

static void place_done(Place *place)
{
        place->ring = key_ring_free(place->ring);
        (void)tree_remove(AT_FDCWD, place->folder);
}

static int write_image(const char *folder, const char *name, uint8_t seed, size_t size, uint8_t *ret_sha256)
{
        _cleanup_free_ char *path = path_join(folder, name);
        _cleanup_free_ uint8_t *data = calloc(1, size);

        for (size_t i = 0; i < size; i++)
                data[i] = (uint8_t)(seed + (i / 100) * (i % 7));
        sha256_of(data, size, ret_sha256);
        return file_replace(AT_FDCWD, path, data, size, 0644);
}

/* An image folder PLACE/VERSION whose content depends on the seed. */
static int build(const Place *place, const char *version, uint8_t seed)
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
        return r < 0 ? r : image_info_write(folder, &info, NULL);
}

static int place_make(Place *place)
{
        const CeremonyOptions plain = { 0 };
        int r;

        *place = (Place){ .folder = "/tmp/test-release-XXXXXX" };
        if (!mkdtemp(place->folder))
                return -errno;
        (void)snprintf(place->keys, sizeof(place->keys), "%s/keys", place->folder);
        (void)snprintf(place->repo, sizeof(place->repo), "%s/repo", place->folder);
        r = ceremony_init(place->keys, &plain, NULL);
        if (r >= 0)
                r = key_ring_load(place->keys, NULL, &place->ring, NULL);
        if (r >= 0)
                r = build(place, "1", 10);
        return r < 0 ? r : build(place, "2", 50);
}

static ReleaseRequest request_for(const Place *place, const char *channel)
{
        return (ReleaseRequest){ .repository = place->repo,
                .keys_folder = place->keys,
                .keys = place->ring,
                .channel = channel,
                .level = 3,
                .threads = 2 };
}

static int release(const Place *place, const char *version, const char *channel, Error *error)
{
        _cleanup_(release_report_done) ReleaseReport report = { 0 };
        _cleanup_free_ char *folder = path_join(place->folder, version);
        ReleaseRequest request = request_for(place, channel);

        request.folder = folder;
        return release_publish(&request, &report, error);
}

static int read_channel(const Place *place, const char *name, Channel **ret)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_free_ char *path = release_channel_path(name), *text = NULL;
        size_t size;
        int r = repository_open(place->repo, false, &repository, NULL);

        if (r >= 0)
                r = repository_read_target(repository, path, CHANNEL_MAX, &text, &size, NULL);
        return r < 0 ? r : channel_parse(text, size, ret, NULL);
}

static int read_manifest(const Place *place, const char *version, Manifest **ret)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_free_ char *path = release_manifest_path(version, "x86-64"), *text = NULL;
        size_t size;
        int r = repository_open(place->repo, false, &repository, NULL);

        if (r >= 0)
                r = repository_read_target(repository, path, MANIFEST_MAX, &text, &size, NULL);
        return r < 0 ? r : manifest_parse(text, size, ret, NULL);
}

TEST(two_releases_make_a_repository_that_verifies)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_(channel_freep) Channel *channel = NULL;
        _cleanup_(manifest_freep) Manifest *manifest = NULL;
        const PayloadReference *full;
        size_t targets;
        Error error = { 0 };

        CHECK_OK(place_make(&place));
        CHECK_OK(release(&place, "1", "stable", &error));
        CHECK_OK(release(&place, "2", "stable", &error));
        CHECK_OK(repository_verify(place.repo, 0, &targets, NULL));
        CHECK_EQ(targets, 7); /* a channel, and twice a manifest and two payloads */
        CHECK_OK(read_channel(&place, "stable", &channel));
        CHECK_EQ(channel->release_count, 2);
        CHECK_STR(channel->releases[1].architectures[0], "x86-64");
        CHECK_OK(read_manifest(&place, "2", &manifest));
        full = &manifest->images[IMAGE_ROOT].payloads[0];
        CHECK(full->is_full && full->memory_bytes > MIB && full->index_size_bytes > 80);
        CHECK_EQ(manifest->images[IMAGE_ROOT].size_bytes, ROOT_SIZE);
        CHECK_EQ(manifest->images[IMAGE_UKI].size_bytes, 7777);
}

TEST(a_release_again_is_nothing_to_do_and_in_another_channel_a_promotion)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_(channel_freep) Channel *stable = NULL;
        Error error = { 0 };
        size_t targets;

        CHECK_OK(place_make(&place));
        CHECK_OK(release(&place, "1", "beta", NULL));
        CHECK_EQ(release(&place, "1", "beta", &error), -EALREADY);
        CHECK_EQ(error.code, ERROR_NOTHING_TO_DO);
        CHECK_OK(release(&place, "1", "stable", NULL));
        CHECK_OK(repository_verify(place.repo, 0, &targets, NULL));
        CHECK_EQ(targets, 5);
        CHECK_OK(read_channel(&place, "stable", &stable));
        CHECK_EQ(stable->release_count, 1);
}

TEST(a_version_is_for_ever)
{
        _cleanup_(place_done) Place place = { 0 };
        Error error = { 0 };

        CHECK_OK(place_make(&place));
        CHECK_OK(release(&place, "1", "stable", NULL));
        CHECK_OK(build(&place, "1", 99));
        CHECK_EQ(release(&place, "1", "beta", &error), -EEXIST);
        CHECK_EQ(error.code, ERROR_REFUSED);
        CHECK(strstr(error.message, "other content"));
}

TEST(withdrawn_stays_withdrawn)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_(channel_freep) Channel *channel = NULL;
        ReleaseRequest request;
        Error error = { 0 };

        CHECK_OK(place_make(&place));
        CHECK_OK(release(&place, "1", "stable", NULL));
        request = request_for(&place, "stable");
        CHECK_EQ(release_withdraw(&request, "7", "why", &error), -ENOENT);
        error_clear(&error);
        CHECK_OK(release_withdraw(&request, "1", "eats disks", NULL));
        CHECK_EQ(release_withdraw(&request, "1", "again", &error), -EALREADY);
        error_clear(&error);
        CHECK_EQ(release(&place, "1", "stable", &error), -EEXIST);
        CHECK(strstr(error.message, "eats disks"));
        CHECK_OK(read_channel(&place, "stable", &channel));
        CHECK(channel->releases[0].is_withdrawn);
        request.channel = "nowhere";
        CHECK_EQ(release_withdraw(&request, "1", "why", NULL), -ENOENT);
}

TEST(images_that_are_not_what_was_built_are_refused)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_free_ char *root = NULL, *info_path = NULL, *text = NULL, *hash = NULL;
        uint8_t sha256[SHA256_SIZE];
        Error error = { 0 };
        size_t size;

        CHECK_OK(place_make(&place));
        root = string_format("%s/1", place.folder);
        CHECK_OK(write_image(root, "host.efi", 77, 7777, sha256));
        CHECK_EQ(release(&place, "1", "stable", &error), -EBADMSG);
        CHECK(strstr(error.message, "host.efi"));
        CHECK_OK(write_image(root, "host.efi", 77, 7776, sha256));
        CHECK_EQ(release(&place, "1", "stable", NULL), -EBADMSG);
        /* A root hash that is not the image's. */
        info_path = string_format("%s/2/image.json", place.folder);
        CHECK_OK(file_read(AT_FDCWD, info_path, MIB, &text, &size));
        hash = strstr(text, "\"root-hash\": \"");
        CHECK(hash);
        hash[14] = hash[14] == '0' ? '1' : '0';
        hash = NULL;
        CHECK_OK(file_replace(AT_FDCWD, info_path, text, size, 0644));
        error_clear(&error);
        CHECK_EQ(release(&place, "2", "stable", &error), -EBADMSG);
        CHECK(strstr(error.message, "root hash"));
        CHECK_EQ(release(&place, "1", "No Channel", NULL), -EINVAL);
}

/* Whether the work folder's payloads are those of before: a second channel of a fresh repository uses them.
 */
TEST(payloads_of_an_interrupted_run_are_used_again)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_free_ char *path = NULL;
        struct stat before, after;

        CHECK_OK(place_make(&place));
        path = string_format("%s/1/release/root-full-3.payload", place.folder);
        CHECK_OK(release(&place, "1", "stable", NULL));
        CHECK_OK(stat(path, &before));
        CHECK_OK(tree_remove(AT_FDCWD, place.repo));
        CHECK_OK(release(&place, "1", "stable", NULL));
        CHECK_OK(stat(path, &after));
        CHECK_EQ(before.st_ino, after.st_ino);
        /* But not one that is damaged. */
        CHECK_OK(tree_remove(AT_FDCWD, place.repo));
        CHECK_EQ(truncate(path, before.st_size - 1), 0);
        CHECK_OK(release(&place, "1", "stable", NULL));
        CHECK_OK(stat(path, &after));
        CHECK(before.st_ino != after.st_ino && before.st_size == after.st_size);
}

TEST(keys_that_cannot_sign_are_refused_before_the_work)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_(key_ring_freep) KeyRing *empty = NULL;
        _cleanup_(release_report_done) ReleaseReport report = { 0 };
        _cleanup_free_ char *folder = NULL, *work = NULL;
        ReleaseRequest request;
        Error error = { 0 };

        CHECK_OK(place_make(&place));
        CHECK_OK(key_ring_new(NULL, &empty, NULL));
        folder = path_join(place.folder, "1");
        work = path_join(folder, "release");
        request = request_for(&place, "stable");
        request.folder = folder;
        request.keys = empty;
        CHECK_EQ(release_publish(&request, &report, &error), -ENOKEY);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK(access(work, F_OK) < 0);
}

TEST(waves_and_floors_reach_the_channel)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_(channel_freep) Channel *channel = NULL;
        _cleanup_(release_report_done) ReleaseReport report = { 0 };
        _cleanup_free_ char *folder = NULL;
        ReleaseRequest request;
        int64_t now = (int64_t)time(NULL) + 100;

        CHECK_OK(place_make(&place));
        folder = path_join(place.folder, "1");
        request = request_for(&place, "stable");
        request.folder = folder;
        request.is_floor = true;
        request.wave_seconds = 7200;
        request.now = now;
        CHECK_OK(release_publish(&request, &report, NULL));
        CHECK_STR(report.version, "1");
        CHECK_OK(read_channel(&place, "stable", &channel));
        CHECK(channel->releases[0].is_floor);
        CHECK_EQ(channel->releases[0].wave_start, now);
        CHECK_EQ(channel->releases[0].wave_seconds, 7200);
}

TEST_MAIN
