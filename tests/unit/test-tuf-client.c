/* SPDX-License-Identifier: Apache-2.0 */

/* The client against a repository that the producer made, through a transport that can do harm. What the
 * specification says rule by rule is in tests/integration/tuf-conformance. */

#include "test.h"
#include "tuf-client.h"
#include "tuf-scene.h"
#include "tuf-store-folder.h"
#include "tuf-store-memory.h"
#include "tuf-transport-folder.h"

#include <time.h>

#define DAY 86400

static int refresh_at(const Place *place, int64_t now, TufClient **ret, Error *error)
{
        TufTransport transport = tuf_transport_folder(place->metadata);
        TufStore store = tuf_store_folder(place->trusted);
        _cleanup_(tuf_client_freep) TufClient *client = NULL;
        int r = tuf_client_new(&transport, &store, now, &client, error);

        if (r >= 0)
                r = tuf_client_refresh(client, error);
        if (r >= 0 && ret)
                *ret = TAKE_PTR(client);
        return r;
}

TEST(refreshes_finds_and_verifies)
{
        _cleanup_(tuf_client_freep) TufClient *client = NULL;
        _cleanup_(tuf_target_freep) TufTarget *target = NULL, *missing = NULL;
        _cleanup_(place_done) Place place;
        Error error = { 0 };
        uint64_t version;
        int64_t expires;

        CHECK_OK(place_make(&place));
        CHECK_OK(refresh_at(&place, time(NULL), &client, NULL));
        CHECK_OK(tuf_client_role(client, TUF_ROLE_TARGETS, &version, &expires));
        CHECK_EQ(version, 1);
        CHECK_OK(tuf_client_find_target(client, "dir/a", &target, NULL));
        CHECK_STR(target->download_path,
                        "dir/7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed.a");
        CHECK_OK(tuf_target_verify(target, "one", 3, NULL));
        CHECK_EQ(tuf_target_verify(target, "onE", 3, NULL), -EBADMSG);
        CHECK_EQ(tuf_target_verify(target, "one!", 4, NULL), -EBADMSG);
        CHECK_EQ(tuf_client_find_target(client, "a", &missing, &error), -ENOENT);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK_OK(tuf_client_refresh(client, NULL));
}

TEST(without_a_root_it_refuses)
{
        _cleanup_free_ char *root = NULL;
        _cleanup_(place_done) Place place;
        Error error = { 0 };

        CHECK_OK(place_make(&place));
        CHECK(root = path_join(place.trusted, "root.json"));
        CHECK_OK(file_replace(AT_FDCWD, root, "", 0, 0644));
        CHECK(refresh_at(&place, time(NULL), NULL, &error) < 0);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK_EQ(unlink(root), 0);
        error_clear(&error);
        CHECK(refresh_at(&place, time(NULL), NULL, &error) < 0);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
}

TEST(refuses_to_go_back_and_keeps_what_it_had)
{
        _cleanup_free_ char *timestamp = NULL, *old = NULL;
        _cleanup_(place_done) Place place;
        Error error = { 0 };
        size_t size;

        CHECK_OK(place_make(&place));
        CHECK(timestamp = path_join(place.metadata, "timestamp.json"));
        CHECK_OK(file_read(AT_FDCWD, timestamp, TUF_TIMESTAMP_MAX, &old, &size));
        CHECK_OK(repository_add_data(place.repository, "b", "two", 3, NULL));
        CHECK_OK(repository_publish(place.repository, place.ring, NULL, NULL));
        CHECK_OK(refresh_at(&place, time(NULL), NULL, NULL));
        CHECK_OK(file_replace(AT_FDCWD, timestamp, old, size, 0644));
        CHECK(refresh_at(&place, time(NULL), NULL, &error) < 0);
        CHECK(strstr(error.message, "older than timestamp 2"));
}

TEST(expired_is_refused_unless_time_is_told_to_stand_still)
{
        _cleanup_(place_done) Place place;
        Error error = { 0 };

        CHECK_OK(place_make(&place));
        CHECK(refresh_at(&place, time(NULL) + 8 * DAY, NULL, &error) < 0);
        CHECK(strstr(error.message, "timestamp expired"));
        error_clear(&error);
        CHECK(refresh_at(&place, time(NULL) + 1000 * INT64_C(86400), NULL, &error) < 0);
        CHECK(strstr(error.message, "root expired"));
        CHECK_OK(refresh_at(&place, INT64_MIN, NULL, NULL));
}

