/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-sample.h"
#include "test.h"

#define WITH_SAMPLE                                                                                         \
        _cleanup_(sample_done) Sample sample;                                                               \
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;                                          \
        _cleanup_(payload_decoder_freep) PayloadDecoder *decoder = NULL;                                    \
        _unused_ const uint8_t *target = NULL;                                                              \
        _unused_ Error error = { 0 };                                                                       \
        sample_make(&sample);                                                                               \
        CHECK_OK(sample_open(&sample, sample.source_fd, &index, &decoder, NULL))

TEST(every_op_decodes_to_the_target)
{
        WITH_SAMPLE;
        CHECK_OK(payload_group_decode(decoder, 0, sample.target, 1000, &target, NULL));
        CHECK_MEM(target, sample.target, GROUP0_SIZE);
        CHECK_OK(payload_group_decode(decoder, 1, sample.blob1, sample.blob1_size, &target, NULL));
        CHECK_MEM(target, sample.target + GROUP0_SIZE, GROUP1_SIZE);
        CHECK_EQ(payload_sources(index), 1 << PAYLOAD_SOURCE_OLD_ROOT | 1 << PAYLOAD_SOURCE_TARGET);
        CHECK_EQ(payload_group_sources(index, 0), 0);
}

TEST(a_changed_blob_is_untrusted_whatever_bit_it_is)
{
        WITH_SAMPLE;
        for (size_t bit = 0; bit < sample.blob1_size * 8; bit++) {
                error_clear(&error);
                sample.blob1[bit / 8] ^= (uint8_t)(1 << bit % 8);
                CHECK_EQ(payload_group_decode(decoder, 1, sample.blob1, sample.blob1_size, &target, &error),
                                -EBADMSG);
                CHECK_EQ(error.code, ERROR_UNTRUSTED);
                sample.blob1[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t size = 0; size < sample.blob1_size; size++)
                CHECK_EQ(payload_group_decode(decoder, 1, sample.blob1, size, &target, NULL), -EBADMSG);
        CHECK_EQ(payload_group_decode(decoder, 2, sample.blob1, 0, &target, NULL), -EINVAL);
}

/* The codecs themselves, without a hash before them: any bytes, no harm. */
TEST(codecs_survive_what_no_hash_vouches_for)
{
        WITH_SAMPLE;
        for (size_t bit = 0; bit < sample.blob1_size * 8; bit++) {
                sample.blob1[bit / 8] ^= (uint8_t)(1 << bit % 8);
                (void)payload_group_run(decoder, 1, sample.blob1, &target, NULL);
                sample.blob1[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

TEST(a_damaged_source_is_stale_not_corrupt)
{
        WITH_SAMPLE;
        CHECK_OK(pwrite_full(sample.source_fd, "?", 1, 6));
        CHECK_EQ(payload_group_decode(decoder, 1, sample.blob1, sample.blob1_size, &target, &error),
                        -ESTALE);
        CHECK_EQ(error.code, ERROR_CORRUPT);
        /* The same for bytes that only a frame's prefix holds. */
        CHECK_OK(pwrite_full(sample.source_fd, sample.source + 6, 1, 6));
        CHECK_OK(pwrite_full(sample.source_fd, "?", 1, 1100));
        CHECK_EQ(payload_group_decode(decoder, 1, sample.blob1, sample.blob1_size, &target, NULL), -ESTALE);
        /* A group that reads nothing is not concerned. */
        CHECK_OK(payload_group_decode(decoder, 0, sample.target, 1000, &target, NULL));
        CHECK_EQ(ftruncate(sample.source_fd, 1000), 0);
        CHECK_EQ(payload_group_decode(decoder, 1, sample.blob1, sample.blob1_size, &target, NULL), -ESTALE);
}

TEST(who_reads_back_still_has_sources_checked)
{
        WITH_SAMPLE;
        payload_decoder_reads_back(decoder);
        CHECK_OK(payload_group_decode(decoder, 0, sample.target, 1000, &target, NULL));
        CHECK_MEM(target, sample.target, GROUP0_SIZE);
        CHECK_OK(pwrite_full(sample.source_fd, "?", 1, 6));
        CHECK_EQ(payload_group_decode(decoder, 1, sample.blob1, sample.blob1_size, &target, NULL), -ESTALE);
        sample.target[5] ^= 1;
        CHECK_EQ(payload_group_decode(decoder, 0, sample.target, 1000, &target, NULL), -EBADMSG);
}

TEST(a_missing_or_short_source_is_refused_at_the_start)
{
        WITH_SAMPLE;
        PayloadIndex *again = NULL;
        PayloadDecoder *none = NULL;
        const PayloadSource brief[] = { { sample.source_fd, 0, SOURCE_SIZE - 1 }, { -1, 0, 0 }, { -1, 0, 0 },
                { sample.target_fd, 0, TARGET_SIZE } };

        CHECK_EQ(sample_open(&sample, -1, &again, &none, &error), -ENODEV);
        CHECK_EQ(error.code, ERROR_INCOMPATIBLE);
        payload_index_free(again);
        CHECK_EQ(payload_decoder_new(index, brief, ELEMENTS(brief), &none, NULL), -ENODEV);
        CHECK_EQ(payload_decoder_new(index, brief, 0, &none, NULL), -ENODEV);
}

TEST(other_frame_types_are_not_unpacked)
{
        /* A skippable frame, a legacy one, two frames in a row, a frame cut short. */
        static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x' };
        static const uint8_t legacy[] = { 0x27, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0, 0 };
        static const uint8_t ops[] = { PAYLOAD_OP_ZFULL, 10, 50, 0 };
        uint8_t blob[50] = { 0 }, ten[10] = "aaaaaaaaaa";
        size_t once = ZSTD_compress(blob, sizeof(blob), ten, 5, 3);

        once += ZSTD_compress(blob + once, sizeof(blob) - once, ten, 5, 3);
        for (size_t i = 0; i < 4; i++) {
                _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
                _cleanup_(payload_decoder_freep) PayloadDecoder *decoder = NULL;
                _cleanup_buffer_ Buffer file = BUFFER_WITH_CAP(MIB);
                PayloadSketch sketch = { .group_count = 1 };
                const uint8_t *bytes[] = { skippable, legacy, blob, blob };
                const size_t sizes[] = { sizeof(skippable), sizeof(legacy), once, once - 1 };
                uint8_t list[sizeof(ops)];
                PayloadExpectation expectation;
                const uint8_t *target;
                size_t index_size;

                memcpy(list, ops, sizeof(ops));
                list[2] = (uint8_t)sizes[i];
                sketch.groups[0] = (SketchGroup){ 10, sizes[i], sizeof(list), ten, bytes[i], list };
                sketch_build(&sketch, &file, &index_size);
                expectation = expect_as_told(file.data, index_size);
                CHECK_OK(payload_index_parse(file.data, index_size, &expectation, &index, NULL));
                CHECK_OK(payload_decoder_new(index, NULL, 0, &decoder, NULL));
                CHECK_EQ(payload_group_decode(decoder, 0, bytes[i], sizes[i], &target, NULL), -EBADMSG);
        }
}

TEST_MAIN
