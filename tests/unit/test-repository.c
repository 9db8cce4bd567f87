/* SPDX-License-Identifier: Apache-2.0 */
#include "ceremony.h"
#include "file.h"
#include "repository.h"
#include "sha256.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define DAY 86400

/* A folder with "keys" and "repo" below, gone at the end of the test. */
typedef struct Place {
        char folder[64], keys[80], repo[80];
} Place;

static void place_done(Place *place)
{
        (void)tree_remove(AT_FDCWD, place->folder);
}

static int place_make(Place *place, const CeremonyOptions *options)
{
        const CeremonyOptions plain = { 0 };

        (void)snprintf(place->folder, sizeof(place->folder), "/tmp/test-repository-XXXXXX");
        if (!mkdtemp(place->folder))
                return -errno;
        (void)snprintf(place->keys, sizeof(place->keys), "%s/keys", place->folder);
        (void)snprintf(place->repo, sizeof(place->repo), "%s/repo", place->folder);
        return ceremony_init(place->keys, options ? options : &plain, NULL);
}

/* Makes the place, and a repository with the targets "a" and "dir/b" in it. */
static int place_publish(Place *place, const CeremonyOptions *options)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_(key_ring_freep) KeyRing *keys = NULL;
        int r = place_make(place, options);

        if (r >= 0)
                r = repository_create(place->repo, place->keys, NULL);
        if (r >= 0)
                r = repository_open(place->repo, true, &repository, NULL);
        if (r >= 0)
                r = key_ring_load(place->keys, NULL, &keys, NULL);
        if (r >= 0)
                r = repository_add_data(repository, "a", "one", 3, NULL);
        if (r >= 0)
                r = repository_add_data(repository, "dir/b", "two", 3, NULL);
        return r < 0 ? r : repository_publish(repository, keys, NULL, NULL);
}

static bool has_file(const Place *place, const char *name)
{
        _cleanup_free_ char *path = path_join(place->repo, name);

        return access(path, F_OK) == 0;
}

TEST(publishes_what_a_client_accepts)
{
        _cleanup_(place_done) Place place;
        size_t targets;

        CHECK_OK(place_publish(&place, NULL));
        CHECK_OK(repository_verify(place.repo, 0, &targets, NULL));
        CHECK_EQ(targets, 2);
        CHECK(has_file(&place, "metadata/1.root.json"));
        CHECK(has_file(&place, "metadata/1.targets.json"));
        CHECK(has_file(&place, "metadata/1.snapshot.json"));
        CHECK(has_file(&place, "metadata/timestamp.json"));
        CHECK(has_file(&place,
                        "targets/dir/3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3.b"));
}

TEST(needs_only_the_keys_of_what_changed)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_(key_ring_freep) KeyRing *keys = NULL;
        _cleanup_free_ char *command = NULL;
        _cleanup_(place_done) Place place;
        Error error = { 0 };
        uint64_t version;
        int64_t expires;
        size_t targets;

        CHECK_OK(place_publish(&place, NULL));
        CHECK(command = string_format("rm %s/root-* %s/targets-*", place.keys, place.keys));
        CHECK_EQ(system(command), 0);
        CHECK_OK(key_ring_load(place.keys, NULL, &keys, NULL));
        CHECK_EQ(key_ring_count(keys), 2);
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        CHECK_OK(repository_publish(repository, keys, NULL, NULL));
        CHECK_OK(repository_role(repository, TUF_ROLE_TIMESTAMP, &version, &expires));
        CHECK_EQ(version, 1);
        CHECK_OK(repository_refresh(repository, keys, NULL, NULL));
        CHECK_OK(repository_role(repository, TUF_ROLE_TIMESTAMP, &version, &expires));
        CHECK_EQ(version, 2);
        CHECK_OK(repository_role(repository, TUF_ROLE_SNAPSHOT, &version, &expires));
        CHECK_EQ(version, 1);
        CHECK_OK(repository_add_data(repository, "c", "three", 5, NULL));
        CHECK_EQ(repository_publish(repository, keys, NULL, &error), -ENOKEY);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK(!has_file(&place, "metadata/2.targets.json"));
        CHECK_OK(repository_verify(place.repo, 0, &targets, NULL));
        CHECK_EQ(targets, 2);
}

