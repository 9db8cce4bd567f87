/* SPDX-License-Identifier: Apache-2.0 */
/* What basculed believes of a fetch that was taken over. Its fetch is this program, which brings what lies
 * in a repository and lies about it; the address of the repository says how: http://LIE/FOLDER. */
#include "fake-roles.h"
#include "session.h"
#include "test.h"
#include "tuf-scene.h"

#include <dirent.h>
#include <time.h>

#define PROTOCOL "http://"
#define URL_MAX 256

/* ---- In role fetch ---- */

typedef struct Lie {
        const char *name;
        const char *lacks;    /* a file of which it says nothing */
        const char *spoils;   /* a file in which it changes a bit */
        uint64_t received[2]; /* what it says with FRAME_FETCHED, one after the other */
        unsigned fill;        /* so many more names of metadata */
        FrameType interrupts; /* a frame that nobody asked for */
        bool has_given_up;    /* it brought what there was, and says that it failed */
        const char *target;   /* what it gives for any target */
        FrameType answer;     /* ... as which frame; 0: FRAME_TARGET */
} Lie;

static const Lie lies[] = {
        { .name = "none" },
        { .name = "no-next-root", .lacks = "2.root.json" },
        { .name = "no-timestamp", .lacks = "timestamp.json" },
        { .name = "no-snapshot", .lacks = "1.snapshot.json" },
        { .name = "no-targets", .lacks = "1.targets.json" },
        { .name = "another-timestamp", .spoils = "timestamp.json" },
        { .name = "another-snapshot", .spoils = "1.snapshot.json" },
        { .name = "other-targets", .spoils = "1.targets.json" },
        { .name = "received-less", .received = { 2, 1 } },
        { .name = "received-much", .received = { 1, UINT64_C(65) << 20 } },
        { .name = "names-without-end", .fill = 1000 },
        { .name = "target-too-early", .interrupts = FRAME_TARGET },
        { .name = "streamed", .interrupts = FRAME_STREAMED },
        { .name = "speaks-as-apply", .interrupts = FRAME_APPLIED },
        { .name = "speaks-as-basculed", .interrupts = FRAME_FETCH_REFRESH },
        { .name = "no-such-frame", .interrupts = (FrameType)200 },
        { .name = "no-such-mirror", .interrupts = FRAME_MIRROR },
        { .name = "gives-up", .has_given_up = true },
        { .name = "gives-up-with-another-timestamp", .spoils = "timestamp.json", .has_given_up = true },
        { .name = "another-target", .target = "onE" },
        { .name = "longer-target", .target = "one!" },
        { .name = "no-target", .target = "" },
        { .name = "refreshed-again", .answer = FRAME_REFRESHED },
};

static int tell(FrameType type, const char *name, const Buffer *bytes)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(FRAME_BODY_MAX);
        int r = frame_put_text(&body, name);

        if (r >= 0 && bytes)
                r = frame_put_text(&body, "");
        if (r >= 0 && bytes)
                r = frame_put_bytes(&body, bytes->data, bytes->size);
        return r < 0 ? r : frame_send(ROLE_FD_CONTROL, type, &body);
}

static int bring_file(const Lie *lie, const char *folder, const char *name)
{
        _cleanup_free_ char *path = path_join(folder, name), *text = NULL;
        size_t size;

        if (lie->lacks && strcmp(name, lie->lacks) == 0)
                return 0;
        int r = file_read(AT_FDCWD, path, TUF_METADATA_MAX, &text, &size);
        if (r < 0)
                return r;
        if (lie->spoils && strcmp(name, lie->spoils) == 0)
                text[size / 2] ^= 1;
        Buffer bytes = { .data = (uint8_t *)text, .size = size };
        return tell(FRAME_METADATA, name, &bytes);
}

/* Everything that is published, and that there is no further root. */
static int bring(const Lie *lie, const char *folder)
{
        DIR *listed = opendir(folder);
        unsigned roots = 0;
        char name[64];
        int r = listed ? 0 : -errno;

        for (struct dirent *entry; r >= 0 && (entry = readdir(listed));) {
                if (strstr(entry->d_name, ".json"))
                        r = bring_file(lie, folder, entry->d_name);
                roots += strstr(entry->d_name, ".root.json") != NULL;
        }
        if (listed)
                (void)closedir(listed);
        (void)snprintf(name, sizeof(name), "%u.root.json", roots + 1);
        if (r >= 0 && !(lie->lacks && strcmp(name, lie->lacks) == 0))
                r = tell(FRAME_METADATA_ABSENT, name, NULL);
        for (unsigned i = 0; i < lie->fill && r >= 0; i++) {
                (void)snprintf(name, sizeof(name), "%u.json", i);
                r = tell(FRAME_METADATA_ABSENT, name, NULL);
        }
        return r;
}

