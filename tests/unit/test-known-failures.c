/* SPDX-License-Identifier: Apache-2.0 */

/* The ways in which programs of this kind have failed before, one test each, over whatever of our parsers
 * could fail in that way (and one more in test-ceiling.c). What a single parser refuses beside these is in
 * its own test. */
#include "config.h"
#include "file.h"
#include "frames.h"
#include "http.h"
#include "json.h"
#include "manifest.h"
#include "payload-sample.h"
#include "state.h"
#include "test.h"
#include "transfer-frames.h"
#include "trust-store.h"
#include "tuf-metadata.h"
#include "tuf-store-folder.h"
#include "verity.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

/* ---- Verified is what is used ---- */

typedef struct Switcher {
        const Sample *sample;
        atomic_bool has_ended;
} Switcher;

/* Whoever owns a source changes it and changes it back, all the time. */
static void *switch_source(void *data)
{
        Switcher *switcher = data;
        while (!atomic_load(&switcher->has_ended)) {
                (void)pwrite_full(switcher->sample->source_fd, "?", 1, 6);
                (void)pwrite_full(switcher->sample->source_fd, switcher->sample->source + 6, 1, 6);
        }
        return NULL;
}

/* What is handed out as proved is what was hashed, not something read a second time. */
TEST(verify_then_use_race)
{
        _cleanup_(sample_done) Sample sample;
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        _cleanup_(payload_decoder_freep) PayloadDecoder *decoder = NULL;
        Switcher switcher = { .sample = &sample };
        pthread_t thread;
        unsigned proved = 0, wrong = 0, other = 0;

        sample_make(&sample);
        CHECK_OK(sample_open(&sample, sample.source_fd, &index, &decoder, NULL));
        CHECK_EQ(pthread_create(&thread, NULL, switch_source, &switcher), 0);
        for (unsigned i = 0; i < 20000; i++) {
                const uint8_t *target;
                int r = payload_group_decode(decoder, 1, sample.blob1, sample.blob1_size, &target, NULL);
                proved += r >= 0;
                if (r >= 0)
                        wrong += memcmp(target, sample.target + GROUP0_SIZE, GROUP1_SIZE) != 0;
                else
                        other += r != -ESTALE;
        }
        atomic_store(&switcher.has_ended, true);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        printf("# %u of 20000 proved while the source changed\n", proved);
        CHECK_EQ(wrong, 0);
        CHECK_EQ(other, 0);
}

/* ---- Sizes ---- */

/* A target of so many groups of zeros, each of the greatest size. */
static void make_zeros(uint32_t groups, int64_t target_excess, Buffer *ret, size_t *ret_index_size)
{
        _cleanup_buffer_ Buffer ops = BUFFER_WITH_CAP(64);
        const PayloadOp zero = { .number = PAYLOAD_OP_ZERO, .target_size_bytes = PAYLOAD_GROUP_MAX };
        PayloadSketch sketch = {
                .group_count = groups, .memory = PAYLOAD_MEMORY_MAX, .target_excess = target_excess
        };
        PayloadOpCursor cursor;

        payload_op_cursor_init(&cursor, NULL, 0, 0);
        (void)payload_op_append(&cursor, &zero, &ops);
        for (uint32_t i = 0; i < groups; i++)
                sketch.groups[i] = (SketchGroup){
                        .target_size = PAYLOAD_GROUP_MAX, .ops_size = ops.size, .ops = ops.data
                };
        sketch_build(&sketch, ret, ret_index_size);
}

static int parse_zeros(uint32_t groups, int64_t target_excess, PayloadIndex **ret)
{
        _cleanup_buffer_ Buffer file = BUFFER_WITH_CAP(4 * MIB);
        size_t index_size;
        make_zeros(groups, target_excess, &file, &index_size);
        PayloadExpectation expectation = expect_as_told(file.data, index_size);
        return payload_index_parse(file.data, index_size, &expectation, ret, NULL);
}

