/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-fixture.h"
#include "test.h"

/* Two groups: a block of zeros, then ten bytes of the blob. */
static const uint8_t ops_zero[] = { PAYLOAD_OP_ZERO, 0x80, 0x20 };
static const uint8_t ops_raw[] = { PAYLOAD_OP_RAW, 10, 10 };
static const uint8_t ten[10] = "abcdefghij";
static const uint8_t zeros[PAYLOAD_BLOCK_SIZE];

static PayloadSketch good_sketch(void)
{
        return (PayloadSketch){
                .groups = { { .target_size = sizeof(zeros),
                                            .target = zeros,
                                            .ops = ops_zero,
                                            .ops_size = sizeof(ops_zero) },
                                { .target_size = sizeof(ten),
                                                .target = ten,
                                                .blob = ten,
                                                .blob_size = sizeof(ten),
                                                .ops = ops_raw,
                                                .ops_size = sizeof(ops_raw) } },
                .group_count = 2,
        };
}

static int parse_sketch(const PayloadSketch *sketch, PayloadIndex **ret, Error *error)
{
        _cleanup_buffer_ Buffer file = BUFFER_WITH_CAP(64 * MIB);
        PayloadExpectation expectation;
        size_t index_size;

        sketch_build(sketch, &file, &index_size);
        expectation = expect_as_told(file.data, index_size);
        return payload_index_parse(file.data, index_size, &expectation, ret, error);
}

/* Whether the sketch is refused with -EBADMSG and ERROR_CORRUPT, and for that reason. */
static bool refused_for(const PayloadSketch *sketch, const char *reason)
{
        PayloadIndex *index = NULL;
        Error error = { 0 };

        if (parse_sketch(sketch, &index, &error) == -EBADMSG && error.code == ERROR_CORRUPT &&
                        strstr(error.message, reason))
                return true;
        printf("# wanted \"%s\", got \"%s\"\n", reason, error.message);
        payload_index_free(index);
        return false;
}

TEST(a_good_index_says_where_groups_are)
{
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        PayloadSketch sketch = good_sketch();

        CHECK_OK(parse_sketch(&sketch, &index, NULL));
        CHECK_EQ(payload_group_count(index), 2);
        CHECK_EQ(payload_target_size_bytes(index), PAYLOAD_BLOCK_SIZE + 10);
        CHECK_EQ(payload_group(index, 1)->target_offset, PAYLOAD_BLOCK_SIZE);
        CHECK_EQ(payload_group(index, 1)->blob_size_bytes, 10);
        CHECK_EQ(payload_group(index, 1)->blob_offset, payload_index_header(index)->index_size_bytes);
        CHECK(!payload_group(index, 2));
        CHECK_EQ(payload_sources(index), 0);
}

TEST(rules_of_the_header)
{
        PayloadSketch sketch;
        PayloadIndex *index = NULL;
        Error error = { 0 };

        sketch = good_sketch();
        sketch.reserved = 1;
        CHECK(refused_for(&sketch, "reserved bytes"));
        sketch = good_sketch();
        sketch.group_count = 0;
        CHECK(refused_for(&sketch, "number of groups"));
        sketch = good_sketch();
        sketch.table_full = PAYLOAD_TABLE_MAX + 1;
        CHECK(refused_for(&sketch, "longer than allowed"));
        sketch = good_sketch();
        sketch.table_full = 1000;
        CHECK(refused_for(&sketch, "does not unpack"));
        sketch.table_full = 140;
        CHECK(refused_for(&sketch, "does not unpack"));
        sketch = good_sketch();
        sketch.trailing_frame = true;
        CHECK(refused_for(&sketch, "does not unpack"));
        sketch = good_sketch();
        sketch.target_excess = 1;
        CHECK(refused_for(&sketch, "do not make up the target"));
        sketch = good_sketch();
        sketch.size_excess = 1;
        CHECK(refused_for(&sketch, "do not make up the payload"));
        sketch.size_excess = -100000;
        CHECK(refused_for(&sketch, "do not make up the payload"));
        sketch = good_sketch();
        sketch.memory = 1000;
        CHECK(refused_for(&sketch, "less memory"));
        sketch = good_sketch();
        sketch.source_size[PAYLOAD_SOURCE_OLD_UKI] = 10;
        CHECK(refused_for(&sketch, "no op reads"));
        sketch = good_sketch();
        sketch.memory = PAYLOAD_MEMORY_MAX + 1;
        CHECK_EQ(parse_sketch(&sketch, &index, &error), -E2BIG);
        CHECK_EQ(error.code, ERROR_INCOMPATIBLE);
}

