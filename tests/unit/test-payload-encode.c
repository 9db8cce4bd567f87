/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "erofs-writer.h"
#include "file.h"
#include "json.h"
#include "ordered-work.h"
#include "payload-encode.h"
#include "payload-inspect.h"
#include "payload-match.h"
#include "test.h"

#include <fcntl.h>
#include <sys/mman.h>

/* Text-like bytes, a long run of zeros, noise, and the first part again. */
#define IMAGE_SIZE (3 * MIB + 12345)

static int image_make(void)
{
        _cleanup_free_ uint8_t *data = calloc(1, IMAGE_SIZE);
        int fd = memfd_create("image", MFD_CLOEXEC);
        uint32_t seed = 7;

        for (size_t i = 0; i < MIB; i++) {
                seed = seed * 1664525 + 1013904223;
                data[i] = (uint8_t)('a' + (seed >> 24) % 16);
                data[2 * MIB + i / 2] = (uint8_t)(seed >> 16);
        }
        memcpy(data + 2 * MIB + 600 * KIB, data, 400 * KIB);
        (void)pwrite_full(fd, data, IMAGE_SIZE, 0);
        return fd;
}

static char folder[] = "/tmp/test-payload-XXXXXX";

static int encode(int fd, uint64_t group_size, uint64_t history, unsigned threads, const char *name,
                PayloadReport *report, Error *error)
{
        _cleanup_(payload_plan_freep) PayloadPlan *plan = NULL;
        _cleanup_free_ char *path = path_join(folder, name);
        const PayloadInputs inputs = {
                .target_fd = fd, .sources = { { -1, 0, 0 }, { -1, 0, 0 }, { -1, 0, 0 } }, .level = 3
        };
        int r = payload_match_full(fd, IMAGE_SIZE, group_size, history, &plan, error);

        return r < 0 ? r : payload_encode(&inputs, plan, threads, path, NULL, NULL, report, error);
}

TEST(a_full_payload_makes_the_image_again)
{
        _cleanup_fd_ int image = image_make(), fd = -1, output = memfd_create("output", MFD_CLOEXEC);
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        PayloadSource none[PAYLOAD_SOURCES_MAX] = { { -1, 0, 0 }, { -1, 0, 0 }, { -1, 0, 0 }, { -1, 0, 0 } };
        _cleanup_free_ char *path = NULL;
        uint8_t sha256[SHA256_SIZE], wanted[SHA256_SIZE];
        PayloadExpectation expectation;
        PayloadReport report;

        CHECK(mkdtemp(folder));
        path = path_join(folder, "one");
        CHECK_OK(encode(image, 512 * KIB, MIB, 1, "one", &report, NULL));
        CHECK_EQ(report.target_bytes[PAYLOAD_OP_ZERO], MIB + 12345);
        CHECK(report.target_bytes[PAYLOAD_OP_RAW] >= 512 * KIB);
        CHECK(report.size_bytes < 1400 * KIB);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        CHECK_OK(payload_file_open(fd, &index, &expectation, NULL));
        CHECK_EQ(expectation.payload_size_bytes, report.size_bytes);
        CHECK_EQ(expectation.index_size_bytes, report.index_size_bytes);
        CHECK_MEM(expectation.index_sha256, report.index_sha256, SHA256_SIZE);
        CHECK_EQ(payload_index_header(index)->memory_bytes, report.memory_bytes);
        CHECK_OK(payload_file_apply(fd, index, none, output, NULL, NULL, NULL));
        CHECK_OK(sha256_of_fd(output, 0, IMAGE_SIZE, sha256));
        CHECK_OK(sha256_of_fd(image, 0, IMAGE_SIZE, wanted));
        CHECK_MEM(sha256, wanted, SHA256_SIZE);
        CHECK_OK(sha256_of_fd(fd, 0, report.size_bytes, sha256));
        CHECK_MEM(sha256, report.sha256, SHA256_SIZE);
}

/* Calls of few functions from many places: nothing comes again until each says where it leads. */
TEST(code_is_filtered_and_other_bytes_are_not)
{
        _cleanup_(payload_plan_freep) PayloadPlan *plan = NULL;
        _cleanup_free_ uint8_t *data = calloc(1, MIB);
        _cleanup_free_ char *path = path_join(folder, "code");
        _cleanup_fd_ int fd = memfd_create("code", MFD_CLOEXEC);
        const PayloadInputs inputs = { .target_fd = fd, .level = 3 };
        PayloadReport report;
        uint32_t seed = 7;

        CHECK(data && path);
        for (size_t at = 0; at + 8 <= MIB / 2; at += 8) {
                seed = seed * 1664525 + 1013904223;
                data[at] = 0xe8;
                write_le32(data + at + 1, (seed >> 26) * 4096 - (uint32_t)(at + 5));
        }
        for (size_t at = MIB / 2; at < MIB; at++)
                data[at] = (uint8_t) "0123456789abcdef"[at * at / 64 % 16];
        CHECK_OK(pwrite_full(fd, data, MIB, 0));
        CHECK_OK(payload_match_full(fd, MIB, MIB, 0, &plan, NULL));
        CHECK_OK(payload_encode(&inputs, plan, 1, path, NULL, NULL, &report, NULL));
        CHECK_EQ(report.target_bytes[PAYLOAD_OP_ZX86], MIB);
        /* Which of 64 functions is 6 bits of each call; as distances they take 18 and more. */
        CHECK(report.size_bytes < 110 * KIB);
}