static int tell_number(FrameType type, uint64_t number)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);
        int r = frame_put_u64(&body, number);

        if (r >= 0)
                r = frame_put_u64(&body, 1);
        return r < 0 ? r : frame_send(ROLE_FD_CONTROL, type, &body);
}

static int refresh(const Lie *lie, const char *folder)
{
        Error error = { 0 };
        int r = bring(lie, folder);

        for (size_t i = 0; i < ELEMENTS(lie->received) && r >= 0 && lie->received[i] > 0; i++)
                r = tell_number(FRAME_FETCHED, lie->received[i]);
        if (r >= 0 && lie->interrupts)
                r = tell_number(lie->interrupts, 7);
        if (r < 0 || !lie->has_given_up)
                return r < 0 ? r : frame_send(ROLE_FD_CONTROL, FRAME_REFRESHED, NULL);
        r = error_set(&error, ERROR_NETWORK, ETIMEDOUT, "the servers fell silent");
        return frame_send_error(ROLE_FD_CONTROL, r, &error);
}

static int answer(const Lie *lie)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);
        const char *target = lie->target ? lie->target : "one";
        int r = frame_put_bytes(&body, target, strlen(target));

        return r < 0 ? r : frame_send(ROLE_FD_CONTROL, lie->answer ? lie->answer : FRAME_TARGET, &body);
}

/* The first address of a FRAME_FETCH_SETUP. */
static int take_url(Frame *setup, char ret[static URL_MAX])
{
        const uint8_t *data;
        uint64_t number;
        size_t size;
        int r = 0;

        for (unsigned i = 0; i < 3 && r >= 0; i++)
                r = frame_take_u64(setup, &number);
        if (r >= 0)
                r = frame_take_bytes(setup, &data, &size);
        if (r >= 0)
                r = frame_take_u64(setup, &number);
        return r < 0 ? r : frame_take_text(setup, ret, URL_MAX);
}

static const Lie *find_lie(const char *url)
{
        const char *name = url + strlen(PROTOCOL);
        size_t length = strcspn(name, "/");

        for (size_t i = 0; i < ELEMENTS(lies); i++)
                if (strlen(lies[i].name) == length && strncmp(lies[i].name, name, length) == 0)
                        return &lies[i];
        return NULL;
}

