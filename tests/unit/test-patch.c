/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-writer.h"
#include "suffix-match.h"
#include "test.h"

#define OLD_SIZE 100000

static uint8_t old_bytes[OLD_SIZE];

static int read_old(void *data, uint64_t offset, void *ret, size_t size, Error *error)
{
        if (offset > OLD_SIZE || size > OLD_SIZE - offset)
                abort();
        memcpy(ret, old_bytes + offset, size);
        return 0;
}

static const PatchView old_file = { read_old, NULL, OLD_SIZE };

static void fill(uint8_t *data, size_t size, uint32_t seed)
{
        for (size_t i = 0; i < size; i++) {
                seed = seed * 1664525 + 1013904223;
                data[i] = (uint8_t)(seed >> 24);
        }
}

/* A file of 60000 bytes: 100 new, 40000 old ones with a few changed, 900 new, 19000 old ones. */
#define NEW_SIZE 60000
static const PatchSegment runs[] = { { 5000, 100, 40000 }, { 1, 41000, 19000 } };

static void make_new(uint8_t *data)
{
        fill(old_bytes, OLD_SIZE, 1);
        fill(data, NEW_SIZE, 2);
        for (size_t i = 0; i < ELEMENTS(runs); i++)
                memcpy(data + runs[i].new_offset, old_bytes + runs[i].old_offset, runs[i].size_bytes);
        for (size_t i = 0; i < NEW_SIZE; i += 777)
                data[i] ^= 0x55;
}

static int write_patch(PatchWriter *writer, const uint8_t *data, PatchPlan *ret)
{
        const PatchInput input = { .old_file = &old_file,
                .new_data = data,
                .new_size = NEW_SIZE,
                .segments = runs,
                .segment_count = ELEMENTS(runs) };

        return patch_writer_add(writer, &input, ret, NULL);
}

/* Reads a patch in pieces of that many bytes. */
static int read_patch(PatchGroup *group, const PatchPlan *plan, uint8_t *ret, size_t piece, Error *error)
{
        _cleanup_(patch_reader_freep) PatchReader *reader = NULL;
        int r = patch_reader_new(group, &old_file, plan, &reader, error);

        for (size_t at = 0; r >= 0 && at < plan->new_size_bytes; at += piece)
                r = patch_reader_read(reader, ret + at, MIN_OF(piece, plan->new_size_bytes - at), error);
        return r;
}

typedef struct Patched {
        uint8_t data[NEW_SIZE];
        Buffer blob;
        PatchPlan plan;
} Patched;

static void patched_done(Patched *patched)
{
        buffer_done(&patched->blob);
}

static int patched_make(Patched *patched)
{
        _cleanup_(patch_writer_freep) PatchWriter *writer = patch_writer_new();
        StreamSizes sizes;

        patched->blob = BUFFER_WITH_CAP(MIB);
        make_new(patched->data);
        if (write_patch(writer, patched->data, &patched->plan) < 0)
                return -EINVAL;
        return patch_writer_finish(writer, &patched->blob, &sizes, NULL);
}

TEST(a_patch_is_read_back_in_pieces_of_any_size)
{
        _cleanup_(patched_done) Patched patched;
        static uint8_t read_back[NEW_SIZE];
        const size_t pieces[] = { 1, 7, 4096, 40000, NEW_SIZE };

        CHECK_OK(patched_make(&patched));
        CHECK(patched.blob.size < 1500);
        for (size_t i = 0; i < ELEMENTS(pieces); i++) {
                _cleanup_(patch_group_freep) PatchGroup *group = NULL;

                memset(read_back, 0, sizeof(read_back));
                CHECK_OK(patch_group_new(patched.blob.data, patched.blob.size, &group, NULL));
                CHECK_OK(read_patch(group, &patched.plan, read_back, pieces[i], NULL));
                CHECK_MEM(read_back, patched.data, NEW_SIZE);
                CHECK_OK(patch_group_finish(group, NULL));
        }
}