static int carry_in_manifest(uint64_t size, uint64_t *ret_image, uint64_t *ret_payload)
{
        PayloadReference full = { .path = (char *)"payloads/a",
                .size_bytes = size,
                .index_size_bytes = 100,
                .memory_bytes = MIB,
                .is_full = true };
        const Manifest made = { .image_id = (char *)"host",
                .version = (char *)"1",
                .architecture = (char *)"x86-64",
                .minimum_engine = 1,
                .notes = (char *)"",
                .images = { { .size_bytes = size, .payloads = &full, .payload_count = 1 },
                                { .size_bytes = 5, .payloads = &full, .payload_count = 1 } } };
        _cleanup_(manifest_freep) Manifest *read = NULL;
        _cleanup_free_ char *text = NULL;
        int r = manifest_format(&made, &text, NULL);
        if (r >= 0)
                r = manifest_parse(text, strlen(text), &read, NULL);
        if (r < 0)
                return r;
        *ret_image = read->images[IMAGE_ROOT].size_bytes;
        *ret_payload = read->images[IMAGE_ROOT].payloads[0].size_bytes;
        return 0;
}

/* Around both limits nothing is lost of a size: not in a manifest, not in an index, not in a range, not in a
 * tree. */
TEST(sizes_truncated_at_2_and_4_GiB)
{
        static const uint64_t limits[] = { 2 * GIB, 4 * GIB };
        uint64_t image = 0, payload = 0;
        for (size_t i = 0; i < ELEMENTS(limits); i++) {
                _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
                PayloadIndex *bad = NULL;
                uint32_t groups = (uint32_t)(limits[i] / PAYLOAD_GROUP_MAX) + 1;
                uint64_t size = limits[i] + PAYLOAD_GROUP_MAX, first, last;
                char range[64];

                CHECK_OK(parse_zeros(groups, 0, &index));
                CHECK_EQ(payload_target_size_bytes(index), size);
                CHECK_EQ(payload_group(index, groups - 1)->target_offset, limits[i]);
                /* The size as a smaller integer would hold it. */
                CHECK_EQ(parse_zeros(groups, -(int64_t)limits[i], &bad), -EBADMSG);
                CHECK_OK(carry_in_manifest(size, &image, &payload));
                CHECK_EQ(image, size);
                CHECK_EQ(payload, size);
                (void)snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/*", limits[i], size);
                CHECK_OK(http_parse_content_range(range, &first, &last));
                CHECK_EQ(first, limits[i]);
                CHECK_EQ(last, size);
                CHECK(verity_hash_area_size(size) > size / 4096 * 32);
        }
        CHECK_OK(carry_in_manifest(IMAGE_SIZE_MAX, &image, &payload));
        CHECK_EQ(image, IMAGE_SIZE_MAX);
        CHECK(carry_in_manifest(IMAGE_SIZE_MAX + 4096, &image, &payload) < 0);
}

TEST(negative_and_wrapping_lengths)
{
        static const uint8_t wraps[] = { 0xff, 0xff, 0xff, 0xff, 'x' };
        static const char *const ranges[] = { "bytes -1-2/3",
                "bytes 18446744073709551615-18446744073709551616/*", "bytes 5-4/9" };
        static const char state[] = "{\"format\":1,\"last_check\":-1,\"ledger\":[],\"history\":[]}";
        ApplySetup setup = { .target_offset = INT64_MAX, .target_size_bytes = 2, .payload_count = 1 }, taken;
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(4096);
        Frame frame = { .data = wraps, .size = sizeof(wraps) };
        const uint8_t *data;
        uint64_t first, last;
        size_t size;
        State *read = NULL;
        PayloadIndex *index = NULL;

        CHECK_EQ(frame_take_bytes(&frame, &data, &size), -EBADMSG);
        for (size_t i = 0; i < ELEMENTS(ranges); i++)
                CHECK_EQ(http_parse_content_range(ranges[i], &first, &last), -EBADMSG);
        CHECK_EQ(state_parse(state, sizeof(state) - 1, &read, NULL), -EBADMSG);
        CHECK_OK(apply_setup_put(&body, &setup));
        frame = (Frame){ .data = body.data, .size = body.size };
        CHECK_EQ(apply_setup_take(&frame, &taken), -EBADMSG);
        CHECK_EQ(parse_zeros(2, -2 * PAYLOAD_GROUP_MAX - 1, &index), -EBADMSG);
        CHECK_EQ(verity_hash_area_size(UINT64_MAX - 4095), 0);
        CHECK(carry_in_manifest(UINT64_MAX, &first, &last) < 0);
        CHECK(carry_in_manifest((uint64_t)INT64_MIN, &first, &last) < 0);
}

/* ---- Places ---- */

TEST(index_out_of_bounds)
{
        static const uint8_t ten[10] = "abcdefghij", beyond[] = { PAYLOAD_OP_COPY, 10, 4, 0 };
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        _cleanup_(payload_decoder_freep) PayloadDecoder *decoder = NULL;
        PayloadSketch sketch = { .group_count = 1, .source_size = { 5000 } };
        ApplySetup setup = { .payload_count = APPLY_PAYLOADS_MAX + 1 }, taken;
        _cleanup_buffer_ Buffer file = BUFFER_WITH_CAP(MIB), body = BUFFER_WITH_CAP(4096);
        PayloadIndex *none = NULL;
        const uint8_t *target;
        size_t index_size;
        Frame frame;

        /* A source after the last one. */
        sketch.groups[0] = (SketchGroup){ 10, 0, sizeof(beyond), ten, NULL, beyond };
        sketch_build(&sketch, &file, &index_size);
        PayloadExpectation expectation = expect_as_told(file.data, index_size);
        CHECK_EQ(payload_index_parse(file.data, index_size, &expectation, &none, NULL), -EBADMSG);
        /* A group after the last one. */
        CHECK_OK(parse_zeros(2, 0, &index));
        CHECK(!payload_group(index, 2));
        CHECK(!payload_group(index, SIZE_MAX));
        CHECK_OK(payload_decoder_new(index, NULL, 0, &decoder, NULL));
        CHECK_EQ(payload_group_decode(decoder, 2, ten, 0, &target, NULL), -EINVAL);
        CHECK_EQ(payload_group_decode(decoder, SIZE_MAX, ten, 0, &target, NULL), -EINVAL);
        /* A payload after the last one. */
        setup.payload_count = APPLY_PAYLOADS_MAX;
        CHECK_OK(apply_setup_put(&body, &setup));
        size_t at = 8 * (2 + 3 * PAYLOAD_SOURCES_MAX);
        CHECK_EQ(body.data[at], APPLY_PAYLOADS_MAX);
        body.data[at] = APPLY_PAYLOADS_MAX + 1;
        frame = (Frame){ .data = body.data, .size = body.size };
        CHECK_EQ(apply_setup_take(&frame, &taken), -EBADMSG);
}

static bool is_channel_name(const char *name)
{
        _cleanup_(config_freep) Config *config = NULL;
        char text[128];
        int size = snprintf(text, sizeof(text), "[Update]\nChannel=%s\n", name);
        return config_parse("it", text, (size_t)size, &config, NULL) >= 0;
}

/* No name that comes from outside leads to another folder, be it of a release, product, channel, payload or
 * role. */
TEST(path_traversal_in_names)
{
        static const char *const names[] = { "..", ".", "../x", "/etc/passwd", "a/../../b", "a/b", "" };
        char folder[] = "/tmp/bascule-names-XXXXXX", outside[64];

        CHECK(mkdtemp(folder));
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                _cleanup_free_ char *path = string_format("payloads/%s", names[i]);
                TufStore store = tuf_store_folder(folder);

                CHECK(!version_is_valid(names[i]));
                CHECK(!image_id_is_valid(names[i]));
                CHECK(!is_channel_name(names[i]));
                CHECK(!architecture_is_valid(names[i]));
                CHECK(!payload_path_is_valid(names[i]));
                CHECK(strcmp(names[i], "a/b") == 0 || !payload_path_is_valid(path));
                /* A role may be called so; its file may not. */
                CHECK_OK(store.save(store.data, *names[i] ? names[i] : "?", "x", 1, NULL));
                CHECK_OK(store.remove(store.data, *names[i] ? names[i] : "?", NULL));
        }
        (void)snprintf(outside, sizeof(outside), "%s/../x.json", folder);
        CHECK(access(outside, F_OK) < 0);
        CHECK_EQ(rmdir(folder), 0); /* nothing was left inside either */
}

/* ---- Trust ---- */

static char *corpus_file(const char *name)
{
        return string_format("%s/tests/corpus/tuf-metadata/%s", getenv("SOURCE_ROOT") ?: ".", name);
}

/* Whether the text is taken as a root that its own keys signed. */
static bool is_signed_root(const char *text)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *root = NULL;
        return tuf_metadata_parse("it", TUF_ROLE_ROOT, text, strlen(text), &root, NULL) >= 0 &&
               tuf_verify("it", root, &root->keys, &root->signers[TUF_ROLE_ROOT], NULL) >= 0;
}

