/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-format.h"
#include "disk-source.h"
#include "file.h"
#include "tar-header.h"

#include <string.h>
#include <zlib.h>

/* What Google Compute Engine imports: "disk.raw" in a gzipped archive of the old GNU kind, sparse, the disk
 * a whole number of GiB long. The space after what was built is /var's, which grows into it. */

#define UNIT (64 * KIB)
#define PIECES_MAX 1000000
#define LEVEL 6

/* The map of a sparse member: some places in its header, the others in blocks behind it. */
#define MAP_AT 386
#define MAP_IN_HEADER 4
#define MAP_IN_BLOCK 21
#define MAP_ENTRY_SIZE 24
#define EXTENDED_AT 482
#define EXTENDED_IN_BLOCK_AT 504
#define REAL_SIZE_AT 483

typedef struct Piece {
        uint64_t offset, size;
} Piece;

typedef struct Writer {
        const DiskSource *source;
        Piece *pieces;
        size_t count;
        z_stream stream;
        uint8_t out[64 * KIB];
        int fd;
        uint64_t at;
} Writer;

static int add_piece(Writer *writer, uint64_t offset, uint64_t size)
{
        Piece *last = writer->count > 0 ? &writer->pieces[writer->count - 1] : NULL;
        Piece *grown;

        if (last && size > 0 && last->offset + last->size == offset) {
                last->size += size;
                return 0;
        }
        if (writer->count >= PIECES_MAX)
                return -EFBIG;
        grown = reallocarray(writer->pieces, writer->count + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        writer->pieces = grown;
        grown[writer->count++] = (Piece){ offset, size };
        return 0;
}

/* A member that ends with a hole has an empty piece at its end. */
static int find_pieces(Writer *writer, uint64_t real_size, uint8_t *unit)
{
        const DiskSource *source = writer->source;
        uint64_t offset = 0;
        int r;

        while ((r = disk_source_next(source, &offset, unit, UNIT)) > 0) {
                r = add_piece(writer, offset, MIN_OF((uint64_t)UNIT, source->size_bytes - offset));
                if (r < 0)
                        return r;
                offset += UNIT;
        }
        if (r >= 0 && (writer->count == 0 ||
                                      writer->pieces[writer->count - 1].offset +
                                                                      writer->pieces[writer->count - 1]
                                                                                      .size <
                                                      real_size))
                r = add_piece(writer, real_size, 0);
        return r;
}

static int feed(Writer *writer, const void *data, size_t size, int flush)
{
        z_stream *stream = &writer->stream;
        int code;

        stream->next_in = (Bytef *)(uintptr_t)data;
        stream->avail_in = (uInt)size;
        do {
                int r;

                stream->next_out = writer->out;
                stream->avail_out = sizeof(writer->out);
                code = deflate(stream, flush);
                if (code == Z_STREAM_ERROR)
                        return -EIO;
                r = pwrite_full(writer->fd, writer->out, sizeof(writer->out) - stream->avail_out,
                                writer->at);
                if (r < 0)
                        return r;
                writer->at += sizeof(writer->out) - stream->avail_out;
        } while (stream->avail_out == 0);
        return 0;
}

static void put_entries(const Writer *writer, uint8_t *at, size_t first, size_t count)
{
        for (size_t i = first; i < MIN_OF(first + count, writer->count); i++, at += MAP_ENTRY_SIZE) {
                tar_header_number(at, 12, writer->pieces[i].offset);
                tar_header_number(at + 12, 12, writer->pieces[i].size);
        }
}

static int put_headers(Writer *writer, uint64_t real_size)
{
        TarHeader header = { .name = "disk.raw",
                .type = TAR_TYPE_GNU_SPARSE,
                .mode = 0644,
                .mtime = writer->source->epoch,
                .is_gnu = true };
        uint8_t block[TAR_BLOCK_SIZE];
        int r;

        for (size_t i = 0; i < writer->count; i++)
                header.size_bytes += writer->pieces[i].size;
        r = tar_header_fill(&header, block);
        if (r < 0)
                return r;
        put_entries(writer, block + MAP_AT, 0, MAP_IN_HEADER);
        block[EXTENDED_AT] = writer->count > MAP_IN_HEADER;
        tar_header_number(block + REAL_SIZE_AT, 12, real_size);
        tar_header_seal(block);
        r = feed(writer, block, sizeof(block), Z_NO_FLUSH);
        for (size_t i = MAP_IN_HEADER; r >= 0 && i < writer->count; i += MAP_IN_BLOCK) {
                memset(block, 0, sizeof(block));
                put_entries(writer, block, i, MAP_IN_BLOCK);
                block[EXTENDED_IN_BLOCK_AT] = i + MAP_IN_BLOCK < writer->count;
                r = feed(writer, block, sizeof(block), Z_NO_FLUSH);
        }
        return r;
}

/* Pieces are whole sectors, which are blocks of the archive. */
static int put_data(Writer *writer, uint8_t *unit)
{
        static const uint8_t end[2 * TAR_BLOCK_SIZE];

        for (size_t i = 0; i < writer->count; i++)
                for (uint64_t done = 0; done < writer->pieces[i].size;) {
                        size_t size = (size_t)MIN_OF((uint64_t)UNIT, writer->pieces[i].size - done);
                        int r = pread_full(writer->source->fd, unit, size, writer->pieces[i].offset + done);

                        if (r >= 0)
                                r = feed(writer, unit, size, Z_NO_FLUSH);
                        if (r < 0)
                                return r;
                        done += size;
                }
        return feed(writer, end, sizeof(end), Z_FINISH);
}

int disk_write_gce(const DiskSource *source, int fd, Error *error)
{
        uint64_t real_size = disk_units(source->size_bytes, GIB) * GIB;
        _cleanup_free_ Writer *writer = calloc(1, sizeof(*writer));
        _cleanup_free_ uint8_t *unit = malloc(UNIT);
        int r;

        if (!writer || !unit ||
                        deflateInit2(&writer->stream, LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
                                        Z_OK)
                return error_oom(error);
        writer->source = source;
        writer->fd = fd;
        r = find_pieces(writer, real_size, unit);
        if (r >= 0)
                r = put_headers(writer, real_size);
        if (r >= 0)
                r = put_data(writer, unit);
        (void)deflateEnd(&writer->stream);
        free(writer->pieces);
        return r < 0 ? disk_write_failed("gce", r, error) : 0;
}