TEST(reads_back_changes_and_removes)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_(key_ring_freep) KeyRing *keys = NULL;
        _cleanup_free_ char *text = NULL, *source = NULL;
        _cleanup_(place_done) Place place;
        size_t size;

        CHECK_OK(place_publish(&place, NULL));
        CHECK_OK(key_ring_load(place.keys, NULL, &keys, NULL));
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        CHECK_EQ(repository_target_count(repository), 2);
        CHECK_STR(repository_target(repository, 1)->path, "dir/b");
        CHECK_OK(repository_read_target(repository, "dir/b", 100, &text, &size, NULL));
        CHECK_STR(text, "two");
        CHECK_EQ(repository_read_target(repository, "dir/b", 2, &source, &size, NULL), -E2BIG);
        CHECK_EQ(repository_read_target(repository, "x", 2, &source, &size, NULL), -ENOENT);
        CHECK(source = path_join(place.folder, "source"));
        CHECK_OK(file_replace(AT_FDCWD, source, "four", 4, 0644));
        CHECK_OK(repository_add_file(repository, "dir/b", source, NULL));
        CHECK_OK(repository_remove_target(repository, "a", NULL));
        CHECK_EQ(repository_remove_target(repository, "a", NULL), -ENOENT);
        CHECK_OK(repository_publish(repository, keys, NULL, NULL));
        CHECK_OK(repository_verify(place.repo, 0, &size, NULL));
        CHECK_EQ(size, 1);
        CHECK(!repository_find_target(repository, "a"));
        CHECK_EQ(repository_find_target(repository, "dir/b")->size_bytes, 4);
}

TEST(refuses_paths_that_could_escape)
{
        static const char *const bad[] = { "", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b",
                "a b", "a\nb" };
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_(place_done) Place place;

        CHECK_OK(place_publish(&place, NULL));
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                CHECK_EQ(repository_add_data(repository, bad[i], "x", 1, NULL), -EINVAL);
}

TEST(lets_one_process_write_at_a_time)
{
        _cleanup_(repository_freep) Repository *first = NULL, *second = NULL;
        _cleanup_(place_done) Place place;
        Error error = { 0 };

        CHECK_OK(place_publish(&place, NULL));
        CHECK_OK(repository_open(place.repo, true, &first, NULL));
        CHECK_EQ(repository_open(place.repo, true, &second, &error), -EBUSY);
        CHECK_EQ(error.code, ERROR_BUSY);
        CHECK_OK(repository_open(place.repo, false, &second, NULL));
        CHECK_EQ(repository_add_data(second, "x", "x", 1, NULL), -EROFS);
}

TEST(says_that_a_folder_is_no_repository)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        Error error = { 0 };

        CHECK_EQ(repository_open("/nonexistent", true, &repository, &error), -ENOENT);
        CHECK_EQ(error.code, ERROR_FAILED);
        CHECK_EQ(repository_create("/nonexistent", "/nonexistent", &error), -ENOENT);
}

TEST(finds_a_changed_target_and_an_expired_role)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_(place_done) Place place;
        Error error = { 0 };
        size_t targets;

        CHECK_OK(place_publish(&place, NULL));
        CHECK(repository_verify(place.repo, time(NULL) + 8 * DAY, &targets, &error) < 0);
        CHECK(strstr(error.message, "timestamp expired"));
        CHECK(path = path_join(place.repo,
                              "targets/dir/"
                              "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3.b"));
        CHECK_OK(file_replace(AT_FDCWD, path, "twO", 3, 0644));
        error_clear(&error);
        CHECK(repository_verify(place.repo, 0, &targets, &error) < 0);
        CHECK_EQ(error.code, ERROR_CORRUPT);
}

/* Else the next publication would sign what somebody else wrote into the folder. */
TEST(opens_only_what_signatures_vouch_for)
{
        static const char *const names[] = { "1.root.json", "1.targets.json", "1.snapshot.json",
                "timestamp.json" };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                _cleanup_(repository_freep) Repository *repository = NULL;
                _cleanup_free_ char *path = NULL, *text = NULL;
                char *expires;
                _cleanup_(place_done) Place place;
                size_t size;

                CHECK_OK(place_publish(&place, NULL));
                CHECK(path = string_format("%s/metadata/%s", place.repo, names[i]));
                CHECK_OK(file_read(AT_FDCWD, path, MIB, &text, &size));
                CHECK(expires = strstr(text, "\"expires\": \"20"));
                expires[strlen("\"expires\": \"20")]++;
                CHECK_OK(file_replace(AT_FDCWD, path, text, size, 0644));
                CHECK(repository_open(place.repo, true, &repository, NULL) < 0);
                CHECK_EQ(unlink(path), 0);
                /* Without a timestamp it is a repository that was never published. */
                CHECK_EQ(repository_open(place.repo, true, &repository, NULL) < 0,
                                strcmp(names[i], "timestamp.json") != 0);
        }
}

