/* SPDX-License-Identifier: Apache-2.0 */
#include "recomp-sample.h"
#include "test.h"

#define MEMORY_MAX (60 * MIB)

/* Long enough for a second LZ4 block (the first sample only, which takes its time), and for pages inside
 * one. */
#define LONG_SIZE ((size_t)(8 * MIB + 300 * KIB + 7))
#define SHORT_SIZE ((size_t)(700 * KIB + 3))

typedef struct Sample {
        RecompCoding coding;
        uint8_t *clear, *packed;
        size_t size, packed_size;
} Sample;

static const struct {
        RecompCoding coding;
        size_t size;
} samples[] = {
        { { RECOMP_LZ4, { 3 } }, LONG_SIZE },
        { { RECOMP_LZ4, { 12 } }, SHORT_SIZE },
        { { RECOMP_LZ4, { 9 } }, 128 * KIB },
        { { RECOMP_DEFLATE, { 9, 8, 0 } }, SHORT_SIZE },
        { { RECOMP_DEFLATE, { 1, 9, 0 } }, 1 },
        { { RECOMP_XZ, { 6, 20, LZMA_CHECK_CRC32 } }, SHORT_SIZE },
        { { RECOMP_XZ, { 1, 16, LZMA_CHECK_CRC64 | RECOMP_XZ_X86 } }, SHORT_SIZE },
        { { RECOMP_ZSTD, { 3, 1 } }, SHORT_SIZE },
        { { RECOMP_ZSTD, { 19, 0 } }, 100 },
};

static bool sample_make(size_t number, Sample *ret)
{
        Sample sample = { .coding = samples[number].coding, .size = samples[number].size };

        sample.clear = malloc(sample.size);
        if (!sample.clear)
                return false;
        sample_fill(sample.clear, sample.size);
        sample.packed = sample_pack(&sample.coding, sample.clear, sample.size, &sample.packed_size);
        *ret = sample;
        return sample.packed != NULL;
}

static void sample_done(Sample *sample)
{
        free(sample->clear);
        free(sample->packed);
}

/* A view of packed bytes that says no to reads past their end. */
static int packed_read(void *data, uint64_t offset, void *ret, size_t size, Error *error)
{
        const Sample *sample = data;

        if (offset > sample->packed_size || size > sample->packed_size - offset)
                return -EIO;
        memcpy(ret, sample->packed + offset, size);
        return 0;
}

static int open_view(Sample *sample, uint64_t memory_max, RecompView **ret, Error *error)
{
        const PatchView packed = { packed_read, sample, sample->packed_size };

        return recomp_view_new(sample->coding.codec, &packed, memory_max, ret, error);
}

TEST(every_stream_reads_in_the_clear_at_any_place)
{
        for (size_t i = 0; i < ELEMENTS(samples); i++) {
                _cleanup_(sample_done) Sample sample = { 0 };
                _cleanup_(recomp_view_freep) RecompView *view = NULL;
                uint8_t *piece = malloc(400 * KIB);
                uint32_t state = 7;
                PatchView clear;

                CHECK(piece && sample_make(i, &sample));
                CHECK_OK(open_view(&sample, MEMORY_MAX, &view, NULL));
                clear = recomp_view_clear(view);
                CHECK_EQ(clear.size_bytes, sample.size);
                for (unsigned round = 0; round < 60; round++) {
                        size_t offset = (size_t)(((uint64_t)sample_random(&state) * 997) % sample.size);
                        size_t length = (size_t)sample_random(&state) * 6;
                        size_t size = MIN_OF(length, sample.size - offset);

                        CHECK_OK(clear.read(clear.data, offset, piece, size, NULL));
                        CHECK_MEM(piece, sample.clear + offset, size);
                }
                CHECK_EQ(clear.read(clear.data, sample.size, piece, 1, NULL), -EBADMSG);
                CHECK_EQ(clear.read(clear.data, UINT64_MAX, piece, 2, NULL), -EBADMSG);
                free(piece);
        }
}

static int encode(const Sample *sample, uint8_t *ret, size_t size, Error *error)
{
        SampleReader source = { sample->clear, 0, sample->size };
        const RecompReader reader = { sample_read, &source, sample->size };

        return recomp_encode(&sample->coding, &reader, ret, size, error);
}

TEST(every_stream_is_made_again_to_the_byte)
{
        for (size_t i = 0; i < ELEMENTS(samples); i++) {
                _cleanup_(sample_done) Sample sample = { 0 };
                _cleanup_free_ uint8_t *made = NULL;

                CHECK(sample_make(i, &sample));
                /* LZMA2 of one call leaves out no less than of many, but has other chunks and block
                 * headers: what a program writes is pinned in tests/golden. */
                if (sample.coding.codec == RECOMP_XZ)
                        continue;
                made = malloc(sample.packed_size);
                CHECK(made != NULL);
                CHECK_OK(encode(&sample, made, sample.packed_size, NULL));
                CHECK_MEM(made, sample.packed, sample.packed_size);
        }
}

