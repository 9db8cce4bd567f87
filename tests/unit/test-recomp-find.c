/* SPDX-License-Identifier: Apache-2.0 */
#include "recomp-find.h"
#include "recomp-sample.h"
#include "test.h"

#define MEMORY_MAX (60 * MIB)
#define SIZE ((size_t)(600 * KIB))

/* A file of a few bytes before a stream, the stream, and a few behind it. */
static bool make_file(const RecompCoding *coding, const void *before, size_t before_size, const void *after,
                size_t after_size, Buffer *ret)
{
        _cleanup_free_ uint8_t *clear = malloc(SIZE), *packed = NULL;
        size_t packed_size = 0;

        if (!clear)
                return false;
        sample_fill(clear, SIZE);
        packed = sample_pack(coding, clear, SIZE, &packed_size);
        *ret = BUFFER_WITH_CAP(8 * MIB);
        return packed && buffer_append(ret, before, before_size) >= 0 &&
               buffer_append(ret, packed, packed_size) >= 0 && buffer_append(ret, after, after_size) >= 0;
}

static bool check_stream(const Buffer *file, const RecompCoding *coding, size_t before, size_t after)
{
        RecompStream stream = { 0 };

        return recomp_locate(file->data, file->size, &stream) == 1 && stream.offset == before &&
               stream.size_bytes == file->size - before - after && stream.coding.codec == coding->codec &&
               recomp_prove(file->data, MEMORY_MAX, &stream, NULL) == 1 &&
               memcmp(&stream.coding, coding, sizeof(*coding)) == 0 && stream.clear_size_bytes == SIZE;
}

TEST(whole_files_are_found_and_their_parameters)
{
        static const RecompCoding codings[] = {
                { RECOMP_LZ4, { 9 } },
                { RECOMP_LZ4, { 12 } },
                { RECOMP_LZ4, { 4 } },
                { RECOMP_ZSTD, { 19, 1 } },
                { RECOMP_ZSTD, { 3, 0 } },
        };

        for (size_t i = 0; i < ELEMENTS(codings); i++) {
                _cleanup_buffer_ Buffer file = { 0 };

                CHECK(make_file(&codings[i], "", 0, "", 0, &file));
                CHECK(check_stream(&file, &codings[i], 0, 0));
                buffer_done(&file);
                CHECK(make_file(&codings[i], "", 0, "\1\2\3", 3, &file));
                CHECK(check_stream(&file, &codings[i], 0, 3));
        }
}

TEST(gzip_is_found_behind_any_header)
{
        static const struct {
                const char *bytes;
                size_t size;
        } headers[] = {
                { "\037\213\010\0\0\0\0\0\2\3", 10 },
                { "\037\213\010\010\0\0\0\0\2\3name\0", 15 },
                { "\037\213\010\036\0\0\0\0\2\3\2\0xyname\0comment\0cc", 29 },
        };
        const RecompCoding coding = { RECOMP_DEFLATE, { 9, 8, 0 } };

        for (size_t i = 0; i < ELEMENTS(headers); i++) {
                _cleanup_buffer_ Buffer file = { 0 };

                CHECK(make_file(&coding, headers[i].bytes, headers[i].size, "\1\2\3\4\5\6\7\10", 8, &file));
                CHECK(check_stream(&file, &coding, headers[i].size, 8));
        }
}

/* As programs write .xz: stream_encoder, not the one call of sample_pack(). */
TEST(xz_is_found_with_its_dictionary_and_filter)
{
        static const RecompCoding codings[] = {
                { RECOMP_XZ, { 6, 20, LZMA_CHECK_CRC32 } },
                { RECOMP_XZ, { 1, 16, LZMA_CHECK_CRC64 | RECOMP_XZ_X86 } },
        };

        for (size_t i = 0; i < ELEMENTS(codings); i++) {
                lzma_stream stream = LZMA_STREAM_INIT;
                lzma_options_lzma options;
                lzma_filter filters[3] = { { .id = LZMA_FILTER_X86 }, { LZMA_FILTER_LZMA2, &options },
                        { .id = LZMA_VLI_UNKNOWN } };
                bool is_x86 = (codings[i].parameters[2] & RECOMP_XZ_X86) != 0;
                _cleanup_free_ uint8_t *clear = malloc(SIZE);
                _cleanup_buffer_ Buffer file = BUFFER_WITH_CAP(2 * SIZE);

                CHECK(clear != NULL);
                sample_fill(clear, SIZE);
                CHECK_OK(buffer_reserve(&file, 2 * SIZE));
                CHECK(!lzma_lzma_preset(&options, codings[i].parameters[0]));
                options.dict_size = 1U << codings[i].parameters[1];
                CHECK_EQ(lzma_stream_encoder(&stream, filters + (is_x86 ? 0 : 1),
                                         codings[i].parameters[2] & RECOMP_XZ_CHECK),
                                LZMA_OK);
                stream.next_in = clear;
                stream.avail_in = SIZE;
                stream.next_out = file.data;
                stream.avail_out = 2 * SIZE;
                CHECK_EQ(lzma_code(&stream, LZMA_FINISH), LZMA_STREAM_END);
                file.size = stream.total_out;
                lzma_end(&stream);
                CHECK(check_stream(&file, &codings[i], 0, 0));
        }
}