/* The text with a piece put in before the first place where `before` stands. */
static char *with(const char *text, const char *before, const char *piece)
{
        const char *at = strstr(text, before);
        return at ? string_format("%.*s%s%s", (int)(at - text), text, piece, at) : NULL;
}

/* Whatever stands in a file is under its signature, or the file is refused. */
TEST(signature_over_part_of_the_bytes)
{
        static const struct {
                const char *before, *piece;
        } changes[] = {
                { "\"_type\"", "\"more\":1," },       /* a member that we do not know */
                { "\"_type\"", "\"version\":9," },    /* one of two readings */
                { "\"version\":", "\"version\":9," }, /* the other */
                { "\"signed\"", "\"signed\":{}," },   /* twice the whole */
                { "\"signatures\"", "\"signatures\":[]," },
        };
        _cleanup_free_ char *path = corpus_file("root.json"), *text = NULL, *twice = NULL;
        size_t size;

        CHECK_OK(file_read(AT_FDCWD, path, TUF_ROOT_MAX, &text, &size));
        CHECK(is_signed_root(text));
        for (size_t i = 0; i < ELEMENTS(changes); i++) {
                _cleanup_free_ char *changed = with(text, changes[i].before, changes[i].piece);
                CHECK(changed);
                if (is_signed_root(changed))
                        TEST_FAIL("taken with %s", changes[i].piece);
        }
        twice = string_format("%s%s", text, text);
        CHECK(twice && !is_signed_root(twice));
        for (size_t i = 0; i < strlen(text) - 1; i++) {
                _cleanup_free_ char *cut = strndup(text, i);
                CHECK(!is_signed_root(cut));
        }
}