TEST(threads_do_not_show_in_the_bytes)
{
        _cleanup_fd_ int image = image_make();
        PayloadReport one, many;

        CHECK_OK(encode(image, 64 * KIB, 128 * KIB, 1, "one", &one, NULL));
        CHECK_OK(encode(image, 64 * KIB, 128 * KIB, 7, "many", &many, NULL));
        CHECK_EQ(one.group_count, many.group_count);
        CHECK_MEM(one.sha256, many.sha256, SHA256_SIZE);
}

TEST(history_pays)
{
        _cleanup_fd_ int image = image_make();
        PayloadReport with, without;

        CHECK_OK(encode(image, 512 * KIB, 4 * MIB, 2, "with", &with, NULL));
        CHECK_OK(encode(image, 512 * KIB, 0, 2, "without", &without, NULL));
        CHECK(with.size_bytes + 100 * KIB < without.size_bytes);
        CHECK(with.memory_bytes > without.memory_bytes);
}

TEST(a_plan_beyond_the_memory_of_a_decoder_fails_and_leaves_nothing)
{
        _cleanup_fd_ int image = memfd_create("large", MFD_CLOEXEC);
        _cleanup_(payload_plan_freep) PayloadPlan *plan = payload_plan_new(64 * MIB);
        const PayloadInputs inputs = { .target_fd = image, .level = 1 };
        const PayloadRange range = { PAYLOAD_SOURCE_TARGET, 0, 32 * MIB };
        _cleanup_free_ char *path = path_join(folder, "large");
        PlanGroup *group;
        PayloadReport report;
        Error error = { 0 };

        CHECK_EQ(ftruncate(image, 64 * MIB), 0);
        CHECK_OK(payload_plan_add_group(plan, 32 * MIB, &group));
        CHECK_OK(plan_group_add_op(group, PAYLOAD_OP_ZERO, 32 * MIB, NULL, 0));
        CHECK_OK(payload_plan_add_group(plan, 32 * MIB, &group));
        CHECK_OK(plan_group_add_op(group, PAYLOAD_OP_ZFULL, 32 * MIB, &range, 1));
        CHECK_EQ(payload_encode(&inputs, plan, 1, path, NULL, NULL, &report, &error), -E2BIG);
        CHECK(access(path, F_OK) < 0);
}

TEST(a_wrong_plan_is_caught_by_the_proof)
{
        _cleanup_fd_ int image = image_make();
        _cleanup_(payload_plan_freep) PayloadPlan *plan = payload_plan_new(IMAGE_SIZE);
        const PayloadInputs inputs = { .target_fd = image, .level = 1 };
        _cleanup_free_ char *path = path_join(folder, "wrong");
        PayloadReport report;
        PlanGroup *group;

        CHECK_OK(payload_plan_add_group(plan, IMAGE_SIZE, &group));
        CHECK_OK(plan_group_add_op(group, PAYLOAD_OP_ZERO, IMAGE_SIZE, NULL, 0));
        CHECK_EQ(payload_encode(&inputs, plan, 1, path, NULL, NULL, &report, NULL), -EBADMSG);
        CHECK(access(path, F_OK) < 0);
}

/* The new image: the old one with a part moved, a part changed here and there, new bytes and zeros. */
static int changed_image(int old)
{
        _cleanup_free_ uint8_t *data = calloc(1, IMAGE_SIZE);
        int fd = memfd_create("changed", MFD_CLOEXEC);

        (void)pread_full(old, data, IMAGE_SIZE, 0);
        memmove(data + 1000 * KIB, data, 300 * KIB);
        memcpy(data + 2 * MIB + 100000, "changed", 7);
        memcpy(data + 2 * MIB + 200001, "changed", 7);
        memset(data + 400 * KIB, 0, 100 * KIB);
        (void)pwrite_full(fd, data, IMAGE_SIZE, 0);
        return fd;
}

