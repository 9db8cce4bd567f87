/* SPDX-License-Identifier: Apache-2.0 */
#include "pieces-encode.h"

#include "byte-reader.h"
#include "bytes.h"
#include "erofs-reader.h"
#include "file.h"
#include "ordered-work.h"
#include "output-file.h"
#include "pieces-format.h"

#include <fcntl.h>
#include <string.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

/* Measured on host images of 410 MB: pieces of 8 KiB cost least, their index counted; levels above 12 win 7
 * % for several times the work. */
#define SEGMENT_BYTES (1 * MIB)
#define PIECE_BLOCKS 2
#define PIECES_LEVEL 12
#define TABLE_LEVEL 3 /* hashes do not compress */

typedef struct Segment {
        Buffer blobs, sizes, hashes;
        size_t count;
} Segment;

typedef struct Encoding {
        int image_fd, blobs_fd;
        uint64_t image_size, blobs_size;
        unsigned blocks_max;
        uint8_t *cuts; /* a bit for each block: a file begins there */
        Segment *window;
        size_t window_size, count;
        Buffer sizes, hashes;
        PayloadProgress progress;
        void *progress_data;
} Encoding;

static void segment_done(Segment *segment)
{
        buffer_done(&segment->blobs);
        buffer_done(&segment->sizes);
        buffer_done(&segment->hashes);
}

static void encoding_done(Encoding *encoding)
{
        for (size_t i = 0; i < encoding->window_size; i++)
                segment_done(&encoding->window[i]);
        free(encoding->window);
        free(encoding->cuts);
        buffer_done(&encoding->sizes);
        buffer_done(&encoding->hashes);
        (void)fd_close(encoding->blobs_fd);
}

/* ---- where files begin ---- */

static void cut_at(Encoding *encoding, uint64_t offset)
{
        uint64_t block = offset / PIECE_BLOCK_SIZE;

        if (offset < encoding->image_size)
                encoding->cuts[block / 8] |= (uint8_t)(1U << block % 8);
}

static int visit(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        if (inode->data_bytes > 0) {
                cut_at(data, inode->data_offset);
                cut_at(data, inode->data_offset + inode->data_bytes + PIECE_BLOCK_SIZE - 1);
        }
        return 0;
}

/* An image without files is cut evenly. */
static int find_cuts(Encoding *encoding, Error *error)
{
        _cleanup_erofs_ ErofsImage *image = NULL;

        encoding->cuts = calloc(1, encoding->image_size / PIECE_BLOCK_SIZE / 8 + 1);
        if (!encoding->cuts)
                return error_oom(error);
        if (erofs_open(encoding->image_fd, &image, NULL) >= 0)
                (void)erofs_walk(image, visit, encoding, NULL);
        return 0;
}

static uint64_t piece_end(const Encoding *encoding, uint64_t offset, uint64_t segment_end)
{
        uint64_t end = offset + PIECE_BLOCK_SIZE,
                 most = MIN_OF(offset + (uint64_t)encoding->blocks_max * PIECE_BLOCK_SIZE, segment_end);

        while (end < most && !(encoding->cuts[end / PIECE_BLOCK_SIZE / 8] >> end / PIECE_BLOCK_SIZE % 8 & 1))
                end += PIECE_BLOCK_SIZE;
        return MIN_OF(end, segment_end);
}

/* ---- coding ---- */

static bool is_zero(const uint8_t *data, size_t size)
{
        return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

static ZSTD_CDict *make_dictionary(const uint8_t *prefix, size_t size)
{
        ZSTD_compressionParameters parameters =
                        ZSTD_getCParams(PIECES_LEVEL, PIECE_BLOCKS * PIECE_BLOCK_SIZE, size);

        while (UINT64_C(1) << parameters.windowLog < size + PIECE_BLOCKS_MAX * PIECE_BLOCK_SIZE)
                parameters.windowLog++;
        return ZSTD_createCDict_advanced(
                        prefix, size, ZSTD_dlm_byRef, ZSTD_dct_rawContent, parameters, ZSTD_defaultCMem);
}

static size_t pack(ZSTD_CCtx *context, const ZSTD_CDict *dictionary, const uint8_t *data, size_t size,
                uint8_t *ret, size_t room)
{
        size_t r = ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);

        if (!ZSTD_isError(r))
                r = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, PIECES_LEVEL);
        if (!ZSTD_isError(r))
                r = ZSTD_CCtx_setParameter(context, ZSTD_c_dictIDFlag, 0);
        if (!ZSTD_isError(r) && dictionary)
                r = ZSTD_CCtx_refCDict(context, dictionary);
        return ZSTD_isError(r) ? r : ZSTD_compress2(context, ret, room, data, size);
}

