/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
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
        char folder[64], keys[80], repo[80], cache[80];
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
static int build_image(const Place *place, const char *version, uint8_t seed)
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

/* Like build_image(), of bytes that do not compress: what is said of `seed` 0, with one block changed for
 * others.
 */
static int build_noise(const Place *place, const char *version, uint8_t seed)
{
        _cleanup_free_ char *folder = path_join(place->folder, version),
                            *root = path_join(folder, "root.erofs"), *uki = path_join(folder, "host.efi");
        _cleanup_(image_info_freep) ImageInfo *info = NULL;
        _cleanup_free_ uint8_t *data = calloc(1, ROOT_SIZE);
        _cleanup_fd_ int fd = -1;
        uint64_t state = 1;
        int r = build_image(place, version, seed);

        if (r >= 0)
                r = image_info_read(folder, &info, NULL);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ROOT_SIZE; i++) {
                state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
                data[i] = (uint8_t)(state >> 56);
        }
        memset(data + (size_t)seed * 4096, seed, 4096);
        memset(data + 3, seed, 3);
        sha256_of(data, ROOT_SIZE, info->root_sha256);
        sha256_of(data, 7777, info->uki_sha256);
        r = file_replace(AT_FDCWD, root, data, ROOT_SIZE, 0644);
        if (r >= 0)
                r = file_replace(AT_FDCWD, uki, data, 7777, 0644);
        fd = open(root, O_RDONLY | O_CLOEXEC);
        if (r >= 0)
                r = verity_build(fd, 0, ROOT_SIZE, info->verity.salt, 32, -1, 0, info->verity.root_hash,
                                NULL, NULL, NULL);
        return r < 0 ? r : image_info_write(folder, info, NULL);
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
        (void)snprintf(place->cache, sizeof(place->cache), "%s/cache", place->folder);
        r = ceremony_init(place->keys, &plain, NULL);
        if (r >= 0)
                r = key_ring_load(place->keys, NULL, &place->ring, NULL);
        if (r >= 0)
                r = build_image(place, "1", 10);
        return r < 0 ? r : build_image(place, "2", 50);
}

static ReleaseRequest request_for(const Place *place, const char *channel)
{
        return (ReleaseRequest){ .repository = place->repo,
                .keys_folder = place->keys,
                .keys = place->ring,
                .channel = channel,
                .cache = place->cache,
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
        CHECK_EQ(targets, 11); /* a channel, and twice a manifest, and payload and pieces of two images */
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
        CHECK_EQ(targets, 7);
        CHECK_OK(read_channel(&place, "stable", &stable));
        CHECK_EQ(stable->release_count, 1);
}

TEST(pieces_can_be_left_out)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_(release_report_done) ReleaseReport report = { 0 }, other = { 0 };
        _cleanup_(manifest_freep) Manifest *with = NULL, *without = NULL;
        _cleanup_free_ char *one = NULL, *two = NULL;
        ReleaseRequest request;

        CHECK_OK(place_make(&place));
        one = path_join(place.folder, "1");
        two = path_join(place.folder, "2");
        request = request_for(&place, "stable");
        request.folder = one;
        CHECK_OK(release_publish(&request, &report, NULL));
        request.folder = two;
        request.has_no_pieces = true;
        CHECK_OK(release_publish(&request, &other, NULL));
        CHECK_OK(read_manifest(&place, "1", &with));
        CHECK_OK(read_manifest(&place, "2", &without));
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++) {
                CHECK(with->images[kind].pieces && with->images[kind].pieces->memory_bytes > MIB);
                CHECK(!without->images[kind].pieces);
        }
}

TEST(a_version_is_for_ever)
{
        _cleanup_(place_done) Place place = { 0 };
        Error error = { 0 };

        CHECK_OK(place_make(&place));
        CHECK_OK(release(&place, "1", "stable", NULL));
        CHECK_OK(build_image(&place, "1", 99));
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

/* Publishes a version of build_noise() with deltas from that many releases and from folders. */
static int release_deltas(
                const Place *place, const char *version, size_t count, char *const *from, ReleaseReport *ret)
{
        _cleanup_free_ char *folder = path_join(place->folder, version);
        ReleaseRequest request = request_for(place, "stable");

        request.folder = folder;
        request.delta_count = count;
        request.from = from;
        return release_publish(&request, ret, NULL);
}

static int make_noise(const Place *place)
{
        static const char *const versions[] = { "1", "2", "3", "4" };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(versions); i++)
                r = build_noise(place, versions[i], (uint8_t)(i + 20));
        return r;
}

