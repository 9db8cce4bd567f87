/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "file.h"
#include "pieces-encode.h"
#include "pieces-format.h"
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <zstd.h>

/* Text-like bytes, zeros, noise; four segments, and no whole block at the end. */
#define IMAGE_SIZE (3 * MIB + 12345)

static char folder[] = "/tmp/test-pieces-XXXXXX";

static int image_make(void)
{
        _cleanup_free_ uint8_t *data = calloc(1, IMAGE_SIZE);
        int fd = memfd_create("image", MFD_CLOEXEC);
        uint64_t seed = 7;

        for (size_t i = 0; i < MIB + 300 * KIB; i++) {
                seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
                data[i] = (uint8_t)('a' + (seed >> 40) % 16);
                data[2 * MIB + i / 2] = (uint8_t)(seed >> 56);
        }
        memcpy(data + 3 * MIB, data, 12345);
        (void)pwrite_full(fd, data, IMAGE_SIZE, 0);
        return fd;
}

static int encode(int fd, unsigned threads, const char *name, PiecesReport *report)
{
        _cleanup_free_ char *path = path_join(folder, name);

        return pieces_encode(fd, threads, path, NULL, NULL, report, NULL);
}

/* The index of a file in the folder, and what a manifest would say of it. */
static uint8_t *read_index(const char *name, const PiecesReport *report, PayloadExpectation *ret)
{
        _cleanup_free_ char *path = path_join(folder, name);
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        uint8_t *data = malloc(report->index_size_bytes);

        (void)pread_full(fd, data, report->index_size_bytes, 0);
        *ret = (PayloadExpectation){ .payload_size_bytes = report->size_bytes,
                .index_size_bytes = report->index_size_bytes,
                .target_size_bytes = IMAGE_SIZE,
                .memory_max_bytes = report->memory_bytes };
        memcpy(ret->index_sha256, report->index_sha256, SHA256_SIZE);
        return data;
}

TEST(an_image_comes_back_piece_by_piece)
{
        _cleanup_fd_ int image = image_make();
        _cleanup_(pieces_index_freep) PiecesIndex *index = NULL;
        _cleanup_free_ uint8_t *data = NULL;
        PayloadExpectation expectation;
        PiecesReport report, again;
        size_t zeros = 0, raw = 0;
        uint64_t offset = 0;

        CHECK(mkdtemp(folder));
        CHECK_OK(encode(image, 1, "one", &report));
        CHECK(report.size_bytes < 1700 * KIB);
        CHECK_EQ(report.count, (IMAGE_SIZE + 8191) / 8192);
        data = read_index("one", &report, &expectation);
        CHECK_OK(pieces_index_parse(data, report.index_size_bytes, &expectation, &index, NULL));
        for (size_t i = 0; i < index->count; i++) {
                const Piece *piece = &index->list[i];

                CHECK_EQ(piece->offset, offset);
                offset += piece->size_bytes;
                zeros += piece->blob_size_bytes == 0 ? piece->size_bytes : 0;
                raw += piece->blob_size_bytes == piece->size_bytes ? piece->size_bytes : 0;
        }
        CHECK(zeros >= 600 * KIB && raw >= 600 * KIB);
        CHECK_EQ(index->list[index->count - 1].size_bytes, IMAGE_SIZE % 8192);
        CHECK_OK(encode(image, 4, "four", &again));
        CHECK(memcmp(report.sha256, again.sha256, SHA256_SIZE) == 0);
}

TEST(what_was_encoded_can_be_proved_again_and_damage_shows)
{
        _cleanup_fd_ int image = image_make(), fd = -1;
        _cleanup_free_ char *path = path_join(folder, "one");
        PiecesReport report, again;
        uint8_t byte;

        CHECK_OK(encode(image, 2, "one", &report));
        CHECK_OK(pieces_prove(image, path, &again, NULL));
        CHECK(memcmp(&report, &again, sizeof(report)) == 0);
        fd = open(path, O_RDWR | O_CLOEXEC);
        CHECK_OK(pread_full(fd, &byte, 1, report.size_bytes - 100));
        byte ^= 1;
        CHECK_OK(pwrite_full(fd, &byte, 1, report.size_bytes - 100));
        CHECK_EQ(pieces_prove(image, path, &again, NULL), -EBADMSG);
        CHECK_OK(encode(image, 2, "one", &report));
        CHECK_OK(pwrite_full(image, "!", 1, 5000));
        CHECK_EQ(pieces_prove(image, path, &again, NULL), -EBADMSG);
        CHECK(pieces_prove(image, "/nonexistent", &again, NULL) < 0);
}