TEST(a_newer_format_an_unknown_op_and_a_needed_section_are_incompatible)
{
        static const uint8_t unknown[] = { 63, 10 }, reserved[] = { PAYLOAD_OP_ZX86 + 1, 10, 10 };
        static const uint8_t needed[] = { 2, 1, 'x' }, other[] = { 3, 1, 'x' };
        PayloadSketch sketch = good_sketch();
        PayloadIndex *index = NULL;
        Error error = { 0 };

        sketch.format = 2;
        CHECK_EQ(parse_sketch(&sketch, &index, &error), -EPROTONOSUPPORT);
        CHECK_EQ(error.code, ERROR_INCOMPATIBLE);
        sketch = good_sketch();
        sketch.groups[1].ops = unknown;
        sketch.groups[1].ops_size = sizeof(unknown);
        CHECK_EQ(parse_sketch(&sketch, &index, NULL), -EPROTONOSUPPORT);
        sketch.groups[1].ops = reserved;
        sketch.groups[1].ops_size = sizeof(reserved);
        CHECK_EQ(parse_sketch(&sketch, &index, NULL), -EPROTONOSUPPORT);
        sketch = good_sketch();
        sketch.sections = needed;
        sketch.sections_size = sizeof(needed);
        CHECK_EQ(parse_sketch(&sketch, &index, NULL), -EPROTONOSUPPORT);
        sketch.sections = other;
        CHECK_OK(parse_sketch(&sketch, &index, NULL));
        payload_index_free(index);
}

TEST(rules_of_groups)
{
        static const uint8_t half_section[] = { 3, 9, 'x' };
        PayloadSketch sketch = good_sketch();

        sketch.groups[0].target_size = 0;
        CHECK(refused_for(&sketch, "empty or too large"));
        sketch.groups[0].target = NULL;
        sketch.groups[0].target_size = PAYLOAD_GROUP_MAX + PAYLOAD_BLOCK_SIZE;
        CHECK(refused_for(&sketch, "empty or too large"));
        sketch.groups[0].target_size = PAYLOAD_BLOCK_SIZE + 1;
        CHECK(refused_for(&sketch, "not whole blocks"));
        sketch = good_sketch();
        sketch.groups[0].ops_size = 0;
        CHECK(refused_for(&sketch, "list of ops"));
        sketch.groups[0].ops_size = UINT64_MAX;
        sketch.groups[0].ops = NULL;
        CHECK(refused_for(&sketch, "list of ops"));
        sketch = good_sketch();
        sketch.groups[1].blob_size = UINT64_MAX - 10;
        sketch.groups[1].blob = NULL;
        sketch.size_excess = 1000;
        CHECK(refused_for(&sketch, "overflow"));
        sketch = good_sketch();
        sketch.table_cut = 5;
        CHECK(refused_for(&sketch, "ends inside the ops"));
        sketch.groups[0].target_size =
                        PAYLOAD_GROUP_MAX; /* longer to spell, so that the hashes are not what ends */
        sketch.groups[0].target = NULL;
        sketch.table_cut = 7;
        CHECK(refused_for(&sketch, "ends inside the hashes"));
        sketch.table_cut = 120;
        CHECK(refused_for(&sketch, "more groups than"));
        sketch = good_sketch();
        sketch.sections = half_section;
        sketch.sections_size = sizeof(half_section);
        CHECK(refused_for(&sketch, "section is malformed"));
}

/* The second group with these ops, its blob and the old root's size as they are. */
static PayloadSketch with_ops(const uint8_t *ops, size_t size)
{
        PayloadSketch sketch = good_sketch();

        sketch.groups[1].ops = ops;
        sketch.groups[1].ops_size = size;
        sketch.source_size[PAYLOAD_SOURCE_OLD_ROOT] = 5000;
        return sketch;
}

#define CHECK_OPS(reason, ...)                                                                              \
        do {                                                                                                \
                static const uint8_t _ops[] = { __VA_ARGS__ };                                              \
                PayloadSketch _sketch = with_ops(_ops, sizeof(_ops));                                       \
                CHECK(refused_for(&_sketch, reason));                                                       \
        } while (0)