/* Applies a published delta of the root image to the old one and compares. */
static bool makes_the_root(const Place *place, const char *old, const char *new, const char *path)
{
        _cleanup_free_ char *old_root = string_format("%s/%s/root.erofs", place->folder, old),
                            *new_root = string_format("%s/%s/root.erofs", place->folder, new), *file = NULL;
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_fd_ int old_fd = open(old_root, O_RDONLY | O_CLOEXEC),
                         new_fd = open(new_root, O_RDONLY | O_CLOEXEC);
        PayloadInputs inputs = { .target_fd = new_fd,
                .sources = { { old_fd, 0, ROOT_SIZE }, { -1, 0, 0 }, { -1, 0, 0 } } };
        const RepositoryTarget *target;
        PayloadReport report;

        if (repository_open(place->repo, false, &repository, NULL) < 0)
                return false;
        target = repository_find_target(repository, path);
        file = target ? path_join(place->repo, target->file) : NULL;
        return file && payload_prove(&inputs, file, NULL, NULL, &report, NULL) >= 0;
}

TEST(deltas_start_from_the_newest_releases_of_the_channel)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_(release_report_done) ReleaseReport one = { 0 }, two = { 0 }, three = { 0 }, four = { 0 };
        _cleanup_(manifest_freep) Manifest *old = NULL, *new = NULL;
        const PayloadReference *payloads;
        size_t targets;

        CHECK_OK(place_make(&place));
        CHECK_OK(make_noise(&place));
        CHECK_OK(release_deltas(&place, "1", 2, NULL, &one));
        CHECK_EQ(one.delta_count, 0);
        CHECK_OK(release_deltas(&place, "2", 0, NULL, &two));
        CHECK_EQ(two.delta_count, 0);
        CHECK_OK(release_deltas(&place, "3", 2, NULL, &three));
        CHECK_EQ(three.delta_count, 2);
        CHECK_STR(three.deltas[0].version, "2");
        CHECK_STR(three.deltas[1].version, "1");
        CHECK(three.deltas[0].payload_bytes[IMAGE_ROOT] < three.full_payload_bytes[IMAGE_ROOT] / 20);
        CHECK_OK(release_deltas(&place, "4", 2, NULL, &four));
        CHECK_EQ(four.delta_count, 2);
        CHECK_STR(four.deltas[0].version, "3");
        CHECK_OK(read_manifest(&place, "2", &old));
        CHECK_OK(read_manifest(&place, "4", &new));
        CHECK_EQ(new->images[IMAGE_ROOT].payload_count, 3);
        CHECK_EQ(new->images[IMAGE_UKI].payload_count, 3);
        payloads = new->images[IMAGE_ROOT].payloads;
        CHECK(payloads[0].is_full && !payloads[1].is_full && !payloads[2].is_full);
        CHECK(manifest_choose_payload(&new->images[IMAGE_ROOT], old->images[IMAGE_ROOT].verity.root_hash,
                              old->images[IMAGE_UKI].sha256) == &payloads[2]);
        CHECK_EQ(payloads[2].size_bytes, four.deltas[1].payload_bytes[IMAGE_ROOT]);
        CHECK(payloads[2].memory_bytes > MIB && payloads[2].memory_bytes <= PAYLOAD_MEMORY_MAX);
        CHECK_EQ(payloads[2].minimum_engine, ENGINE_LEVEL);
        CHECK(makes_the_root(&place, "2", "4", payloads[2].path));
        CHECK(!makes_the_root(&place, "1", "4", payloads[2].path));
        CHECK_OK(repository_verify(place.repo, 0, &targets, NULL));
}

TEST(withdrawn_releases_and_those_before_a_floor_get_no_delta)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_(release_report_done) ReleaseReport one = { 0 }, two = { 0 }, three = { 0 }, four = { 0 };
        _cleanup_free_ char *folder = NULL;
        ReleaseRequest request;

        CHECK_OK(place_make(&place));
        CHECK_OK(make_noise(&place));
        CHECK_OK(release_deltas(&place, "1", 0, NULL, &one));
        folder = path_join(place.folder, "2");
        request = request_for(&place, "stable");
        request.folder = folder;
        request.is_floor = true;
        CHECK_OK(release_publish(&request, &two, NULL));
        CHECK_OK(release_deltas(&place, "3", 0, NULL, &three));
        CHECK_OK(release_withdraw(&request, "3", "why", NULL));
        CHECK_OK(release_deltas(&place, "4", 3, NULL, &four));
        CHECK_EQ(four.delta_count, 1);
        CHECK_STR(four.deltas[0].version, "2");
}

TEST(deltas_start_from_folders_too_and_only_what_is_smaller_is_published)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_(release_report_done) ReleaseReport report = { 0 }, unlike = { 0 };
        _cleanup_(manifest_freep) Manifest *manifest = NULL;
        char *from[] = { NULL, NULL }, *broken[] = { place.keys, NULL };

        CHECK_OK(place_make(&place));
        CHECK_OK(make_noise(&place));
        from[0] = path_join(place.folder, "2");
        CHECK_OK(release_deltas(&place, "3", 0, from, &report));
        CHECK_EQ(report.delta_count, 1);
        CHECK(report.deltas[0].payload_bytes[IMAGE_ROOT] > 0);
        /* From noise to what compresses to nearly nothing. */
        CHECK_OK(build_image(&place, "5", 0));
        CHECK(release_deltas(&place, "5", 0, broken, &unlike) < 0);
        CHECK_OK(release_deltas(&place, "5", 0, from, &unlike));
        CHECK_EQ(unlike.delta_count, 1);
        CHECK_OK(read_manifest(&place, "5", &manifest));
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++)
                CHECK_EQ(manifest->images[kind].payload_count,
                                unlike.deltas[0].payload_bytes[kind] > 0 ? 2 : 1);
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++)
                CHECK(unlike.deltas[0].payload_bytes[kind] < unlike.full_payload_bytes[kind]);
        free(from[0]);
}