/* Whether trusted metadata of that name is this file of the repository. */
static bool is_kept(const Place *place, const char *name, const char *file)
{
        _cleanup_free_ char *kept_path = path_join(place->trusted, name), *kept = NULL;
        _cleanup_free_ char *wanted_path = path_join(place->metadata, file), *wanted = NULL;
        size_t kept_size, wanted_size;

        return file_read(AT_FDCWD, kept_path, TUF_ROOT_MAX, &kept, &kept_size) >= 0 &&
               file_read(AT_FDCWD, wanted_path, TUF_ROOT_MAX, &wanted, &wanted_size) >= 0 &&
               kept_size == wanted_size && memcmp(kept, wanted, kept_size) == 0;
}

static int fail_to_remove(void *data, const char *role, Error *error)
{
        return error_set(error, ERROR_IO, EIO, "cannot remove %s", role);
}

/* Or what a stolen timestamp key had signed ahead would stay the measure for ever. */
TEST(a_rotation_that_is_cut_off_is_met_again)
{
        _cleanup_(tuf_client_freep) TufClient *client = NULL;
        _cleanup_(place_done) Place place;

        CHECK_OK(place_make(&place));
        TufTransport transport = tuf_transport_folder(place.metadata);
        TufStore store = tuf_store_folder(place.trusted);
        CHECK_OK(refresh_at(&place, time(NULL), NULL, NULL));
        CHECK_OK(add_root(&place, true));
        store.remove = fail_to_remove;
        CHECK_OK(tuf_client_new(&transport, &store, time(NULL), &client, NULL));
        CHECK_EQ(tuf_client_refresh(client, NULL), -EIO);
        CHECK(is_kept(&place, "root.json", "1.root.json"));
        CHECK(is_kept(&place, "snapshot.json", "1.snapshot.json"));
        /* The timestamp is not signed by the new key yet, so this fails, too. */
        CHECK(refresh_at(&place, time(NULL), NULL, NULL) < 0);
        CHECK(is_kept(&place, "root.json", "2.root.json"));
        CHECK(!is_kept(&place, "timestamp.json", "timestamp.json"));
        CHECK(!is_kept(&place, "snapshot.json", "1.snapshot.json"));
}

/* Whether a file, as it is or changed, would be trusted as that role's. */
static bool is_trusted(const TufMetadata *root, TufRole role, const char *text, size_t size)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *metadata = NULL;

        return tuf_metadata_parse("it", role, text, size, &metadata, NULL) >= 0 &&
               tuf_verify("it", metadata, &root->keys, &root->signers[role], NULL) >= 0;
}

/* Even without the hashes that other files give of it. */
TEST(no_single_bit_of_any_metadata_can_change)
{
        static const struct {
                const char *name;
                TufRole role;
        } files[] = { { "1.root.json", TUF_ROLE_ROOT }, { "2.root.json", TUF_ROLE_ROOT },
                { "timestamp.json", TUF_ROLE_TIMESTAMP }, { "1.snapshot.json", TUF_ROLE_SNAPSHOT },
                { "1.targets.json", TUF_ROLE_TARGETS } };
        _cleanup_(tuf_metadata_freep) TufMetadata *root = NULL;
        _cleanup_(place_done) Place place;

        CHECK_OK(place_make(&place));
        CHECK_OK(add_root(&place, false));
        for (size_t i = 0; i < ELEMENTS(files); i++) {
                _cleanup_free_ char *path = path_join(place.metadata, files[i].name), *text = NULL;
                size_t size;

                CHECK_OK(file_read(AT_FDCWD, path, TUF_METADATA_MAX, &text, &size));
                if (!root)
                        CHECK_OK(tuf_metadata_parse("root", files[i].role, text, size, &root, NULL));
                CHECK(is_trusted(root, files[i].role, text, size));
                for (size_t bit = 0; bit < size * 8; bit++) {
                        text[bit / 8] ^= (char)(1 << bit % 8);
                        if (is_trusted(root, files[i].role, text, size))
                                TEST_FAIL("bit %zu of %s was changed unnoticed", bit, files[i].name);
                        text[bit / 8] ^= (char)(1 << bit % 8);
                }
        }
}