TEST(missing_key_taken_for_no_check)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *root = NULL;
        _cleanup_free_ char *path = corpus_file("root.json"), *text = NULL;
        char folder[] = "/tmp/bascule-trust-XXXXXX";
        Host host = { .state_folder = folder, .trusted_root_path = (char *)"/nowhere/root.json" };
        const TufKeys no_keys = { 0 };
        TufSigners nobody = { 0 };
        TrustStore store;
        Error error = { 0 };
        size_t size;

        CHECK_OK(file_read(AT_FDCWD, path, TUF_ROOT_MAX, &text, &size));
        CHECK_OK(tuf_metadata_parse("it", TUF_ROLE_ROOT, text, size, &root, NULL));
        CHECK_EQ(tuf_verify("it", root, &no_keys, &root->signers[TUF_ROLE_ROOT], NULL), -EBADMSG);
        CHECK_EQ(tuf_verify("it", root, &root->keys, &nobody, NULL), -EBADMSG);
        nobody.threshold = 1;
        CHECK_EQ(tuf_verify("it", root, &root->keys, &nobody, NULL), -EBADMSG);
        CHECK(mkdtemp(folder));
        CHECK(trust_store_open(&store, &host, &error) < 0);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        trust_store_close(&store);
        CHECK_OK(tree_remove(AT_FDCWD, folder));
}

/* Opens the store of a host whose image holds the root `own`, and /var `saved`. */
static int open_with_roots(
                TrustStore *store, const char *folder, const char *own, const char *saved, Error *error)
{
        _cleanup_free_ char *image = path_join(folder, "image.json"), *kept = path_join(folder, "metadata");
        _cleanup_free_ char *root = path_join(folder, "metadata/root.json");
        Host host = { .state_folder = (char *)(uintptr_t)folder, .trusted_root_path = image };
        int r = directory_make(AT_FDCWD, kept, 0700);

        if (r >= 0)
                r = file_replace(AT_FDCWD, image, own, strlen(own), 0600);
        if (r >= 0)
                r = file_replace(AT_FDCWD, root, saved, strlen(saved), 0600);
        return r < 0 ? r : trust_store_open(store, &host, error);
}

