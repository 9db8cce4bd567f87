/* SPDX-License-Identifier: Apache-2.0 */
#include "release-scene.h"
#include "strv.h"
#include "test.h"

#include <sys/stat.h>
#include <time.h>

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

TEST_MAIN