/* Channels and manifests are targets: what signed metadata says of them is their length and their hash. */
TEST(no_single_bit_of_a_channel_or_manifest_can_change)
{
        static const struct {
                const char *target, *seed;
        } files[] = { { "channels/stable.json", "channel/three-releases" },
                { "releases/2/x86-64/manifest.json", "manifest/two-payloads" } };
        _cleanup_(tuf_client_freep) TufClient *client = NULL;
        _cleanup_free_ char *corpus = path_join(getenv("SOURCE_ROOT"), "tests/corpus");
        char *texts[ELEMENTS(files)] = { 0 };
        size_t sizes[ELEMENTS(files)];
        _cleanup_(place_done) Place place;

        CHECK_OK(place_make(&place));
        for (size_t i = 0; i < ELEMENTS(files); i++) {
                _cleanup_free_ char *path = path_join(corpus, files[i].seed);
                CHECK_OK(file_read(AT_FDCWD, path, MIB, &texts[i], &sizes[i]));
                CHECK_OK(repository_add_data(place.repository, files[i].target, texts[i], sizes[i], NULL));
        }
        CHECK_OK(repository_publish(place.repository, place.ring, NULL, NULL));
        CHECK_OK(refresh_at(&place, time(NULL), &client, NULL));
        for (size_t i = 0; i < ELEMENTS(files); i++) {
                _cleanup_(tuf_target_freep) TufTarget *target = NULL;
                _cleanup_free_ char *text = texts[i];
                CHECK_OK(tuf_client_find_target(client, files[i].target, &target, NULL));
                CHECK_OK(tuf_target_verify(target, text, sizes[i], NULL));
                for (size_t bit = 0; bit < sizes[i] * 8; bit++) {
                        text[bit / 8] ^= (char)(1 << bit % 8);
                        CHECK_EQ(tuf_target_verify(target, text, sizes[i], NULL), -EBADMSG);
                        text[bit / 8] ^= (char)(1 << bit % 8);
                }
                CHECK_EQ(tuf_target_verify(target, text, sizes[i] - 1, NULL), -EBADMSG);
        }
}

/* A transport that flips one bit of one file. */
typedef struct Flipper {
        TufTransport honest;
        const char *name;
        size_t bit;
} Flipper;

static int fetch_flipped(void *data, const char *name, Buffer *ret, Error *error)
{
        const Flipper *flipper = data;
        int r = flipper->honest.fetch(flipper->honest.data, name, ret, error);

        if (r >= 0 && strcmp(name, flipper->name) == 0)
                ret->data[flipper->bit / 8] ^= (uint8_t)(1 << flipper->bit % 8);
        return r;
}

static int refresh_flipped(const Place *place, Flipper *flipper, const char *root, size_t root_size)
{
        _cleanup_(tuf_store_memory_freep) TufStoreMemory *memory = NULL;
        _cleanup_(tuf_client_freep) TufClient *client = NULL;
        TufTransport transport = { fetch_flipped, flipper };
        TufStore store;
        int r = tuf_store_memory_new(root, root_size, &memory, NULL);

        if (r < 0)
                return r;
        store = tuf_store_memory(memory);
        r = tuf_client_new(&transport, &store, time(NULL), &client, NULL);
        return r < 0 ? r : tuf_client_refresh(client, NULL);
}

TEST(a_mirror_that_flips_a_bit_anywhere_is_refused)
{
        static const char *const names[] = { "2.root.json", "timestamp.json", "1.snapshot.json",
                "1.targets.json" };
        _cleanup_free_ char *root_path = NULL, *root = NULL;
        _cleanup_(place_done) Place place;
        size_t root_size;

        CHECK_OK(place_make(&place));
        CHECK_OK(add_root(&place, false));
        CHECK(root_path = path_join(place.metadata, "1.root.json"));
        CHECK_OK(file_read(AT_FDCWD, root_path, TUF_ROOT_MAX, &root, &root_size));
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                _cleanup_free_ char *path = path_join(place.metadata, names[i]), *text = NULL;
                Flipper flipper = { tuf_transport_folder(place.metadata), names[i], 0 };
                size_t size;

                CHECK_OK(file_read(AT_FDCWD, path, TUF_METADATA_MAX, &text, &size));
                for (; flipper.bit < size * 8; flipper.bit += 37)
                        if (refresh_flipped(&place, &flipper, root, root_size) >= 0)
                                TEST_FAIL("bit %zu of %s was changed unnoticed", flipper.bit, names[i]);
        }
}

TEST(store_folder_keeps_odd_names_inside)
{
        static const char *const names[] = { "../x", "/x", ".", "..", "?", "#", "a b", "%", "\xc3\xa9" };
        char folder[] = "/tmp/test-tuf-store-XXXXXX", name[301];
        TufStore store = tuf_store_folder(folder);

        CHECK(mkdtemp(folder));
        memset(name, '/', sizeof(name) - 1);
        name[sizeof(name) - 1] = 0;
        for (size_t i = 0; i <= ELEMENTS(names); i++) {
                const char *role = i < ELEMENTS(names) ? names[i] : name;
                _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(10);

                CHECK_EQ(store.load(store.data, role, &bytes, NULL), -ENOENT);
                CHECK_OK(store.save(store.data, role, "x", 1, NULL));
                CHECK_OK(store.load(store.data, role, &bytes, NULL));
                CHECK_EQ(bytes.size, 1);
        }
        for (size_t i = 0; i <= ELEMENTS(names); i++) {
                CHECK_OK(store.remove(store.data, i < ELEMENTS(names) ? names[i] : name, NULL));
                CHECK_OK(store.remove(store.data, i < ELEMENTS(names) ? names[i] : name, NULL));
        }
        CHECK_EQ(rmdir(folder), 0);
}

TEST_MAIN
