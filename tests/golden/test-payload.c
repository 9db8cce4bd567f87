/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"
#include "manifest.h"
#include "payload-sample.h"
#include "test.h"

#include <fcntl.h>

/* every-op.payload was written by hand-made code of format 1 and is what every decoder must read. */
TEST(a_payload_of_format_1_decodes_as_ever)
{
        _cleanup_(sample_done) Sample sample;
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        _cleanup_(payload_decoder_freep) PayloadDecoder *decoder = NULL;
        char hex[SHA256_HEX_SIZE], *file;
        size_t size;

        sample_make(&sample);
        sha256_hex_of(sample.source, SOURCE_SIZE, hex);
        CHECK_STR(hex, "d013e727ed5ca507f8ac81851e43c14b6c2940635241d45fbbff0570d6cd9159");
        CHECK_OK(file_read(AT_FDCWD, GOLDEN_FOLDER "/every-op.payload", MIB, &file, &size));
        sha256_hex_of(file, size, hex);
        CHECK_STR(hex, "365b9337a606d805e47ffec818f7b4bbdfe51524b582da13a60b8f6cc2bada08");
        buffer_clear(&sample.file);
        CHECK_OK(buffer_append(&sample.file, file, size));
        free(file);
        sample.index_size = PAYLOAD_HEADER_SIZE + read_le32(sample.file.data + PAYLOAD_AT_TABLE_SIZE);
        CHECK_OK(sample_open(&sample, sample.source_fd, &index, &decoder, NULL));
        CHECK_EQ(payload_group_count(index), 2);
        for (size_t i = 0; i < payload_group_count(index); i++) {
                const PayloadGroup *group = payload_group(index, i);
                const uint8_t *target;

                CHECK_OK(payload_group_decode(decoder, i, sample.file.data + group->blob_offset,
                                group->blob_size_bytes, &target, NULL));
                memcpy(sample.target + group->target_offset, target, group->target_size_bytes);
        }
        sha256_hex_of(sample.target, TARGET_SIZE, hex);
        CHECK_STR(hex, "1b28eda8cc9ad3d4d3869d80368dcee2f6b75baedae855b9f47d3a7d0a8a5766");
}

static void hash_text(const char *text, char hex[static SHA256_HEX_SIZE])
{
        sha256_hex_of(text, strlen(text), hex);
}

TEST(a_manifest_is_written_as_ever)
{
        PayloadReference full = { .path = (char *)"payloads/1/x86-64/root-full.payload",
                .size_bytes = 1000,
                .index_size_bytes = 100,
                .memory_bytes = 2000000,
                .is_full = true };
        PayloadReference root[2] = { full, full };
        const Manifest manifest = {
                .image_id = (char *)"host",
                .version = (char *)"1",
                .architecture = (char *)"x86-64",
                .minimum_engine = 1,
                .notes = (char *)"two lines\nof \"notes\"",
                .images = { { .size_bytes = 4096,
                                            .verity = { .salt = { 9 }, .salt_size = 32 },
                                            .payloads = root,
                                            .payload_count = 2 },
                                { .size_bytes = 5, .payloads = &full, .payload_count = 1 } },
        };
        _cleanup_free_ char *text = NULL;
        char hex[SHA256_HEX_SIZE];

        root[1].is_full = false;
        CHECK_OK(manifest_format(&manifest, &text, NULL));
        hash_text(text, hex);
        CHECK_STR(hex, "651ffaabad5a9316ec487e8c752cd702ef01ff645b417dac70b043f71b9b3584");
}

TEST(a_channel_is_written_as_ever)
{
        char *architectures[] = { (char *)"arm64", (char *)"x86-64", NULL };
        ChannelRelease releases[] = {
                { .version = (char *)"1", .architectures = architectures, .is_floor = true },
                { .version = (char *)"2",
                                .architectures = architectures,
                                .wave_start = 1700000000,
                                .wave_seconds = 172800,
                                .is_withdrawn = true,
                                .withdrawn_reason = (char *)"it eats disks" },
        };
        const Channel channel = { (char *)"stable", (char *)"host", releases, 2 };
        _cleanup_free_ char *text = NULL;
        char hex[SHA256_HEX_SIZE];

        CHECK_OK(channel_format(&channel, &text, NULL));
        hash_text(text, hex);
        CHECK_STR(hex, "688aae002ea9b0bc8c4385668c11eb41984a0ab23189482007964d39511b5d52");
}

TEST_MAIN