TEST(a_delta_by_blocks_is_small_and_makes_the_image)
{
        _cleanup_fd_ int old = image_make(), image = changed_image(old), fd = -1;
        _cleanup_(payload_plan_freep) PayloadPlan *plan = NULL;
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        _cleanup_free_ char *path = path_join(folder, "delta");
        PayloadInputs inputs = { .target_fd = image,
                .level = 3,
                .sources = { { old, 0, IMAGE_SIZE }, { -1, 0, 0 }, { -1, 0, 0 } } };
        PayloadReport report;

        CHECK_OK(payload_match_blocks(image, IMAGE_SIZE, inputs.sources, 512 * KIB, &plan, NULL));
        CHECK_OK(payload_encode(&inputs, plan, 2, path, NULL, NULL, &report, NULL));
        CHECK(report.size_bytes < 10000);
        CHECK(report.target_bytes[PAYLOAD_OP_SAME] > MIB);
        CHECK(report.target_bytes[PAYLOAD_OP_COPY] >= 290 * KIB);
        CHECK(report.target_bytes[PAYLOAD_OP_ZERO] > 800 * KIB);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        CHECK_OK(payload_file_open(fd, &index, NULL, NULL));
        CHECK_EQ(payload_index_header(index)->source_size_bytes[PAYLOAD_SOURCE_OLD_ROOT], IMAGE_SIZE);
        CHECK_EQ(payload_sources(index), 1);
}

TEST(a_delta_may_come_from_several_sources_and_from_shorter_ones)
{
        _cleanup_fd_ int old = image_make(), image = changed_image(old);
        _cleanup_(payload_plan_freep) PayloadPlan *plan = NULL;
        _cleanup_free_ char *path = path_join(folder, "delta");
        /* The old root is too short, the old UKI has the whole, there is no new root. */
        PayloadInputs inputs = { .target_fd = image,
                .level = 3,
                .sources = { { old, 0, 5000 }, { old, 0, IMAGE_SIZE - 1 }, { -1, 0, 0 } } };
        PayloadReport report;

        CHECK_OK(payload_match_blocks(image, IMAGE_SIZE, inputs.sources, 0, &plan, NULL));
        CHECK_OK(payload_encode(&inputs, plan, 2, path, NULL, NULL, &report, NULL));
        CHECK(report.size_bytes < 10000);
        CHECK_EQ(report.target_bytes[PAYLOAD_OP_SAME], 4096);
}

/* A frame that does not pay is stored as it is, and then nothing reads the source that it was planned with.
 */
TEST(a_source_of_no_use_is_not_asked_for)
{
        _cleanup_(payload_plan_freep) PayloadPlan *plan = NULL;
        _cleanup_fd_ int old = memfd_create("old", MFD_CLOEXEC), new = memfd_create("new", MFD_CLOEXEC);
        _cleanup_free_ char *path = path_join(folder, "noise");
        PayloadInputs inputs = {
                .target_fd = new, .sources = { { old, 0, 64 * KIB }, { -1, 0, 0 }, { -1, 0, 0 } }, .level = 3
        };
        uint8_t noise[2][64 * KIB];
        PayloadReport report;
        uint64_t seed = 1;

        for (size_t i = 0; i < sizeof(noise); i++) {
                seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
                noise[i / sizeof(noise[0])][i % sizeof(noise[0])] = (uint8_t)(seed >> 56);
        }
        CHECK_OK(pwrite_full(old, noise[0], sizeof(noise[0]), 0));
        CHECK_OK(pwrite_full(new, noise[1], sizeof(noise[1]), 0));
        CHECK_OK(payload_match_blocks(new, 64 * KIB, inputs.sources, 0, &plan, NULL));
        CHECK_OK(payload_encode(&inputs, plan, 1, path, NULL, NULL, &report, NULL));
        CHECK_EQ(report.target_bytes[PAYLOAD_OP_RAW], 64 * KIB);
        inputs.sources[0].fd = -1;
        CHECK_OK(payload_prove(&inputs, path, NULL, NULL, &report, NULL));
}

TEST(plans_keep_their_groups_whole)
{
        _cleanup_(payload_plan_freep) PayloadPlan *plan = payload_plan_new(10000);
        PlanGroup *group;

        CHECK_EQ(payload_plan_add_group(plan, 0, &group), -EINVAL);
        CHECK_EQ(payload_plan_add_group(plan, 10001, &group), -EINVAL);
        CHECK_OK(payload_plan_add_group(plan, 5000, &group));
        CHECK_EQ(payload_plan_add_group(plan, 5000, &group), -EINVAL);
}

/* ---- deltas of images, file by file ---- */

