/* SPDX-License-Identifier: Apache-2.0 */
#include "release-scene.h"
#include "strv.h"
#include "test.h"

#include <string.h>

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
        return r < 0 ? r : image_folder_describe(folder, info);
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