TEST(a_wrong_prefix_is_noticed)
{
        _cleanup_fd_ int image = image_make(), fd = -1;
        _cleanup_(pieces_index_freep) PiecesIndex *index = NULL;
        _cleanup_(piece_decoder_freep) PieceDecoder *decoder = NULL;
        _cleanup_free_ uint8_t *data = NULL, *prefix = calloc(1, MIB);
        _cleanup_free_ char *path = path_join(folder, "one");
        uint8_t blob[8192], made[8192];
        PayloadExpectation expectation;
        PiecesReport report;
        const Piece *piece;
        size_t size;

        CHECK_OK(encode(image, 1, "one", &report));
        data = read_index("one", &report, &expectation);
        CHECK_OK(pieces_index_parse(data, report.index_size_bytes, &expectation, &index, NULL));
        CHECK_OK(piece_decoder_new(&decoder, NULL));
        /* In the second segment. */
        piece = &index->list[(MIB + 8192) / 8192];
        CHECK_EQ(piece_prefix(index, piece, &size), 0);
        CHECK_EQ(size, MIB);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        CHECK_OK(pread_full(fd, blob, piece->blob_size_bytes, piece->blob_offset));
        CHECK(piece_decode(decoder, piece, blob, prefix, size, made, NULL) < 0 ||
                        piece->blob_size_bytes == 0);
        CHECK_OK(pread_full(image, prefix, size, 0));
        CHECK_OK(piece_decode(decoder, piece, blob, prefix, size, made, NULL));
}

/* An index by hand: one piece of each kind that a rule is about. */
typedef struct Sketch {
        uint32_t count, segment, blocks_max, format;
        uint64_t image_size, file_size;
        const uint8_t *table;
        size_t table_size;
        uint64_t reserved;
} Sketch;

static int parse(const Sketch *sketch)
{
        uint8_t data[1024] = PIECES_MAGIC;
        _cleanup_(pieces_index_freep) PiecesIndex *index = NULL;
        PayloadExpectation expectation = { .payload_size_bytes = sketch->file_size,
                .target_size_bytes = sketch->image_size,
                .memory_max_bytes = PAYLOAD_MEMORY_MAX };
        size_t packed = ZSTD_compress(data + PIECES_HEADER_SIZE, sizeof(data) - PIECES_HEADER_SIZE,
                        sketch->table, sketch->table_size, 1);

        write_le32(data + PIECES_AT_FORMAT, sketch->format);
        write_le32(data + PIECES_AT_COUNT, sketch->count);
        write_le64(data + PIECES_AT_IMAGE_SIZE, sketch->image_size);
        write_le32(data + PIECES_AT_SEGMENT, sketch->segment);
        write_le32(data + PIECES_AT_BLOCKS_MAX, sketch->blocks_max);
        write_le32(data + PIECES_AT_TABLE_SIZE, (uint32_t)packed);
        write_le32(data + PIECES_AT_TABLE_FULL, (uint32_t)sketch->table_size);
        write_le64(data + PIECES_AT_RESERVED, sketch->reserved);
        expectation.index_size_bytes = PIECES_HEADER_SIZE + packed;
        expectation.payload_size_bytes += expectation.index_size_bytes;
        write_le64(data + PIECES_AT_FILE_SIZE, expectation.payload_size_bytes);
        sha256_of(data, expectation.index_size_bytes, expectation.index_sha256);
        return pieces_index_parse(data, expectation.index_size_bytes, &expectation, &index, NULL);
}

TEST(a_malformed_index_is_refused)
{
        /* Two blocks with a blob of 5 bytes, one block of zeros, the beginning of a block; and their hashes.
         */
        uint8_t good[3 + 24] = { 5 << 4 | 1, 0, 100 >> 4 << 4 };
        const Sketch right = { 3, 16384, 2, 1, 12288 + 100, 11, good, sizeof(good), 0 };
        Sketch wrong;

        CHECK_OK(parse(&right));
#define REFUSED(change)                                                                                     \
        wrong = right;                                                                                      \
        wrong.change;                                                                                       \
        CHECK(parse(&wrong) < 0)
        REFUSED(format = 2);
        REFUSED(count = 0);
        REFUSED(count = 2);
        REFUSED(count = 4);
        REFUSED(count = PIECES_MAX + 1);
        REFUSED(segment = 0);
        REFUSED(segment = 4096); /* a piece lies across its end */
        REFUSED(segment = 16385);
        REFUSED(segment = 16 * MIB);
        REFUSED(blocks_max = 0);
        REFUSED(blocks_max = 1);
        REFUSED(blocks_max = PIECE_BLOCKS_MAX + 1);
        REFUSED(image_size = 12288);
        REFUSED(image_size = 12288 + 4097);
        REFUSED(image_size = 0);
        REFUSED(file_size = 12);
        REFUSED(table_size = sizeof(good) - 1);
        REFUSED(reserved = 1);
        good[2] = 112 & ~15; /* a blob of seven bytes where six are left */
        CHECK(parse(&right) < 0);
}

TEST(hashes_of_runs_follow_from_those_of_blocks)
{
        uint8_t data[3 * 4096] = { 1 };
        uint64_t hashes[3];

        for (size_t i = 0; i < 3; i++) {
                data[i * 4096] = (uint8_t)i;
                hashes[i] = piece_block_hash(data + i * 4096, 4096);
        }
        CHECK_EQ(piece_hash(data, 4096), hashes[0]);
        CHECK_EQ(piece_hash(data, sizeof(data)), piece_join_hashes(hashes, 3));
        CHECK(piece_hash(data, 8192) != piece_hash(data + 4096, 8192));
}

TEST_MAIN