static int make_noise(Tree *tree, const char *path, size_t size, unsigned seed)
{
        _cleanup_free_ uint8_t *data = malloc(size + 1);

        for (size_t i = 0; i < size; i++)
                data[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
        if (size > 5000 && strstr(path, ".so")) {
                memcpy(data, "\177ELF", 4);
                data[5000] ^= seed & 1;
        }
        return tree_make_file(tree, path, data, size, 0644, NULL, NULL);
}

/* Each release has a file more, which moves everything, a library with another version in its name, and a
 * file that moved. */
static int write_release(unsigned number)
{
        const ErofsOptions options = { .uuid = { 1 }, .epoch = 1700000000, .label = "test" };
        _cleanup_(tree_freep) Tree *tree = tree_new();
        _cleanup_erofs_plan_ ErofsPlan *plan = NULL;
        _cleanup_fd_ int fd = memfd_create("release", MFD_CLOEXEC);
        char name[64];
        int r = make_noise(tree, "etc/config", 3000, 1);

        for (unsigned i = 0; r >= 0 && i < number; i++) {
                (void)snprintf(name, sizeof(name), "bin/a%u", i);
                r = make_noise(tree, name, 700, 100 + i);
        }
        (void)snprintf(name, sizeof(name), "lib/liba.so.1.%u", number);
        if (r >= 0)
                r = make_noise(tree, name, 70000 + number, 2);
        (void)snprintf(name, sizeof(name), "lib/libb-%u.so", number);
        if (r >= 0)
                r = make_noise(tree, name, 8192, 4);
        if (r >= 0)
                r = make_noise(tree, number == 1 ? "share/data" : "share/more/other", 50000, 3);
        if (r >= 0)
                r = tree_set_times(tree, options.epoch);
        if (r >= 0)
                r = erofs_plan_new(tree, &options, &plan, NULL);
        if (r >= 0)
                r = erofs_write(plan, fd, NULL, NULL, NULL);
        return r < 0 ? r : TAKE_FD(fd);
}

/* What `inspect` says that literals cost. */
static json_int_t inspected_literals(const char *path)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        _cleanup_json_ json_t *object = NULL;
        const char *name;
        json_int_t bytes;
        json_t *row;
        size_t i;

        if (payload_inspect(fd, &object, NULL) < 0)
                return -1;
        json_array_foreach(json_object_get(object, "streams"), i, row)
        {
                if (json_unpack(row, "{s:s, s:I}", "stream", &name, "payload-bytes", &bytes) == 0 &&
                                strcmp(name, "literals") == 0)
                        return bytes;
        }
        return 0;
}

TEST(a_delta_between_images_costs_what_changed)
{
        _cleanup_(payload_plan_freep) PayloadPlan *plan = NULL;
        _cleanup_fd_ int old = write_release(1), new = write_release(3);
        _cleanup_free_ char *path = path_join(folder, "files");
        PayloadInputs inputs = {
                .target_fd = new, .sources = { { old, 0, 0 }, { -1, 0, 0 }, { -1, 0, 0 } }, .level = 3
        };
        PayloadReport report;
        uint64_t size;

        CHECK_OK(fd_size(old, &inputs.sources[0].size_bytes));
        CHECK_OK(fd_size(new, &size));
        CHECK_OK(payload_match_files(new, size, inputs.sources, 0, &plan, NULL));
        CHECK_OK(payload_encode(&inputs, plan, 1, path, NULL, NULL, &report, NULL));
        /* Two new files of 700 bytes, and little else. */
        CHECK(report.size_bytes < 3000);
        CHECK(report.target_bytes[PAYLOAD_OP_PATCH_ELF] >= 65536);
        CHECK_STR(report.dearest.list[0].name, "lib/liba.so.1.3");
        CHECK(report.dearest.list[0].payload_bytes < 100);
        CHECK(report.blob_bytes[PAYLOAD_OP_PATCH] > 1400);
        CHECK(report.memory_bytes < 30 * MIB);
        CHECK(inspected_literals(path) > 1400);
        CHECK_OK(payload_prove(&inputs, path, NULL, NULL, &report, NULL));
        inputs.sources[0].fd = new;
        CHECK(payload_prove(&inputs, path, NULL, NULL, &report, NULL) < 0);
        CHECK_OK(tree_remove(AT_FDCWD, folder));
}

TEST(what_is_no_image_is_not_compared_by_files)
{
        _cleanup_(payload_plan_freep) PayloadPlan *plan = NULL;
        _cleanup_fd_ int old = image_make(), new = write_release(1);
        PayloadSource sources[PAYLOAD_SOURCE_TARGET] = { { old, 0, IMAGE_SIZE }, { -1, 0, 0 },
                { -1, 0, 0 } };
        uint64_t size;

        CHECK_OK(fd_size(new, &size));
        CHECK_EQ(payload_match_files(new, size, sources, 0, &plan, NULL), -EBADMSG);
        sources[0] = (PayloadSource){ new, 0, size };
        CHECK_EQ(payload_match_files(old, IMAGE_SIZE, sources, 0, &plan, NULL), -EBADMSG);
}

TEST_MAIN