TEST(a_delta_is_made_once)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_(release_report_done) ReleaseReport one = { 0 }, two = { 0 }, redone = { 0 }, again = { 0 };
        _cleanup_free_ char *entries = NULL, *images = NULL, *root = NULL;
        Error error = { 0 };

        CHECK_OK(place_make(&place));
        CHECK_OK(make_noise(&place));
        CHECK_OK(release_deltas(&place, "1", 3, NULL, &one));
        CHECK_OK(release_deltas(&place, "2", 3, NULL, &two));
        entries = string_format("%s/delta", place.cache);
        CHECK_OK(access(entries, F_OK));
        /* Without the old release's payloads a delta cannot be made anew, so this one comes from the cache.
         */
        CHECK_OK(tree_remove(AT_FDCWD, place.repo));
        CHECK_OK(release_deltas(&place, "1", 3, NULL, &redone));
        images = string_format("%s/targets/payloads/1", place.repo);
        CHECK_OK(tree_remove(AT_FDCWD, images));
        CHECK_OK(release_deltas(&place, "2", 3, NULL, &again));
        CHECK_EQ(again.deltas[0].payload_bytes[IMAGE_ROOT], two.deltas[0].payload_bytes[IMAGE_ROOT]);
        /* And one that has to be made is refused. */
        root = path_join(place.folder, "3");
        ReleaseRequest request = request_for(&place, "stable");
        request.folder = root;
        request.delta_count = 2;
        CHECK(release_publish(&request, &again, &error) < 0);
}

/* Which image a build of that version is laid out after; all zero: none. */
static int find_previous(const Place *place, const char *version, const char *path, uint8_t ret[SHA256_SIZE])
{
        Recipe recipe = {
                .image_id = (char *)"host", .architecture = (char *)"x86-64", .version = (char *)version
        };
        const BuildOptions options = { .previous = path };
        Build build = { .recipe = &recipe, .options = &options, .previous_fd = -1 };
        int r = cache_open(place->cache, &build.cache, NULL);

        if (r >= 0)
                r = build_open_previous(&build, NULL);
        memcpy(ret, build.previous_sha256, SHA256_SIZE);
        cache_close(build.cache);
        (void)fd_close(build.previous_fd);
        return r;
}

TEST(a_build_can_follow_an_image_a_folder_or_the_last_release)
{
        _cleanup_(place_done) Place place = { 0 };
        _cleanup_(release_report_done) ReleaseReport one = { 0 }, two = { 0 };
        _cleanup_(image_info_freep) ImageInfo *first = NULL, *second = NULL;
        _cleanup_free_ char *folder = NULL, *image = NULL;
        uint8_t found[SHA256_SIZE], none[SHA256_SIZE] = { 0 };

        CHECK_OK(place_make(&place));
        CHECK_OK(make_noise(&place));
        folder = path_join(place.folder, "1");
        image = path_join(folder, "root.erofs");
        CHECK_OK(image_info_read(folder, &first, NULL));
        CHECK_OK(find_previous(&place, "9", NULL, found));
        CHECK(memcmp(found, none, SHA256_SIZE) == 0);
        CHECK_OK(find_previous(&place, "9", image, found));
        CHECK(memcmp(found, first->root_sha256, SHA256_SIZE) == 0);
        CHECK_OK(find_previous(&place, "9", folder, found));
        CHECK(memcmp(found, first->root_sha256, SHA256_SIZE) == 0);
        CHECK_OK(release_deltas(&place, "1", 0, NULL, &one));
        CHECK_OK(release_deltas(&place, "2", 0, NULL, &two));
        free(TAKE_PTR(folder));
        folder = path_join(place.folder, "2");
        CHECK_OK(image_info_read(folder, &second, NULL));
        CHECK_OK(find_previous(&place, "3", place.repo, found));
        CHECK(memcmp(found, second->root_sha256, SHA256_SIZE) == 0);
        CHECK_OK(find_previous(&place, "2", place.repo, found));
        CHECK(memcmp(found, first->root_sha256, SHA256_SIZE) == 0);
        CHECK_OK(find_previous(&place, "1", place.repo, found));
        CHECK(memcmp(found, none, SHA256_SIZE) == 0);
        CHECK_EQ(find_previous(&place, "3", place.keys, found), -EINVAL);
        CHECK(find_previous(&place, "3", "/nonexistent", found) < 0);
}

TEST_MAIN