TEST(rules_of_ops)
{
        CHECK_OPS("target size is malformed", PAYLOAD_OP_RAW);
        CHECK_OPS("target size is malformed", PAYLOAD_OP_RAW, 0, 0);
        CHECK_OPS("target size is malformed", PAYLOAD_OP_RAW, 0x8a, 0x00, 10); /* 10, spelt long */
        CHECK_OPS("target size is malformed", PAYLOAD_OP_RAW, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                        0xff, 2);
        CHECK_OPS("blob size is malformed", PAYLOAD_OP_RAW, 10, 0);
        CHECK_OPS("blob of another size", PAYLOAD_OP_RAW, 10, 9);
        CHECK_OPS("past the end of its group", PAYLOAD_OP_RAW, 11, 11);
        CHECK_OPS("past the end of its group's blob", PAYLOAD_OP_ZFULL, 10, 11, 0);
        CHECK_OPS("do not fill", PAYLOAD_OP_RAW, 9, 9);
        CHECK_OPS("do not use up", PAYLOAD_OP_ZERO, 10);
        CHECK_OPS("source is malformed", PAYLOAD_OP_COPY, 10, 4, 0);
        CHECK_OPS("range offset is malformed", PAYLOAD_OP_COPY, 10, 0);
        CHECK_OPS("range offset is malformed", PAYLOAD_OP_COPY, 10, 0, 0x83,
                        0x40); /* -4098: before the start */
        CHECK_OPS("range end is malformed", PAYLOAD_OP_ZFULL, 10, 10, 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0xff,
                        0xff, 0xff, 0xff, 0xff, 1);
        CHECK_OPS("range size is malformed", PAYLOAD_OP_ZFULL, 10, 10, 1, 0, 0, 0);
        CHECK_OPS("number of ranges", PAYLOAD_OP_ZFULL, 10, 10, 0x81, 0x04);
        CHECK_OPS("past the end of its source", PAYLOAD_OP_COPY, 10, 0, 0xfe, 0x0d); /* 4096 + 895 + 10 */
        CHECK_OPS("past the end of its source", PAYLOAD_OP_COPY, 10, 1, 0);      /* that source is empty */
        CHECK_OPS("target that is not written yet", PAYLOAD_OP_COPY, 10, 3, 0);  /* itself */
        CHECK_OPS("target that is not written yet", PAYLOAD_OP_COPY, 10, 3, 17); /* one byte of itself */
}

TEST(a_range_up_to_the_end_of_its_source_is_accepted)
{
        static const uint8_t copy[] = { PAYLOAD_OP_COPY, 10, 0, 0xfc, 0x0d }; /* 4096 + 894 */
        static const uint8_t written[] = { PAYLOAD_OP_COPY, 10, 3, 19 };      /* the ten bytes before it */
        static const uint8_t same[] = { PAYLOAD_OP_SAME, 10 };
        const uint8_t *lists[] = { copy, written, same };
        const size_t sizes[] = { sizeof(copy), sizeof(written), sizeof(same) };

        for (size_t i = 0; i < ELEMENTS(lists); i++) {
                _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
                PayloadSketch sketch = with_ops(lists[i], sizes[i]);

                sketch.groups[1].blob_size = 0;
                sketch.groups[1].blob = NULL;
                sketch.source_size[PAYLOAD_SOURCE_OLD_ROOT] = i == 1 ? 0 : 5000;
                CHECK_OK(parse_sketch(&sketch, &index, NULL));
                CHECK_EQ(payload_group_sources(index, 0), 0);
                CHECK_EQ(payload_group_sources(index, 1), i == 1 ? 1 << PAYLOAD_SOURCE_TARGET : 1);
        }
}

TEST(a_prefix_counts_as_memory)
{
        static const uint8_t list[] = { PAYLOAD_OP_ZFULL, 10, 10, 2, 0, 0x80, 0x40, 0x88, 0x27, 0, 0x8f,
                0x4e, 0x88, 0x27 };
        PayloadSketch sketch = good_sketch();

        sketch.groups[1].ops = list;
        sketch.groups[1].ops_size = sizeof(list);
        sketch.source_size[PAYLOAD_SOURCE_OLD_ROOT] = 20000;
        sketch.memory = PAYLOAD_MEMORY_BASE + 2 * PAYLOAD_MEMORY_PER_GROUP + PAYLOAD_BLOCK_SIZE + 10 + 10000;
        CHECK(refused_for(&sketch, "less memory"));
}

TEST(what_the_manifest_says_must_hold)
{
        _cleanup_buffer_ Buffer file = BUFFER_WITH_CAP(MIB);
        PayloadSketch sketch = good_sketch();
        PayloadExpectation expectation;
        PayloadIndex *index = NULL;
        Error error = { 0 };
        size_t size;

        sketch_build(&sketch, &file, &size);
        expectation = expect_as_told(file.data, size);
        expectation.target_size_bytes++;
        CHECK_EQ(payload_index_parse(file.data, size, &expectation, &index, NULL), -EBADMSG);
        expectation = expect_as_told(file.data, size);
        expectation.payload_size_bytes++;
        CHECK_EQ(payload_index_parse(file.data, size, &expectation, &index, NULL), -EBADMSG);
        expectation = expect_as_told(file.data, size);
        expectation.memory_max_bytes = 39 * MIB;
        CHECK_EQ(payload_index_parse(file.data, size, &expectation, &index, NULL), -E2BIG);
        expectation = expect_as_told(file.data, size);
        expectation.index_sha256[5] ^= 1;
        CHECK_EQ(payload_index_parse(file.data, size, &expectation, &index, &error), -EBADMSG);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK_EQ(payload_index_parse(file.data, size - 1, &expectation, &index, NULL), -EBADMSG);
}