static int fake_fetch(FrameReader *reader)
{
        char url[URL_MAX];
        const Lie *lie = NULL;
        Frame frame;
        int r = frame_receive(reader, ROLE_FD_CONTROL, &frame);

        if (r < 0 || frame.type != FRAME_FETCH_SETUP || take_url(&frame, url) < 0 || !(lie = find_lie(url)))
                return EXIT_FAILURE;
        while (r >= 0 && frame_receive(reader, ROLE_FD_CONTROL, &frame) >= 0)
                if (frame.type == FRAME_FETCH_REFRESH)
                        r = refresh(lie, strchr(url + strlen(PROTOCOL), '/'));
                else if (frame.type != FRAME_FETCH_TRUSTED)
                        r = answer(lie);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int fake_apply(const ApplySetup *setup)
{
        return EXIT_FAILURE; /* nothing is applied here */
}

/* ---- In basculed ---- */

/* A host that trusts a repository, and a session of it. */
typedef struct Visit {
        Host host;
        Config *config;
        Operation operation;
        Session *session;
} Visit;

static void visit_done(Visit *visit)
{
        session_free(visit->session);
        config_free(visit->config);
        free(visit->host.state_folder);
        free(visit->host.trusted_root_path);
}

/* The host's image has root 1 of `trusted`; the fetch brings what `served` has. */
static int visit(Visit *it, const Place *trusted, const Place *served, const char *lie, Error *error)
{
        char text[512];
        int r;

        *it = (Visit){ 0 };
        (void)snprintf(text, sizeof(text), "[Update]\nRepository=" PROTOCOL "%s%s\n", lie, served->metadata);
        r = config_parse("engine.conf", text, strlen(text), &it->config, error);
        it->host.state_folder = strdup(trusted->folder);
        it->host.trusted_root_path = path_join(trusted->keys, "1.root.json");
        if (r < 0 || !it->host.state_folder || !it->host.trusted_root_path)
                return r < 0 ? r : -ENOMEM;
        it->operation = (Operation){
                .host = &it->host, .config = it->config, .cancel_fd = -1, .now = (uint64_t)time(NULL)
        };
        return session_open(&it->operation, 0, &it->session, error);
}

/* Whether the host keeps that role's metadata as the repository has it. */
static bool is_kept(const Place *place, const char *role_file, const char *file)
{
        _cleanup_free_ char *kept_path = string_format("%s/metadata/%s", place->folder, role_file);
        _cleanup_free_ char *wanted_path = path_join(place->metadata, file), *kept = NULL, *wanted = NULL;
        size_t kept_size, wanted_size;

        return file_read(AT_FDCWD, kept_path, TUF_METADATA_MAX, &kept, &kept_size) >= 0 &&
               file_read(AT_FDCWD, wanted_path, TUF_METADATA_MAX, &wanted, &wanted_size) >= 0 &&
               kept_size == wanted_size && memcmp(kept, wanted, kept_size) == 0;
}

static bool keeps_anything(const Place *place, const char *role_file)
{
        _cleanup_free_ char *path = string_format("%s/metadata/%s", place->folder, role_file);

        return access(path, F_OK) == 0;
}

/* That a host without history refuses what the fetch brings, and says so in that way. */
static void check_refused(const Place *trusted, const Place *served, const char *lie, ErrorCode code,
                const char *words)
{
        _cleanup_(visit_done) Visit it = { 0 };
        Error error = { 0 };
        _cleanup_free_ char *kept = path_join(trusted->folder, "metadata");

        CHECK_OK(tree_remove(AT_FDCWD, kept));
        if (visit(&it, trusted, served, lie, &error) >= 0)
                TEST_FAIL("%s: believed", lie);
        if (error.code != code || !strstr(error.message, words))
                TEST_FAIL("%s: code %u: %s", lie, (unsigned)error.code, error.message);
}

TEST(an_honest_fetch_is_believed)
{
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(100);
        _cleanup_(visit_done) Visit it = { 0 };
        _cleanup_(place_done) Place place = { 0 };
        Error error = { 0 };

        CHECK_OK(place_make(&place));
        if (visit(&it, &place, &place, "none", &error) < 0)
                TEST_FAIL("%s", error.message);
        CHECK_OK(session_get(it.session, "dir/a", &bytes, NULL));
        CHECK_EQ(bytes.size, 3);
        CHECK_MEM(bytes.data, "one", 3);
        CHECK(is_kept(&place, "timestamp.json", "timestamp.json"));
        CHECK(is_kept(&place, "snapshot.json", "1.snapshot.json"));
        CHECK(is_kept(&place, "targets.json", "1.targets.json"));
}

/* All of it whole, but of somebody else. */
TEST(a_fetch_that_brings_what_others_signed_is_refused)
{
        _cleanup_(place_done) Place place = { 0 }, other = { 0 };

        CHECK_OK(place_make(&place));
        CHECK_OK(place_make(&other));
        check_refused(&place, &other, "none", ERROR_UNTRUSTED, "timestamp");
        CHECK(!keeps_anything(&place, "timestamp.json"));
        CHECK_OK(add_root(&other, false));
        check_refused(&place, &other, "none", ERROR_UNTRUSTED, "by the keys of root 1");
        CHECK(!keeps_anything(&place, "root.json"));
}

TEST(a_fetch_that_changes_a_bit_of_metadata_is_refused)
{
        _cleanup_(place_done) Place place = { 0 };

        CHECK_OK(place_make(&place));
        check_refused(&place, &place, "another-timestamp", ERROR_UNTRUSTED, "timestamp");
        check_refused(&place, &place, "another-snapshot", ERROR_UNTRUSTED, "snapshot");
        check_refused(&place, &place, "other-targets", ERROR_UNTRUSTED, "targets");
}

TEST(a_fetch_that_keeps_metadata_back_is_refused)
{
        _cleanup_(place_done) Place place = { 0 };

        CHECK_OK(place_make(&place));
        check_refused(&place, &place, "no-next-root", ERROR_UNTRUSTED, "did not bring 2.root.json");
        check_refused(&place, &place, "no-timestamp", ERROR_UNTRUSTED, "did not bring timestamp.json");
        check_refused(&place, &place, "no-snapshot", ERROR_UNTRUSTED, "did not bring 1.snapshot.json");
        check_refused(&place, &place, "no-targets", ERROR_UNTRUSTED, "did not bring 1.targets.json");
}

TEST(a_fetch_that_speaks_out_of_turn_is_refused)
{
        _cleanup_(place_done) Place place = { 0 };

        CHECK_OK(place_make(&place));
        check_refused(&place, &place, "target-too-early", ERROR_FAILED, "out of turn");
        check_refused(&place, &place, "streamed", ERROR_FAILED, "out of turn");
        check_refused(&place, &place, "speaks-as-apply", ERROR_FAILED, "out of turn");
        check_refused(&place, &place, "speaks-as-basculed", ERROR_FAILED, "out of turn");
        check_refused(&place, &place, "no-such-frame", ERROR_FAILED, "out of turn");
        check_refused(&place, &place, "no-such-mirror", ERROR_FAILED, "makes no sense");
}

TEST(a_fetch_that_goes_on_without_end_is_refused)
{
        _cleanup_(place_done) Place place = { 0 };

        CHECK_OK(place_make(&place));
        check_refused(&place, &place, "received-less", ERROR_FAILED, "makes no sense");
        check_refused(&place, &place, "received-much", ERROR_NETWORK, "far more metadata");
        check_refused(&place, &place, "names-without-end", ERROR_UNTRUSTED, "cannot be taken");
}

TEST(a_fetch_that_goes_back_in_time_is_refused)
{
        _cleanup_(visit_done) Visit first = { 0 }, second = { 0 };
        _cleanup_free_ char *timestamp = NULL, *old = NULL;
        _cleanup_(place_done) Place place = { 0 };
        Error error = { 0 };
        size_t size;

        CHECK_OK(place_make(&place));
        CHECK(timestamp = path_join(place.metadata, "timestamp.json"));
        CHECK_OK(file_read(AT_FDCWD, timestamp, TUF_TIMESTAMP_MAX, &old, &size));
        CHECK_OK(repository_add_data(place.repository, "b", "two", 3, NULL));
        CHECK_OK(repository_publish(place.repository, place.ring, NULL, NULL));
        CHECK_OK(visit(&first, &place, &place, "none", NULL));
        CHECK_OK(file_replace(AT_FDCWD, timestamp, old, size, 0644));
        CHECK(visit(&second, &place, &place, "none", &error) < 0);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK(strstr(error.message, "older than timestamp 2"));
}

static void check_target_refused(const Place *place, const char *lie, const char *target, ErrorCode code)
{
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(100);
        _cleanup_(visit_done) Visit it = { 0 };
        Error error = { 0 };

        CHECK_OK(visit(&it, place, place, lie, NULL));
        if (session_get(it.session, target, &bytes, &error) >= 0)
                TEST_FAIL("%s: believed", lie);
        if (error.code != code)
                TEST_FAIL("%s: code %u: %s", lie, (unsigned)error.code, error.message);
        CHECK_EQ(bytes.size, 0);
}

TEST(a_fetch_that_brings_another_target_is_refused)
{
        _cleanup_(place_done) Place place = { 0 };

        CHECK_OK(place_make(&place));
        check_target_refused(&place, "another-target", "dir/a", ERROR_UNTRUSTED);
        check_target_refused(&place, "longer-target", "dir/a", ERROR_UNTRUSTED);
        check_target_refused(&place, "no-target", "dir/a", ERROR_UNTRUSTED);
        check_target_refused(&place, "none", "dir/b", ERROR_UNTRUSTED);
        check_target_refused(&place, "refreshed-again", "dir/a", ERROR_FAILED);
}

TEST(a_fetch_that_brings_another_index_is_refused)
{
        _cleanup_(visit_done) Visit it = { 0 };
        _cleanup_(place_done) Place place = { 0 };
        uint8_t one[SHA256_SIZE], another[SHA256_SIZE];
        Error error = { 0 };

        sha256_of("one", 3, one);
        sha256_of("onE", 3, another);
        CHECK_OK(place_make(&place));
        CHECK_OK(visit(&it, &place, &place, "none", NULL));
        CHECK_OK(session_probe(it.session, "x", 3, one, NULL));
        CHECK_EQ(session_probe(it.session, "x", 3, another, &error), -EBADMSG);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK_EQ(session_probe(it.session, "x", 4, one, NULL), -EBADMSG);
}

/* Say, since the timestamp has expired, or was never signed by the new key. */
TEST(a_root_counts_even_if_the_rest_could_not_be_had)
{
        _cleanup_(visit_done) Visit it = { 0 }, next = { 0 };
        _cleanup_(place_done) Place place = { 0 };
        Error error = { 0 };

        CHECK_OK(place_make(&place));
        CHECK_OK(add_root(&place, false));
        CHECK(visit(&it, &place, &place, "gives-up-with-another-timestamp", &error) < 0);
        CHECK_EQ(error.code, ERROR_NETWORK);
        CHECK_STR(error.message, "the servers fell silent");
        CHECK(is_kept(&place, "root.json", "2.root.json"));
        CHECK(!keeps_anything(&place, "timestamp.json"));
        CHECK(visit(&next, &place, &place, "gives-up", NULL) < 0);
        CHECK(is_kept(&place, "timestamp.json", "timestamp.json"));
}

TEST(what_does_not_verify_is_not_kept_when_fetch_gives_up)
{
        _cleanup_(place_done) Place place = { 0 }, other = { 0 };

        CHECK_OK(place_make(&place));
        CHECK_OK(place_make(&other));
        CHECK_OK(add_root(&other, false));
        check_refused(&place, &other, "gives-up", ERROR_NETWORK, "fell silent");
        CHECK(!keeps_anything(&place, "root.json"));
        CHECK(!keeps_anything(&place, "timestamp.json"));
}

TEST_MAIN