static int code_piece(Segment *segment, ZSTD_CCtx *context, const ZSTD_CDict *dictionary,
                const uint8_t *data, size_t size)
{
        size_t room = ZSTD_compressBound(size), packed = 0;
        int r = buffer_reserve(&segment->blobs, room);

        if (r < 0)
                return r;
        if (!is_zero(data, size)) {
                uint8_t *place = segment->blobs.data + segment->blobs.size;

                packed = pack(context, dictionary, data, size, place, room);
                if (ZSTD_isError(packed))
                        return -ENOMEM;
                if (packed >= size) {
                        memcpy(place, data, size);
                        packed = size;
                }
                segment->blobs.size += packed;
        }
        segment->count++;
        r = buffer_append_varint(
                        &segment->sizes, packed << PIECE_BLOCKS_BITS | ((size - 1) / PIECE_BLOCK_SIZE));
        return r < 0 ? r : buffer_append_u64(&segment->hashes, piece_hash(data, size));
}

static int code_segment(const Encoding *encoding, Segment *segment, const uint8_t *data, uint64_t start,
                size_t prefix_size, size_t size)
{
        ZSTD_CCtx *context = ZSTD_createCCtx();
        ZSTD_CDict *dictionary = prefix_size > 0 ? make_dictionary(data, prefix_size) : NULL;
        int r = context && (dictionary || prefix_size == 0) ? 0 : -ENOMEM;

        for (uint64_t at = start; r >= 0 && at < start + size;) {
                uint64_t end = piece_end(encoding, at, start + size);

                r = code_piece(segment, context, dictionary, data + prefix_size + (at - start), end - at);
                at = end;
        }
        (void)ZSTD_freeCDict(dictionary);
        (void)ZSTD_freeCCtx(context);
        return r;
}

static int produce(void *data, size_t item, unsigned thread, Error *error)
{
        Encoding *encoding = data;
        Segment *segment = &encoding->window[item % encoding->window_size];
        uint64_t start = item * SEGMENT_BYTES;
        size_t prefix_size = item > 0 ? SEGMENT_BYTES : 0,
               size = MIN_OF(encoding->image_size - start, (uint64_t)SEGMENT_BYTES);
        _cleanup_free_ uint8_t *bytes = malloc(prefix_size + size);
        int r;

        segment_done(segment);
        *segment = (Segment){ .blobs = BUFFER_WITH_CAP(4 * SEGMENT_BYTES),
                .sizes = BUFFER_WITH_CAP(MIB),
                .hashes = BUFFER_WITH_CAP(MIB) };
        if (!bytes)
                return error_oom(error);
        r = pread_full(encoding->image_fd, bytes, prefix_size + size, start - prefix_size);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the image: %s", strerror(-r));
        r = code_segment(encoding, segment, bytes, start, prefix_size, size);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot compress a piece: %s", strerror(-r)) : 0;
}

static int consume(void *data, size_t item, Error *error)
{
        Encoding *encoding = data;
        const Segment *segment = &encoding->window[item % encoding->window_size];
        int r = pwrite_full(
                        encoding->blobs_fd, segment->blobs.data, segment->blobs.size, encoding->blobs_size);

        if (r >= 0)
                r = buffer_append(&encoding->sizes, segment->sizes.data, segment->sizes.size);
        if (r >= 0)
                r = buffer_append(&encoding->hashes, segment->hashes.data, segment->hashes.size);
        if (r < 0)
                return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                "cannot write the pieces: %s", strerror(-r));
        encoding->blobs_size += segment->blobs.size;
        encoding->count += segment->count;
        if (encoding->progress)
                encoding->progress(encoding->progress_data,
                                MIN_OF((item + 1) * (uint64_t)SEGMENT_BYTES, encoding->image_size));
        return 0;
}

/* ---- the file ---- */