TEST(misses_a_timestamp_that_was_there)
{
        _cleanup_(repository_freep) Repository *repository = NULL, *again = NULL;
        _cleanup_(key_ring_freep) KeyRing *keys = NULL;
        _cleanup_free_ char *path = NULL;
        _cleanup_(place_done) Place place;
        Error error = { 0 };

        CHECK_OK(place_publish(&place, NULL));
        CHECK_OK(key_ring_load(place.keys, NULL, &keys, NULL));
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        CHECK_OK(repository_add_data(repository, "c", "three", 5, NULL));
        CHECK_OK(repository_publish(repository, keys, NULL, NULL));
        CHECK(path = path_join(place.repo, "metadata/timestamp.json"));
        CHECK_EQ(unlink(path), 0);
        CHECK_EQ(repository_open(place.repo, false, &again, &error), -EIO);
        CHECK_EQ(error.code, ERROR_CORRUPT);
}

TEST(notices_an_old_timestamp_put_back)
{
        _cleanup_(repository_freep) Repository *repository = NULL, *again = NULL;
        _cleanup_(key_ring_freep) KeyRing *keys = NULL;
        _cleanup_free_ char *path = NULL, *old = NULL;
        _cleanup_(place_done) Place place;
        Error error = { 0 };
        size_t size;

        CHECK_OK(place_publish(&place, NULL));
        CHECK_OK(key_ring_load(place.keys, NULL, &keys, NULL));
        CHECK(path = path_join(place.repo, "metadata/timestamp.json"));
        CHECK_OK(file_read(AT_FDCWD, path, MIB, &old, &size));
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        for (unsigned i = 0; i < 2; i++)
                CHECK_OK(repository_resign_targets(repository, keys, NULL, NULL));
        CHECK_OK(file_replace(AT_FDCWD, path, old, size, 0644));
        CHECK_EQ(repository_open(place.repo, false, &again, &error), -EIO);
        CHECK_EQ(error.code, ERROR_CORRUPT);
}

TEST(goes_on_after_a_publication_that_was_cut_short)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_(key_ring_freep) KeyRing *keys = NULL;
        _cleanup_free_ char *path = NULL, *old = NULL;
        _cleanup_(place_done) Place place;
        size_t size, targets;

        CHECK_OK(place_publish(&place, NULL));
        CHECK_OK(key_ring_load(place.keys, NULL, &keys, NULL));
        CHECK(path = path_join(place.repo, "metadata/timestamp.json"));
        CHECK_OK(file_read(AT_FDCWD, path, MIB, &old, &size));
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        CHECK_OK(repository_add_data(repository, "c", "three", 5, NULL));
        CHECK_OK(repository_publish(repository, keys, NULL, NULL));
        /* As if power had gone just before the last step. */
        CHECK_OK(file_replace(AT_FDCWD, path, old, size, 0644));
        CHECK_OK(repository_verify(place.repo, 0, &targets, NULL));
        CHECK_EQ(targets, 2);
        repository = repository_free(repository);
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        CHECK_EQ(repository_target_count(repository), 2);
        CHECK_OK(repository_add_data(repository, "d", "four", 4, NULL));
        CHECK_OK(repository_publish(repository, keys, NULL, NULL));
        CHECK_OK(repository_verify(place.repo, 0, &targets, NULL));
        CHECK_EQ(targets, 3);
}

TEST(signs_expired_metadata_anew)
{
        const RepositoryPolicy later = { .now = time(NULL) + 40 * DAY };
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_(key_ring_freep) KeyRing *keys = NULL;
        _cleanup_(place_done) Place place;
        uint64_t version;
        int64_t expires;
        size_t targets;

        CHECK_OK(place_publish(&place, NULL));
        CHECK_OK(key_ring_load(place.keys, NULL, &keys, NULL));
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        CHECK_OK(repository_refresh(repository, keys, &later, NULL));
        CHECK_OK(repository_role(repository, TUF_ROLE_SNAPSHOT, &version, &expires));
        CHECK_EQ(version, 2);
        CHECK_EQ(expires, later.now + 30 * DAY);
        CHECK_OK(repository_verify(place.repo, later.now, &targets, NULL));
}