/* That trust begins with `wanted`. */
static void check_beginning(const char *folder, const char *own, const char *saved, const char *wanted)
{
        _cleanup_buffer_ Buffer found = BUFFER_WITH_CAP(TUF_ROOT_MAX);
        TrustStore store = { 0 };
        TufStore files;

        CHECK_OK(open_with_roots(&store, folder, own, saved, NULL));
        files = trust_store_interface(&store);
        CHECK_OK(files.load(files.data, "root", &found, NULL));
        CHECK_EQ(found.size, strlen(wanted));
        CHECK(memcmp(found.data, wanted, found.size) == 0);
        trust_store_close(&store);
}

static void check_refusal(const char *folder, const char *own, const char *saved)
{
        TrustStore store = { 0 };
        Error error = { 0 };

        CHECK_EQ(open_with_roots(&store, folder, own, saved, &error), -EBADMSG);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK(strstr(error.message, "image.json is damaged"));
        trust_store_close(&store);
}

/* A later root that was damaged on /var is as good as none. One in the image is never made up for by what
 * lies on /var, for which nobody but its own keys would vouch. */
TEST(damaged_root_taken_for_the_newest)
{
        _cleanup_free_ char *path = corpus_file("root.json"), *text = NULL, *damaged = NULL;
        char folder[] = "/tmp/bascule-trust-XXXXXX";
        size_t size;

        CHECK_OK(file_read(AT_FDCWD, path, TUF_ROOT_MAX, &text, &size));
        damaged = with(text, "1,\"expires\"", "9");
        CHECK(damaged && mkdtemp(folder));
        check_beginning(folder, text, damaged, text);
        check_beginning(folder, text, "{}", text);
        check_refusal(folder, damaged, text);
        check_refusal(folder, "{}", text);
        check_refusal(folder, "", text);
        CHECK_OK(tree_remove(AT_FDCWD, folder));
}

/* ---- Amounts ---- */

/* Ten bytes are promised, and a frame of 64 MiB comes. */
TEST(decompression_bomb)
{
        static const uint8_t ten[10] = { 0 };
        _cleanup_free_ uint8_t *zeros = calloc(1, 64 * MIB);
        uint8_t blob[16 * KIB], list[8] = { PAYLOAD_OP_ZFULL, 10 };
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        _cleanup_(payload_decoder_freep) PayloadDecoder *decoder = NULL;
        _cleanup_buffer_ Buffer file = BUFFER_WITH_CAP(MIB), ops = BUFFER_WITH_CAP(64);
        PayloadSketch sketch = { .group_count = 1 };
        const uint8_t *target;
        size_t index_size, size;
        PayloadIndex *bad = NULL;
        json_t *json = NULL;
        char deep[5000];

        CHECK(zeros);
        size = ZSTD_compress(blob, sizeof(blob), zeros, 64 * MIB, 3);
        CHECK(!ZSTD_isError(size));
        CHECK_OK(buffer_append(&ops, list, 2));
        CHECK_OK(buffer_append_varint(&ops, size));
        CHECK_OK(buffer_append_varint(&ops, 0));
        sketch.groups[0] = (SketchGroup){ 10, size, ops.size, ten, blob, ops.data };
        sketch_build(&sketch, &file, &index_size);
        PayloadExpectation expectation = expect_as_told(file.data, index_size);
        CHECK_OK(payload_index_parse(file.data, index_size, &expectation, &index, NULL));
        CHECK_OK(payload_decoder_new(index, NULL, 0, &decoder, NULL));
        CHECK_EQ(payload_group_decode(decoder, 0, blob, size, &target, NULL), -EBADMSG);
        /* The op table, more of it than is said and more than there may be. */
        sketch.table_full = 60;
        file.size = 0;
        sketch_build(&sketch, &file, &index_size);
        expectation = expect_as_told(file.data, index_size);
        CHECK_EQ(payload_index_parse(file.data, index_size, &expectation, &bad, NULL), -EBADMSG);
        sketch.table_full = PAYLOAD_TABLE_MAX + 1;
        file.size = 0;
        sketch_build(&sketch, &file, &index_size);
        expectation = expect_as_told(file.data, index_size);
        CHECK_EQ(payload_index_parse(file.data, index_size, &expectation, &bad, NULL), -EBADMSG);
        /* JSON, as deep as it is long. */
        memset(deep, '[', sizeof(deep));
        CHECK(json_parse(deep, sizeof(deep), MIB, "it", &json, NULL) < 0);
}

TEST_MAIN
