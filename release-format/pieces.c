/* SPDX-License-Identifier: Apache-2.0 */
#include "pieces.h"

#include "byte-reader.h"
#include "bytes.h"
#include "pieces-format.h"
#include "zstd-frame.h"

#include <string.h>

/* A piece's entry takes at least a byte and its hash. */
#define ENTRY_MIN (1 + PIECE_HASH_SIZE)

typedef struct Header {
        uint64_t file_size, image_size, index_size;
        uint32_t count, segment, blocks_max, table_size, table_full;
} Header;

static int refuse(Error *error, const char *rule)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "the index of pieces is malformed: %s", rule);
}

static int parse_header(const uint8_t *data, size_t size, Header *ret, Error *error)
{
        Header header;

        if (size < PIECES_HEADER_SIZE || memcmp(data + PIECES_AT_MAGIC, PIECES_MAGIC, 8) != 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "these are no pieces of an image");
        if (read_le32(data + PIECES_AT_FORMAT) != PIECES_FORMAT)
                return error_set(error, ERROR_INCOMPATIBLE, EPROTONOSUPPORT,
                                "the pieces have format %u, this version reads format %d; update bascule "
                                "first",
                                (unsigned)read_le32(data + PIECES_AT_FORMAT), PIECES_FORMAT);
        header = (Header){ .file_size = read_le64(data + PIECES_AT_FILE_SIZE),
                .image_size = read_le64(data + PIECES_AT_IMAGE_SIZE),
                .count = read_le32(data + PIECES_AT_COUNT),
                .segment = read_le32(data + PIECES_AT_SEGMENT),
                .blocks_max = read_le32(data + PIECES_AT_BLOCKS_MAX),
                .table_size = read_le32(data + PIECES_AT_TABLE_SIZE),
                .table_full = read_le32(data + PIECES_AT_TABLE_FULL) };
        header.index_size = PIECES_HEADER_SIZE + (uint64_t)header.table_size;
        if (read_le64(data + PIECES_AT_RESERVED) != 0 || read_le64(data + PIECES_AT_RESERVED + 8) != 0)
                return refuse(error, "reserved bytes are not zero");
        if (header.count == 0 || header.count > PIECES_MAX || header.table_full / ENTRY_MIN < header.count ||
                        header.table_full > PAYLOAD_INDEX_MAX || header.index_size > PAYLOAD_INDEX_MAX)
                return refuse(error, "an impossible number of pieces");
        if (header.segment == 0 || header.segment > PIECES_SEGMENT_MAX ||
                        header.segment % PIECE_BLOCK_SIZE != 0 || header.blocks_max == 0 ||
                        header.blocks_max > PIECE_BLOCKS_MAX)
                return refuse(error, "an impossible size of segments or pieces");
        if (header.file_size < header.index_size || header.image_size > INT64_MAX || header.image_size == 0)
                return refuse(error, "an impossible size of the file or the image");
        *ret = header;
        return 0;
}

int pieces_header_parse(const void *data, size_t size, uint64_t *ret_index_size, uint64_t *ret_image_size,
                Error *error)
{
        Header header;
        int r = parse_header(data, size, &header, error);

        if (r < 0)
                return r;
        *ret_index_size = header.index_size;
        *ret_image_size = header.image_size;
        return 0;
}

PiecesIndex *pieces_index_free(PiecesIndex *index)
{
        if (index)
                free(index->list);
        free(index);
        return NULL;
}

static int unpack_table(const Header *header, const uint8_t *data, uint8_t **ret, Error *error)
{
        _cleanup_free_ uint8_t *table = malloc(header->table_full);
        ZSTD_DCtx *context = ZSTD_createDCtx();
        int r = table && context ? zstd_frame_decode(context, data + PIECES_HEADER_SIZE, header->table_size,
                                                   NULL, 0, table, header->table_full)
                                 : -ENOMEM;

        (void)ZSTD_freeDCtx(context);
        if (r < 0)
                return r == -ENOMEM ? error_oom(error) : refuse(error, "its table does not unpack");
        *ret = TAKE_PTR(table);
        return 0;
}

/* The size of a piece: whole blocks but for the end of the image. */
static int read_piece(const Header *header, ByteReader *reader, uint64_t offset, Piece *piece, Error *error)
{
        uint64_t value, blocks, left = header->image_size - offset, size;

        if (reader_varint(reader, &value) < 0)
                return refuse(error, "a piece's size is malformed");
        blocks = (value & ((1U << PIECE_BLOCKS_BITS) - 1)) + 1;
        size = blocks * PIECE_BLOCK_SIZE;
        value >>= PIECE_BLOCKS_BITS;
        if (blocks > header->blocks_max || left == 0 || (size > left && size - left >= PIECE_BLOCK_SIZE))
                return refuse(error, "a piece is too long");
        size = MIN_OF(size, left);
        if (offset / header->segment != (offset + size - 1) / header->segment)
                return refuse(error, "a piece lies across the end of a segment");
        if (value > size)
                return refuse(error, "a blob is longer than its piece");
        piece->offset = offset;
        piece->size_bytes = (uint32_t)size;
        piece->blob_size_bytes = (uint32_t)value;
        return 0;
}

static int read_table(const Header *header, const uint8_t *table, PiecesIndex *index, Error *error)
{
        ByteReader reader = BYTE_READER(table, header->table_full);
        uint64_t offset = 0, blob = header->index_size;
        const uint8_t *hashes;

        for (size_t i = 0; i < header->count; i++) {
                Piece *piece = &index->list[i];
                int r = read_piece(header, &reader, offset, piece, error);

                if (r < 0)
                        return r;
                piece->blob_offset = blob;
                offset += piece->size_bytes;
                blob += piece->blob_size_bytes;
        }
        if (offset != header->image_size || blob != header->file_size)
                return refuse(error, "the pieces do not make up the image and the file");
        if (reader_bytes(&reader, (size_t)header->count * PIECE_HASH_SIZE, &hashes) < 0 ||
                        reader_left(&reader) > 0)
                return refuse(error, "its hashes are not as many as the pieces");
        for (size_t i = 0; i < header->count; i++)
                index->list[i].hash = read_le64(hashes + i * PIECE_HASH_SIZE);
        return 0;
}