/* Replaces a role's key by the draft, signed by the one root key that is here. */
static int rotate(const Place *place, TufRole role, bool with_signature, char **ret, size_t *ret_size)
{
        const CeremonyOptions options = { 0 };
        _cleanup_free_ char *path = path_join(place->keys, CEREMONY_DRAFT);
        _cleanup_(root_draft_freep) RootDraft *draft = NULL;
        _cleanup_(key_ring_freep) KeyRing *keys = NULL;
        SigningState state;
        int r = root_draft_open(place->keys, &options, &draft, NULL);

        if (r >= 0)
                r = root_draft_make_key(draft, role, &options, NULL);
        if (r >= 0)
                r = root_draft_remove_old_keys(draft, role, NULL);
        if (r >= 0)
                r = root_draft_save(draft, NULL);
        if (r >= 0)
                r = key_ring_load(place->keys, NULL, &keys, NULL);
        if (r >= 0 && with_signature)
                r = root_file_sign(path, keys, &state, NULL);
        return r < 0 ? r : root_draft_publish(place->keys, ret, ret_size, NULL);
}

TEST(rotated_keys_need_a_deliberate_new_signature)
{
        const RepositoryPolicy resign = { .resign_revoked = true };
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_(key_ring_freep) KeyRing *keys = NULL;
        _cleanup_free_ char *root = NULL;
        _cleanup_(place_done) Place place;
        Error error = { 0 };
        size_t size, targets;

        CHECK_OK(place_publish(&place, NULL));
        CHECK_EQ(rotate(&place, TUF_ROLE_TARGETS, false, &root, &size), -EBADMSG);
        CHECK_OK(rotate(&place, TUF_ROLE_TARGETS, true, &root, &size));
        CHECK_OK(key_ring_load(place.keys, NULL, &keys, NULL));
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        CHECK_OK(repository_add_root(repository, root, size, NULL));
        CHECK(repository_is_revoked(repository, TUF_ROLE_TARGETS));
        CHECK(!repository_is_revoked(repository, TUF_ROLE_SNAPSHOT));
        CHECK(repository_verify(place.repo, 0, &targets, NULL) < 0);
        repository = repository_free(repository);
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        CHECK(repository_is_revoked(repository, TUF_ROLE_TARGETS));
        CHECK_EQ(repository_refresh(repository, keys, NULL, &error), -EKEYREVOKED);
        CHECK_OK(repository_refresh(repository, keys, &resign, NULL));
        CHECK_OK(repository_verify(place.repo, 0, &targets, NULL));
        CHECK_EQ(targets, 2);
}

TEST(rotates_the_root_key_through_a_chain)
{
        _cleanup_free_ char *second = NULL, *third = NULL;
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_(place_done) Place place;
        size_t second_size, third_size, targets;

        CHECK_OK(place_publish(&place, NULL));
        CHECK_OK(rotate(&place, TUF_ROLE_ROOT, true, &second, &second_size));
        CHECK_OK(rotate(&place, TUF_ROLE_ROOT, true, &third, &third_size));
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        CHECK(repository_add_root(repository, third, third_size, NULL) < 0);
        CHECK_OK(repository_add_root(repository, second, second_size, NULL));
        CHECK_OK(repository_add_root(repository, third, third_size, NULL));
        CHECK_OK(repository_verify(place.repo, 0, &targets, NULL));
}

TEST(collects_signatures_up_to_the_threshold)
{
        const CeremonyOptions options = { .keys = { [TUF_ROLE_ROOT] = 3 },
                .thresholds = { [TUF_ROLE_ROOT] = 2 } };
        _cleanup_free_ char *path = NULL, *text = NULL;
        _cleanup_(root_draft_freep) RootDraft *draft = NULL;
        _cleanup_(key_ring_freep) KeyRing *all = NULL;
        _cleanup_(place_done) Place place;
        SigningState state;
        unsigned signed_by = 0;
        size_t size;

        CHECK_OK(place_make(&place, &options));
        CHECK(path = path_join(place.keys, CEREMONY_DRAFT));
        CHECK_OK(root_draft_open(place.keys, &options, &draft, NULL));
        CHECK_OK(root_draft_save(draft, NULL));
        CHECK_OK(key_ring_load(place.keys, NULL, &all, NULL));
        for (size_t i = 0; i < key_ring_count(all) && signed_by < 2; i++) {
                _cleanup_free_ char *key = string_format("%s/%s.pem", place.keys, key_ring_name(all, i));
                _cleanup_(key_ring_freep) KeyRing *one = NULL;

                CHECK_OK(key_ring_new(NULL, &one, NULL));
                CHECK_OK(key_ring_add(one, key, NULL));
                if (strncmp(key_ring_name(all, i), "root", 4) != 0) {
                        CHECK_EQ(root_file_sign(path, one, &state, NULL), -ENOKEY);
                        continue;
                }
                CHECK_EQ(root_draft_publish(place.keys, &text, &size, NULL), -EBADMSG);
                CHECK_OK(root_file_sign(path, one, &state, NULL));
                CHECK_EQ(state.old_count, ++signed_by);
                CHECK_EQ(state.new_count, signed_by);
                CHECK_EQ(state.old_threshold, 2);
        }
        CHECK_OK(root_draft_publish(place.keys, &text, &size, NULL));
}