TEST(a_stream_of_another_size_is_refused)
{
        for (size_t i = 1; i < ELEMENTS(samples); i++) {
                _cleanup_(sample_done) Sample sample = { 0 };
                _cleanup_free_ uint8_t *made = NULL;

                CHECK(sample_make(i, &sample));
                made = malloc(sample.packed_size + 2000);
                CHECK(made != NULL);
                CHECK_EQ(encode(&sample, made, sample.packed_size / 2, NULL), -EBADMSG);
                CHECK_EQ(encode(&sample, made, 2, NULL), -EBADMSG);
                CHECK_EQ(encode(&sample, made, sample.packed_size + 2000, NULL), -EBADMSG);
        }
}

TEST(a_failing_reader_ends_the_encoder)
{
        for (size_t i = 1; i < ELEMENTS(samples); i++) {
                _cleanup_(sample_done) Sample sample = { 0 };
                _cleanup_free_ uint8_t *made = NULL;
                SampleReader source;
                RecompReader reader;

                CHECK(sample_make(i, &sample));
                made = malloc(sample.packed_size);
                CHECK(made != NULL);
                source = (SampleReader){ sample.clear, 0, sample.size - 1 };
                reader = (RecompReader){ sample_read, &source, sample.size };
                CHECK_EQ(recomp_encode(&sample.coding, &reader, made, sample.packed_size, NULL), -EIO);
        }
}

TEST(a_stream_that_is_cut_or_too_long_is_refused)
{
        for (size_t i = 1; i < ELEMENTS(samples); i++) {
                _cleanup_(sample_done) Sample sample = { 0 };
                RecompView *view = NULL;
                Error error = { 0 };
                uint8_t *longer;

                CHECK(sample_make(i, &sample));
                longer = realloc(sample.packed, sample.packed_size + 1);
                CHECK(longer != NULL);
                sample.packed = longer;
                longer[sample.packed_size] = 1;
                sample.packed_size++;
                CHECK_EQ(open_view(&sample, MEMORY_MAX, &view, &error), -EBADMSG);
                CHECK_EQ(error.code, ERROR_CORRUPT);
                sample.packed_size -= 2;
                CHECK_EQ(open_view(&sample, MEMORY_MAX, &view, NULL), -EBADMSG);
                sample.packed_size = 2;
                CHECK_EQ(open_view(&sample, MEMORY_MAX, &view, NULL), -EBADMSG);
        }
}

TEST(a_view_holds_no_more_than_it_may)
{
        for (size_t i = 1; i < ELEMENTS(samples); i++) {
                _cleanup_(sample_done) Sample sample = { 0 };
                RecompView *view = NULL;
                uint64_t memory;

                CHECK(sample_make(i, &sample));
                CHECK_OK(open_view(&sample, MEMORY_MAX, &view, NULL));
                memory = recomp_view_memory(view);
                CHECK(memory <= sample.size + 8 * MIB);
                (void)recomp_view_free(view);
                CHECK_OK(open_view(&sample, memory, &view, NULL));
                (void)recomp_view_free(view);
                if (sample.size >= SHORT_SIZE)
                        CHECK_EQ(open_view(&sample, memory - 1, &view, NULL), -EBADMSG);
        }
}

TEST(memory_counts_the_view_and_the_larger_of_both_codecs)
{
        const RecompCoding lz4 = { RECOMP_LZ4, { 9 } }, none = { RECOMP_NONE, { 0 } };
        const RecompCoding kernel_xz = { RECOMP_XZ, { 6, 25, LZMA_CHECK_CRC32 | RECOMP_XZ_X86 } };

        CHECK_EQ(recomp_memory(RECOMP_NONE, 0, &none, 1000), 0);
        CHECK(recomp_memory(RECOMP_LZ4, 11 * MIB, &lz4, 53 * MIB) >= 19 * MIB);
        CHECK(recomp_memory(RECOMP_LZ4, 11 * MIB, &lz4, 53 * MIB) < 20 * MIB);
        CHECK(recomp_memory(RECOMP_XZ, 100, &none, 100) >= 8 * MIB);
        /* What a decoder may never spend. */
        CHECK(recomp_memory(RECOMP_XZ, 0, &kernel_xz, MIB) > 300 * MIB);
        CHECK_EQ(recomp_memory(RECOMP_LZ4, UINT64_MAX, &lz4, MIB), UINT64_MAX);
}