/* Every byte of the index matters, and none can make the parser do more than refuse. */
TEST(cut_and_flipped_anywhere_it_is_refused_or_sound)
{
        _cleanup_buffer_ Buffer file = BUFFER_WITH_CAP(MIB);
        PayloadSketch sketch = good_sketch();
        size_t size;

        sketch_build(&sketch, &file, &size);
        for (size_t cut = 0; cut < size; cut++) {
                _cleanup_free_ uint8_t *copy = malloc(cut + 1);
                PayloadExpectation expectation;
                PayloadIndex *index = NULL;

                memcpy(copy, file.data, cut);
                expectation = expect_as_told(copy, cut);
                CHECK_EQ(payload_index_parse(copy, cut, &expectation, &index, NULL), -EBADMSG);
        }
        for (size_t bit = 0; bit < size * 8; bit++) {
                PayloadExpectation expectation;
                PayloadIndex *index = NULL;

                file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
                expectation = expect_as_told(file.data, size);
                (void)payload_index_parse(file.data, size, &expectation, &index, NULL);
                payload_index_free(index);
                file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

/* A patch of a program that fills a hole before it, and its streams: none. */
TEST(holes_are_filled_once_by_what_fits)
{
        static const struct {
                uint8_t ops[24];
                size_t size;
                const char *reason;
        } cases[] = {
                { { PAYLOAD_OP_HOLE, 5, PAYLOAD_OP_PATCH_ELF, 5, 0, 0, 5, 1, 1, 0, 0, 9 }, 12, NULL },
                { { PAYLOAD_OP_HOLE, 5, PAYLOAD_OP_PATCH_ELF, 5, 0, 0, 4, 1, 1, 0, 0, 9 }, 12,
                                "fills a hole that is not there" },
                { { PAYLOAD_OP_HOLE, 5, PAYLOAD_OP_PATCH_ELF, 5, 0, 0, 5, 2, 1, 0, 0, 9 }, 12,
                                "fills a hole that is not there" },
                { { PAYLOAD_OP_HOLE, 5, PAYLOAD_OP_PATCH_ELF, 5, 0, 0, 5, 0, 1, 0, 0, 9 }, 12,
                                "no op fills a hole" },
                { { PAYLOAD_OP_HOLE, 4, PAYLOAD_OP_PATCH_ELF, 3, 0, 0, 4, 1, 1, 0, 0, 9,
                                  PAYLOAD_OP_PATCH_ELF, 3, 0, 0, 4, 1, 1, 0, 0, 9 },
                                22, "fills a hole that is not there" },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                PayloadSketch sketch = good_sketch();

                sketch.source_size[PAYLOAD_SOURCE_OLD_ROOT] = 5000;
                sketch.groups[1].ops = cases[i].ops;
                sketch.groups[1].ops_size = cases[i].size;
                if (cases[i].reason)
                        CHECK(refused_for(&sketch, cases[i].reason));
                else {
                        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;

                        CHECK_OK(parse_sketch(&sketch, &index, NULL));
                        CHECK_EQ(payload_group_sources(index, 1), 1 << PAYLOAD_SOURCE_OLD_ROOT);
                }
        }
}

TEST(patches_need_streams_and_streams_need_patches)
{
        static const uint8_t whole[] = { PAYLOAD_OP_PATCH, 10, 0, 0 };
        static const uint8_t runs[] = { PAYLOAD_OP_PATCH, 10, 0x81, 0x80, 0x20, 0 };
        PayloadSketch sketch = good_sketch();
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;

        /* Without ranges it reads all that the payload names. */
        sketch.source_size[PAYLOAD_SOURCE_OLD_ROOT] = sketch.source_size[PAYLOAD_SOURCE_OLD_UKI] = 1;
        sketch.groups[1].ops = whole;
        sketch.groups[1].ops_size = sizeof(whole);
        CHECK_OK(parse_sketch(&sketch, &index, NULL));
        CHECK_EQ(payload_sources(index), 1 << PAYLOAD_SOURCE_OLD_ROOT | 1 << PAYLOAD_SOURCE_OLD_UKI);
        sketch.groups[1].blob = NULL;
        sketch.groups[1].blob_size = 0;
        CHECK(refused_for(&sketch, "a group has no streams"));
        sketch.groups[1].ops = runs;
        sketch.groups[1].ops_size = sizeof(runs);
        CHECK(refused_for(&sketch, "too many runs"));
}

TEST_MAIN