static int make_index(Encoding *encoding, Buffer *index, Error *error)
{
        uint8_t header[PIECES_HEADER_SIZE] = PIECES_MAGIC;
        size_t full, bound, packed;

        if (buffer_append(&encoding->sizes, encoding->hashes.data, encoding->hashes.size) < 0)
                return error_oom(error);
        full = encoding->sizes.size;
        bound = ZSTD_compressBound(full);
        if (buffer_append(index, header, sizeof(header)) < 0 || buffer_reserve(index, bound) < 0)
                return error_oom(error);
        packed = ZSTD_compress(index->data + index->size, bound, encoding->sizes.data, full, TABLE_LEVEL);
        if (ZSTD_isError(packed))
                return error_oom(error);
        index->size += packed;
        write_le32(index->data + PIECES_AT_FORMAT, PIECES_FORMAT);
        write_le32(index->data + PIECES_AT_COUNT, (uint32_t)encoding->count);
        write_le64(index->data + PIECES_AT_FILE_SIZE, index->size + encoding->blobs_size);
        write_le64(index->data + PIECES_AT_IMAGE_SIZE, encoding->image_size);
        write_le32(index->data + PIECES_AT_SEGMENT, SEGMENT_BYTES);
        write_le32(index->data + PIECES_AT_BLOCKS_MAX, encoding->blocks_max);
        write_le32(index->data + PIECES_AT_TABLE_SIZE, (uint32_t)packed);
        write_le32(index->data + PIECES_AT_TABLE_FULL, (uint32_t)full);
        return 0;
}

static int copy_blobs(const Encoding *encoding, int fd, uint64_t offset, Error *error)
{
        _cleanup_free_ uint8_t *part = malloc(SEGMENT_BYTES);
        int r = part ? 0 : -ENOMEM;

        for (uint64_t at = 0; r >= 0 && at < encoding->blobs_size;) {
                size_t size = MIN_OF(encoding->blobs_size - at, (uint64_t)SEGMENT_BYTES);

                r = pread_full(encoding->blobs_fd, part, size, at);
                if (r >= 0)
                        r = pwrite_full(fd, part, size, offset + at);
                at += size;
        }
        return r < 0 ? error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                       "cannot write the pieces: %s", strerror(-r))
                     : 0;
}

static int prove_piece(PieceDecoder *decoder, const PiecesIndex *index, const Piece *piece, int fd,
                int image_fd, uint8_t *work, uint64_t *prefix_at, size_t *prefix_size, Error *error)
{
        uint8_t blob[PIECE_BLOCKS_MAX * PIECE_BLOCK_SIZE], made[sizeof(blob)], wanted[sizeof(blob)];
        size_t size;
        uint64_t at = piece_prefix(index, piece, &size);
        int r = 0;

        if (at != *prefix_at || size != *prefix_size) {
                r = pread_full(image_fd, work, size, at);
                *prefix_at = at;
                *prefix_size = size;
        }
        if (r >= 0)
                r = pread_full(fd, blob, piece->blob_size_bytes, piece->blob_offset);
        if (r >= 0)
                r = pread_full(image_fd, wanted, piece->size_bytes, piece->offset);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the pieces: %s", strerror(-r));
        r = piece_decode(decoder, piece, blob, work, size, made, error);
        if (r >= 0 && memcmp(made, wanted, piece->size_bytes) != 0)
                r = error_set(error, ERROR_CORRUPT, EBADMSG,
                                "a piece decodes to other bytes than the image has");
        return r;
}