TEST(codings_have_one_number)
{
        static const uint64_t impossible[] = { RECOMP_CODECS_MAX, 255, 1, 0x0d01, 0x0201, 0x10901, 2, 0xa02,
                0x902, 0xa0902, 0x5090902, 3, 0x010603, 0x02141403, 0x80140603, 4, 0x1704, 0x20304, 0x100,
                UINT64_C(1) << 32 | 0x901 };
        RecompCoding coding;

        for (size_t i = 0; i < ELEMENTS(samples); i++) {
                CHECK_OK(recomp_coding_unpack(recomp_coding_pack(&samples[i].coding), &coding, NULL));
                CHECK_MEM(&coding, &samples[i].coding, sizeof(coding));
        }
        CHECK_OK(recomp_coding_unpack(0, &coding, NULL));
        CHECK_EQ(coding.codec, RECOMP_NONE);
        for (size_t i = 0; i < ELEMENTS(impossible); i++)
                CHECK_EQ(recomp_coding_unpack(impossible[i], &coding, NULL), -EBADMSG);
}

TEST(bytes_can_stay_as_they_are)
{
        _cleanup_(recomp_view_freep) RecompView *view = NULL;
        Sample sample = { .clear = (uint8_t *)"as they are",
                .packed = (uint8_t *)"as they are",
                .size = 11,
                .packed_size = 11 };
        uint8_t bytes[11];
        PatchView clear;

        CHECK_OK(open_view(&sample, 0, &view, NULL));
        clear = recomp_view_clear(view);
        CHECK_EQ(clear.size_bytes, 11);
        CHECK_OK(clear.read(clear.data, 3, bytes, 8, NULL));
        CHECK_MEM(bytes, "they are", 8);
        CHECK_OK(encode(&sample, bytes, 11, NULL));
        CHECK_MEM(bytes, "as they are", 11);
        CHECK_EQ(encode(&sample, bytes, 10, NULL), -EBADMSG);
}

/* One rule of LZ4's blocks each. */
TEST(malformed_lz4_is_refused)
{
        static const struct {
                const char *rule;
                uint8_t bytes[16];
                size_t size;
        } streams[] = {
                { "another magic", { 0x03, 0x21, 0x4c, 0x18, 2, 0, 0, 0, 0x10, 'a' }, 10 },
                { "empty block", { 0x02, 0x21, 0x4c, 0x18, 0, 0, 0, 0 }, 8 },
                { "block without bytes", { 0x02, 0x21, 0x4c, 0x18, 1, 0, 0, 0, 0 }, 9 },
                { "block past the end", { 0x02, 0x21, 0x4c, 0x18, 3, 0, 0, 0, 0x20, 'a' }, 10 },
                { "literals past the block", { 0x02, 0x21, 0x4c, 0x18, 2, 0, 0, 0, 0x20, 'a', 'b' }, 11 },
                { "length past the block", { 0x02, 0x21, 0x4c, 0x18, 2, 0, 0, 0, 0xf0, 255 }, 10 },
                { "distance 0", { 0x02, 0x21, 0x4c, 0x18, 4, 0, 0, 0, 0x10, 'a', 0, 0 }, 12 },
                { "distance before the block", { 0x02, 0x21, 0x4c, 0x18, 4, 0, 0, 0, 0x10, 'a', 2, 0 }, 12 },
                { "half a distance", { 0x02, 0x21, 0x4c, 0x18, 3, 0, 0, 0, 0x10, 'a', 1 }, 11 },
                { "a block after a short one",
                                { 0x02, 0x21, 0x4c, 0x18, 2, 0, 0, 0, 0x10, 'a', 2, 0, 0, 0, 0x10, 'a' },
                                16 },
        };

        for (size_t i = 0; i < ELEMENTS(streams); i++) {
                Sample sample = { .coding = { RECOMP_LZ4, { 9 } },
                        .packed = (uint8_t *)streams[i].bytes,
                        .packed_size = streams[i].size };
                RecompView *view = NULL;

                if (open_view(&sample, MEMORY_MAX, &view, NULL) != -EBADMSG)
                        TEST_FAIL("taken: %s", streams[i].rule);
        }
}

/* What a view showed once may be other bytes later, when a device fails. */
TEST(packed_bytes_that_change_are_noticed_or_harmless)
{
        _cleanup_(sample_done) Sample sample = { 0 };
        _cleanup_(recomp_view_freep) RecompView *view = NULL;
        uint8_t piece[1000];
        uint32_t state = 3;
        PatchView clear;

        CHECK(sample_make(1, &sample));
        CHECK_OK(open_view(&sample, MEMORY_MAX, &view, NULL));
        clear = recomp_view_clear(view);
        for (size_t i = 4; i < sample.packed_size; i += 1 + sample_random(&state) % 64)
                sample.packed[i] = (uint8_t)sample_random(&state);
        for (unsigned round = 0; round < 200; round++) {
                uint64_t offset = ((uint64_t)sample_random(&state) * 997) % (sample.size - sizeof(piece));
                int r = clear.read(clear.data, offset, piece, sizeof(piece), NULL);

                CHECK(r == 0 || r == -EBADMSG || r == -EIO);
        }
}

TEST_MAIN