TEST(patches_of_a_group_share_its_streams)
{
        _cleanup_(patch_writer_freep) PatchWriter *writer = patch_writer_new();
        _cleanup_(patch_group_freep) PatchGroup *group = NULL;
        _cleanup_buffer_ Buffer blob = BUFFER_WITH_CAP(MIB);
        static uint8_t data[NEW_SIZE], read_back[NEW_SIZE];
        PatchPlan plans[10];
        StreamSizes sizes;

        make_new(data);
        CHECK(!patch_writer_is_used(writer));
        for (size_t i = 0; i < ELEMENTS(plans); i++)
                CHECK_OK(write_patch(writer, data, &plans[i]));
        CHECK(patch_writer_is_used(writer));
        CHECK_OK(patch_writer_finish(writer, &blob, &sizes, NULL));
        CHECK(!patch_writer_is_used(writer));
        CHECK_EQ(sizes.full[PAYLOAD_STREAM_LITERALS], 10 * 1000);
        CHECK(sizes.stored[PAYLOAD_STREAM_LITERALS] < 1300);
        CHECK_OK(patch_group_new(blob.data, blob.size, &group, NULL));
        for (size_t i = 0; i < ELEMENTS(plans); i++) {
                memset(read_back, 0, sizeof(read_back));
                CHECK_OK(read_patch(group, &plans[i], read_back, 5000, NULL));
                CHECK_MEM(read_back, data, NEW_SIZE);
        }
        CHECK_OK(patch_group_finish(group, NULL));
}