TEST(refuses_a_role_that_nobody_could_sign)
{
        const CeremonyOptions options = { .thresholds = { [TUF_ROLE_TARGETS] = 2 } };
        _cleanup_(root_draft_freep) RootDraft *draft = NULL;
        _cleanup_(place_done) Place place;

        CHECK_EQ(place_make(&place, &options), -EINVAL);
        place_done(&place);
        CHECK_OK(place_make(&place, NULL));
        CHECK_OK(root_draft_open(place.keys, &options, &draft, NULL));
        CHECK_OK(root_draft_set_threshold(draft, TUF_ROLE_ROOT, 2, NULL));
        CHECK_EQ(root_draft_save(draft, NULL), -EINVAL);
        CHECK_EQ(root_draft_remove_key(draft, TUF_ROLE_MAX, "00000000", NULL), -ENOENT);
}

TEST(keeps_encrypted_keys_of_every_kind)
{
        for (TufKeyType type = TUF_KEY_ED25519; type < TUF_KEY_TYPE_MAX; type++) {
                _cleanup_(repository_freep) Repository *repository = NULL;
                _cleanup_(key_ring_freep) KeyRing *keys = NULL, *wrong = NULL;
                _cleanup_(place_done) Place place;
                char secret[] = "/tmp/test-secret-XXXXXX";
                PassphraseSource source = { .file = secret };
                CeremonyOptions options = { .type = type, .is_encrypted = true, .passphrase = &source };
                Error error = { 0 };
                size_t targets;
                int fd;

                CHECK((fd = mkstemp(secret)) >= 0);
                CHECK_OK(write_full(fd, "correct horse\n", 14));
                CHECK_OK(place_make(&place, &options));
                CHECK_OK(repository_create(place.repo, place.keys, NULL));
                CHECK_OK(repository_open(place.repo, true, &repository, NULL));
                CHECK_OK(key_ring_load(place.keys, &source, &keys, NULL));
                CHECK_OK(repository_publish(repository, keys, NULL, NULL));
                CHECK_OK(repository_verify(place.repo, 0, &targets, NULL));
                source = (PassphraseSource){ .command = "echo wrong" };
                CHECK_OK(key_ring_load(place.keys, &source, &wrong, NULL));
                CHECK_EQ(repository_refresh(repository, wrong, NULL, &error), -ENOKEY);
                CHECK(strstr(error.message, "passphrase"));
                (void)fd_close(fd);
                (void)unlink(secret);
        }
}

TEST(prunes_only_what_nothing_names)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_(key_ring_freep) KeyRing *keys = NULL;
        _cleanup_(place_done) Place place;
        const struct timespec old[] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
        _cleanup_free_ char *path = NULL;
        size_t removed, targets;

        CHECK_OK(place_publish(&place, NULL));
        CHECK_OK(key_ring_load(place.keys, NULL, &keys, NULL));
        CHECK_OK(repository_open(place.repo, true, &repository, NULL));
        CHECK_OK(repository_remove_target(repository, "dir/b", NULL));
        CHECK_OK(repository_publish(repository, keys, NULL, NULL));
        CHECK_OK(repository_prune(repository, 100, &removed, NULL));
        CHECK_EQ(removed, 0);
        CHECK(path = string_format("%s/metadata/1.targets.json", place.repo));
        CHECK_EQ(utimensat(AT_FDCWD, path, old, 0), 0);
        CHECK_OK(repository_prune(repository, 100, &removed, NULL));
        CHECK_EQ(removed, 1);
        CHECK(!has_file(&place, "metadata/1.targets.json"));
        CHECK_OK(repository_verify(place.repo, 0, &targets, NULL));
}

TEST_MAIN