static int prove(int fd, int image_fd, PiecesReport *report, Error *error)
{
        _cleanup_(pieces_index_freep) PiecesIndex *index = NULL;
        _cleanup_(piece_decoder_freep) PieceDecoder *decoder = NULL;
        _cleanup_free_ uint8_t *data = NULL, *work = malloc(PIECES_SEGMENT_MAX);
        PayloadExpectation expectation = { .memory_max_bytes = PAYLOAD_MEMORY_MAX };
        uint8_t header[PIECES_HEADER_SIZE];
        uint64_t prefix_at = UINT64_MAX, image_size = 0;
        size_t prefix_size = 0;
        int r = fd_size(fd, &expectation.payload_size_bytes);

        if (r >= 0)
                r = fd_size(image_fd, &image_size);
        if (r >= 0)
                r = pread_full(fd, header, sizeof(header), 0);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the pieces: %s", strerror(-r));
        r = pieces_header_parse(header, sizeof(header), &expectation.index_size_bytes,
                        &expectation.target_size_bytes, error);
        if (r < 0)
                return r;
        data = malloc(expectation.index_size_bytes);
        if (!data || !work)
                return error_oom(error);
        if (expectation.target_size_bytes != image_size ||
                        pread_full(fd, data, expectation.index_size_bytes, 0) < 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "the pieces are those of another image");
        sha256_of(data, expectation.index_size_bytes, expectation.index_sha256);
        r = pieces_index_parse(data, expectation.index_size_bytes, &expectation, &index, error);
        if (r >= 0)
                r = piece_decoder_new(&decoder, error);
        for (size_t i = 0; r >= 0 && i < index->count; i++)
                r = prove_piece(decoder, index, &index->list[i], fd, image_fd, work, &prefix_at,
                                &prefix_size, error);
        if (r < 0)
                return r;
        *report = (PiecesReport){ .size_bytes = expectation.payload_size_bytes,
                .index_size_bytes = expectation.index_size_bytes,
                .memory_bytes = pieces_memory_needed(index->count, index->segment_bytes),
                .count = index->count };
        memcpy(report->index_sha256, expectation.index_sha256, SHA256_SIZE);
        r = sha256_of_fd(fd, 0, report->size_bytes, report->sha256);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read the pieces: %s", strerror(-r)) : 0;
}

int pieces_prove(int image_fd, const char *path, PiecesReport *ret, Error *error)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s", path, strerror(errno));
        return prove(fd, image_fd, ret, error);
}

static int write_file(Encoding *encoding, const char *path, PiecesReport *ret, Error *error)
{
        _cleanup_output_file_ OutputFile file = OUTPUT_FILE_CLOSED;
        _cleanup_buffer_ Buffer index = BUFFER_WITH_CAP(4 * PAYLOAD_INDEX_MAX);
        PiecesReport report;
        int r = output_file_open(path, 0644, &file, error);

        if (r >= 0)
                r = make_index(encoding, &index, error);
        if (r < 0)
                return r;
        r = pwrite_full(file.fd, index.data, index.size, 0);
        if (r < 0)
                return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                "cannot write \"%s\": %s", path, strerror(-r));
        r = copy_blobs(encoding, file.fd, index.size, error);
        if (r >= 0)
                r = prove(file.fd, encoding->image_fd, &report, error);
        if (r >= 0)
                r = output_file_commit(&file, error);
        if (r >= 0)
                *ret = report;
        return r;
}

static int encode(Encoding *encoding, unsigned threads, const char *path, PiecesReport *ret, Error *error)
{
        const OrderedWork work = { .count = (encoding->image_size + SEGMENT_BYTES - 1) / SEGMENT_BYTES,
                .produce = produce,
                .consume = consume,
                .data = encoding };
        int r = find_cuts(encoding, error);

        if (r >= 0)
                r = scratch_file_open(path, &encoding->blobs_fd, error);
        if (r < 0)
                return r;
        encoding->window_size = ordered_work_window(threads);
        encoding->window = calloc(encoding->window_size, sizeof(*encoding->window));
        if (!encoding->window)
                return error_oom(error);
        r = ordered_work_run(&work, threads, error);
        return r < 0 ? r : write_file(encoding, path, ret, error);
}

int pieces_encode(int image_fd, unsigned threads, const char *path, PayloadProgress progress,
                void *progress_data, PiecesReport *ret, Error *error)
{
        _cleanup_(encoding_done) Encoding encoding = { .image_fd = image_fd,
                .blobs_fd = -1,
                .blocks_max = PIECE_BLOCKS,
                .sizes = BUFFER_WITH_CAP(4 * PAYLOAD_INDEX_MAX),
                .hashes = BUFFER_WITH_CAP(4 * PAYLOAD_INDEX_MAX),
                .progress = progress,
                .progress_data = progress_data };
        int r = fd_size(image_fd, &encoding.image_size);

        if (r >= 0 && encoding.image_size == 0)
                r = -ENODATA;
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the image: %s", strerror(-r));
        /* Even if every block were a piece of its own by the ends of files, it has to fit. */
        while (encoding.blocks_max < PIECE_BLOCKS_MAX &&
                        encoding.image_size / PIECE_BLOCK_SIZE / encoding.blocks_max > PIECES_MAX / 4)
                encoding.blocks_max *= 2;
        return encode(&encoding,
                        threads > 0 ? MIN_OF(threads, (unsigned)ORDERED_WORK_THREADS_MAX)
                                    : processor_count(),
                        path, ret, error);
}