TEST(streams_that_are_cut_or_changed_do_no_harm)
{
        _cleanup_(patched_done) Patched patched;
        static uint8_t read_back[NEW_SIZE];

        CHECK_OK(patched_make(&patched));
        for (size_t size = 0; size < patched.blob.size; size += 3) {
                _cleanup_(patch_group_freep) PatchGroup *group = NULL;

                CHECK_EQ(patch_group_new(patched.blob.data, size, &group, NULL), -EBADMSG);
        }
        for (size_t bit = 0; bit < 8 * patched.blob.size; bit += 5) {
                _cleanup_(patch_group_freep) PatchGroup *group = NULL;

                patched.blob.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
                if (patch_group_new(patched.blob.data, patched.blob.size, &group, NULL) >= 0)
                        (void)read_patch(group, &patched.plan, read_back, 4096, NULL);
                patched.blob.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

TEST(what_a_patch_must_not_say)
{
        _cleanup_(patched_done) Patched patched;
        static uint8_t read_back[NEW_SIZE + 1];
        PatchPlan plan;

        CHECK_OK(patched_make(&patched));
        for (size_t i = 0; i < 3; i++) {
                _cleanup_(patch_group_freep) PatchGroup *group = NULL;

                plan = patched.plan;
                plan.segment_count = i == 0 ? 1 : i == 1 ? 3 : PATCH_SEGMENTS_MAX + 1;
                CHECK_OK(patch_group_new(patched.blob.data, patched.blob.size, &group, NULL));
                /* Fewer runs: literals run out. More: the stream of runs does. */
                CHECK_EQ(read_patch(group, &plan, read_back, 4096, NULL), -EBADMSG);
        }
        for (size_t i = 0; i < 2; i++) {
                _cleanup_(patch_group_freep) PatchGroup *group = NULL;

                /* One byte more than there are literals; one byte less leaves some over. */
                plan = patched.plan;
                plan.new_size_bytes += i == 0 ? 1 : (uint64_t)-1;
                CHECK_OK(patch_group_new(patched.blob.data, patched.blob.size, &group, NULL));
                CHECK_EQ(read_patch(group, &plan, read_back, 4096, NULL), -EBADMSG);
        }
}

TEST(streams_are_refused_for_more_memory_than_a_group_may_use)
{
        /* One stream with a window of 1 GiB. */
        static const uint8_t bytes[] = { 1, PAYLOAD_STREAM_LITERALS, PAYLOAD_CODING_LZMA, 0x5d, 0, 0, 0,
                0x40, 4, 0, 0, 0, 0 };
        _cleanup_(patch_group_freep) PatchGroup *group = NULL;
        Error error = { 0 };

        CHECK_EQ(patch_group_new(bytes, sizeof(bytes), &group, &error), -EBADMSG);
        CHECK(strstr(error.message, "memory"));
}

TEST(runs_outside_of_the_old_file_are_refused)
{
        /* Three plain streams: gap, length, distance; each of them once too much. */
        static const struct {
                uint8_t bytes[24];
                size_t size;
        } cases[] = {
                { { 3, 0, 0, 1, 5, 0, 1, 6, 0, 1, 0, 10, 1 }, 13 },  /* begins before the old file */
                { { 3, 0, 0, 1, 5, 0, 1, 6, 0, 1, 0, 0, 0 }, 13 },   /* holds nothing */
                { { 3, 0, 0, 1, 5, 0, 1, 6, 0, 1, 90, 11, 0 }, 13 }, /* ends after the new file */
                { { 3, 0, 0, 1, 5, 0, 1, 6, 0, 3, 0, 100, 0x84, 0x9a, 0x0c },
                                15 }, /* ends after the old file */
                { { 3, 0, 0, 1, 5, 0, 1, 6, 0, 10, 1, 10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                  0xff, 1 },
                                22 },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_(patch_group_freep) PatchGroup *group = NULL;
                const PatchPlan plan = { .new_size_bytes = 100, .segment_count = 1 };
                uint8_t ret[100];
                Error error = { 0 };

                CHECK_OK(patch_group_new(cases[i].bytes, cases[i].size, &group, NULL));
                CHECK_EQ(read_patch(group, &plan, ret, 100, &error), -EBADMSG);
                CHECK(strstr(error.message, "a run"));
        }
}

/* ---- finding runs ---- */

static uint64_t matched_bytes(const SegmentList *segments, size_t old_size, size_t new_size)
{
        uint64_t at = 0, sum = 0;

        for (size_t i = 0; i < segments->count; i++) {
                const PatchSegment *segment = &segments->list[i];

                if (segment->new_offset < at || segment->old_offset + segment->size_bytes > old_size ||
                                segment->new_offset + segment->size_bytes > new_size)
                        abort();
                at = segment->new_offset + segment->size_bytes;
                sum += segment->size_bytes;
        }
        return sum;
}

TEST(runs_are_found_where_they_are)
{
        _cleanup_(segment_list_done) SegmentList found = { 0 };
        static uint8_t data[NEW_SIZE];

        make_new(data);
        CHECK_OK(suffix_match(old_bytes, OLD_SIZE, data, NEW_SIZE, &found));
        CHECK_EQ(found.count, ELEMENTS(runs));
        for (size_t i = 0; i < ELEMENTS(runs); i++) {
                CHECK_EQ(found.list[i].old_offset - found.list[i].new_offset,
                                runs[i].old_offset - runs[i].new_offset);
                CHECK(found.list[i].size_bytes + 2 >= runs[i].size_bytes);
        }
        segment_list_done(&found);
        CHECK_OK(suffix_match(old_bytes, OLD_SIZE, old_bytes, OLD_SIZE, &found));
        CHECK_EQ(found.count, 1);
        CHECK_EQ(found.list[0].size_bytes, OLD_SIZE);
}

TEST(nothing_comes_of_nothing)
{
        _cleanup_(segment_list_done) SegmentList found = { 0 };

        CHECK_OK(suffix_match(old_bytes, 0, old_bytes, 100, &found));
        CHECK_OK(suffix_match(old_bytes, 100, old_bytes, 0, &found));
        CHECK_EQ(found.count, 0);
        CHECK_OK(suffix_match((const uint8_t *)"a", 1, (const uint8_t *)"bcd", 3, &found));
        CHECK_EQ(found.count, 0);
}

/* Each of these makes a plain suffix search quadratic. */
TEST(repetitive_files_are_matched_in_time)
{
        const size_t size = 4 * MIB;
        _cleanup_free_ uint8_t *old_data = calloc(1, size), *new_data = calloc(1, size);

        for (unsigned kind = 0; kind < 3; kind++) {
                _cleanup_(segment_list_done) SegmentList found = { 0 };

                if (kind == 1)
                        for (size_t i = 0; i < size; i++)
                                old_data[i] = new_data[i] = (uint8_t)(i % 4096 * 131);
                for (size_t i = 0; i < size; i += kind == 2 ? 7 : 65536)
                        new_data[i] ^= 1;
                CHECK_OK(suffix_match(old_data, size, new_data, size, &found));
                CHECK(matched_bytes(&found, size, size) > size / 2);
        }
}

TEST_MAIN