#define SETUP_SECTORS 5
#define SETUP_SIZE ((SETUP_SECTORS + 1) * 512)
#define PAYLOAD_OFFSET 0x2cc

static void make_setup(uint8_t *setup, uint32_t payload_size)
{
        memset(setup, 0x90, SETUP_SIZE + PAYLOAD_OFFSET);
        setup[0x1f1] = SETUP_SECTORS;
        memcpy(setup + 0x202, "HdrS", 4);
        write_le16(setup + 0x206, 0x20f);
        write_le32(setup + 0x248, PAYLOAD_OFFSET);
        write_le32(setup + 0x24c, payload_size);
}

TEST(the_payload_of_a_kernel_is_found)
{
        const RecompCoding coding = { RECOMP_LZ4, { 9 } };
        uint8_t setup[SETUP_SIZE + PAYLOAD_OFFSET];
        _cleanup_buffer_ Buffer file = { 0 };
        RecompStream stream = { 0 };
        uint32_t payload_size;

        memset(setup, 0, sizeof(setup));
        /* The length of what is clear stands behind the stream, as part of the payload; then code. */
        CHECK(make_file(&coding, setup, sizeof(setup), "\0\140\011\0code behind", 15, &file));
        payload_size = (uint32_t)(file.size - sizeof(setup) - 11);
        make_setup(file.data, payload_size);
        CHECK(check_stream(&file, &coding, sizeof(setup), 15));
        write_le32(file.data + 0x24c, (uint32_t)file.size);
        CHECK_EQ(recomp_locate(file.data, file.size, &stream), 0);
        make_setup(file.data, payload_size);
        write_le32(file.data + 0x248, 0xffffffff);
        CHECK_EQ(recomp_locate(file.data, file.size, &stream), 0);
        make_setup(file.data, payload_size);
        write_le16(file.data + 0x206, 0x207);
        CHECK_EQ(recomp_locate(file.data, file.size, &stream), 0);
}

/* A block may be cut into other sequences and still say the same: here everything is literals. */
TEST(what_another_encoder_made_is_not_believed)
{
        uint8_t file[4 + 4 + 2 + 100] = { 0x02, 0x21, 0x4c, 0x18, 102, 0, 0, 0, 0xf0, 100 - 15 };
        RecompStream stream = { 0 };

        CHECK_EQ(recomp_locate(file, sizeof(file), &stream), 1);
        CHECK_EQ(recomp_measure(file, MEMORY_MAX, &stream, NULL), 1);
        CHECK_EQ(stream.clear_size_bytes, 100);
        CHECK_EQ(recomp_prove(file, MEMORY_MAX, &stream, NULL), 0);
}

TEST(what_takes_too_much_memory_is_left_as_it_is)
{
        const RecompCoding coding = { RECOMP_ZSTD, { 3, 0 } };
        _cleanup_buffer_ Buffer file = { 0 };
        RecompStream stream = { 0 };

        CHECK(make_file(&coding, "", 0, "", 0, &file));
        CHECK_EQ(recomp_locate(file.data, file.size, &stream), 1);
        CHECK_EQ(recomp_prove(file.data, MIB, &stream, NULL), 0);
        CHECK_EQ(recomp_measure(file.data, SIZE - 1, &stream, NULL), 0);
        CHECK_EQ(recomp_measure(file.data, SIZE, &stream, NULL), 1);
        CHECK_EQ(stream.clear_size_bytes, SIZE);
        CHECK_EQ(stream.view_memory_bytes, SIZE);
}

TEST(other_files_have_no_stream)
{
        static const char *const texts[] = { "", "\002", "\002\041\114\030", "\037\213\010", "\375\067zXZ",
                "\050\265\057\375", "#!/bin/sh\necho a script that is longer than any header\n" };
        RecompStream stream;

        for (size_t i = 0; i < ELEMENTS(texts); i++)
                CHECK_EQ(recomp_locate((const uint8_t *)texts[i], strlen(texts[i]), &stream), 0);
}

TEST_MAIN