uint64_t pieces_memory_needed(size_t count, uint64_t segment_bytes)
{
        /* A piece, where it is found, its place in the finder's table twice over, its entry in the unpacked
         * one. */
        return (uint64_t)count * (sizeof(Piece) + 16 + 16 + 16) + 2 * segment_bytes + 2 * MIB;
}

static int check_expectation(const Header *header, const PayloadExpectation *expectation, Error *error)
{
        if (header->index_size != expectation->index_size_bytes ||
                        header->file_size != expectation->payload_size_bytes ||
                        header->image_size != expectation->target_size_bytes)
                return refuse(error, "its sizes are not those expected");
        if (pieces_memory_needed(header->count, header->segment) >
                        MIN_OF(expectation->memory_max_bytes, (uint64_t)PAYLOAD_MEMORY_MAX))
                return error_set(error, ERROR_INCOMPATIBLE, E2BIG,
                                "working with so many pieces needs more memory than allowed");
        return 0;
}

int pieces_index_parse(const void *data, size_t size, const PayloadExpectation *expectation,
                PiecesIndex **ret, Error *error)
{
        _cleanup_(pieces_index_freep) PiecesIndex *index = calloc(1, sizeof(*index));
        _cleanup_free_ uint8_t *table = NULL;
        uint8_t sha256[SHA256_SIZE];
        Header header;
        int r;

        if (!index)
                return error_oom(error);
        sha256_of(data, size, sha256);
        if (size != expectation->index_size_bytes ||
                        memcmp(sha256, expectation->index_sha256, SHA256_SIZE) != 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "the index of pieces is not the one that was signed");
        r = parse_header(data, size, &header, error);
        if (r >= 0)
                r = check_expectation(&header, expectation, error);
        if (r >= 0)
                r = unpack_table(&header, data, &table, error);
        if (r < 0)
                return r;
        index->list = calloc(header.count, sizeof(*index->list));
        if (!index->list)
                return error_oom(error);
        index->count = header.count;
        index->image_size_bytes = header.image_size;
        index->file_size_bytes = header.file_size;
        index->segment_bytes = header.segment;
        index->blocks_max = header.blocks_max;
        r = read_table(&header, table, index, error);
        if (r >= 0)
                *ret = TAKE_PTR(index);
        return r;
}

uint64_t piece_block_hash(const uint8_t *data, size_t size)
{
        uint8_t hash[SHA256_SIZE];

        sha256_of(data, size, hash);
        return read_le64(hash);
}

uint64_t piece_join_hashes(const uint64_t *hashes, size_t count)
{
        uint8_t bytes[PIECE_BLOCKS_MAX * PIECE_HASH_SIZE];

        if (count == 1)
                return hashes[0];
        for (size_t i = 0; i < count; i++)
                write_le64(bytes + i * PIECE_HASH_SIZE, hashes[i]);
        return piece_block_hash(bytes, count * PIECE_HASH_SIZE);
}

uint64_t piece_hash(const uint8_t *data, size_t size)
{
        uint64_t hashes[PIECE_BLOCKS_MAX] = { 0 };
        size_t count = 0;

        for (size_t at = 0; at < size && count < PIECE_BLOCKS_MAX; at += PIECE_BLOCK_SIZE)
                hashes[count++] = piece_block_hash(data + at, MIN_OF(size - at, (size_t)PIECE_BLOCK_SIZE));
        return piece_join_hashes(hashes, count);
}

uint64_t piece_prefix(const PiecesIndex *index, const Piece *piece, size_t *ret_size)
{
        uint64_t start = piece->offset - piece->offset % index->segment_bytes;
        uint64_t size = MIN_OF(start, index->segment_bytes);

        *ret_size = (size_t)size;
        return start - size;
}

struct PieceDecoder {
        ZSTD_DCtx *zstd;
};

int piece_decoder_new(PieceDecoder **ret, Error *error)
{
        PieceDecoder *decoder = calloc(1, sizeof(*decoder));

        if (decoder)
                decoder->zstd = ZSTD_createDCtx();
        if (!decoder || !decoder->zstd) {
                free(decoder);
                return error_oom(error);
        }
        *ret = decoder;
        return 0;
}

PieceDecoder *piece_decoder_free(PieceDecoder *decoder)
{
        if (decoder)
                (void)ZSTD_freeDCtx(decoder->zstd);
        free(decoder);
        return NULL;
}

int piece_decode(PieceDecoder *decoder, const Piece *piece, const uint8_t *blob, const uint8_t *prefix,
                size_t prefix_size, uint8_t *target, Error *error)
{
        int r = 0;

        if (piece->blob_size_bytes == 0)
                memset(target, 0, piece->size_bytes);
        else if (piece->blob_size_bytes == piece->size_bytes)
                memcpy(target, blob, piece->size_bytes);
        else
                r = zstd_frame_decode(decoder->zstd, blob, piece->blob_size_bytes, prefix, prefix_size,
                                target, piece->size_bytes);
        if (r == -ENOMEM)
                return error_oom(error);
        if (r < 0 || piece_hash(target, piece->size_bytes) != piece->hash)
                return error_set(
                                error, ERROR_CORRUPT, EBADMSG, "a piece does not decode to what was signed");
        return 0;
}
