/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-format.h"
#include "disk-source.h"
#include "file.h"

#include <string.h>
#include <zstd.h>

/* The raw disk as one zstd frame (RFC 8878) with its size and a checksum: `zstd -d` makes it again, as does
 * whoever writes it to a disk on the way. */

#define UNIT (4 * MIB)
#define LEVEL 6

typedef struct Stream {
        ZSTD_CCtx *context;
        uint8_t *out;
        size_t out_size;
        int fd;
        uint64_t at; /* of the output file */
} Stream;

static int feed(Stream *stream, const uint8_t *data, size_t size, bool is_last)
{
        ZSTD_inBuffer in = { data, size, 0 };
        size_t left;

        do {
                ZSTD_outBuffer out = { stream->out, stream->out_size, 0 };
                int r;

                left = ZSTD_compressStream2(
                                stream->context, &out, &in, is_last ? ZSTD_e_end : ZSTD_e_continue);
                if (ZSTD_isError(left))
                        return -EIO;
                r = pwrite_full(stream->fd, out.dst, out.pos, stream->at);
                if (r < 0)
                        return r;
                stream->at += out.pos;
        } while (in.pos < in.size || (is_last && left > 0));
        return 0;
}

static int write_all(const DiskSource *source, Stream *stream, uint8_t *unit, const uint8_t *zeros)
{
        uint64_t done = 0, next = 0;
        int r = 0;

        while (r >= 0 && done < source->size_bytes) {
                size_t size = (size_t)MIN_OF((uint64_t)UNIT, source->size_bytes - done);
                bool is_last = done + size == source->size_bytes;

                if (next <= done && next < source->size_bytes) {
                        next = done;
                        r = disk_source_next(source, &next, unit, UNIT);
                        if (r == 0)
                                next = source->size_bytes;
                }
                if (r >= 0)
                        r = feed(stream, next == done ? unit : zeros, size, is_last);
                done += size;
                if (next < done)
                        next = done;
        }
        return r;
}

int disk_write_zst(const DiskSource *source, int fd, Error *error)
{
        Stream stream = { .context = ZSTD_createCCtx(), .out_size = ZSTD_CStreamOutSize(), .fd = fd };
        _cleanup_free_ uint8_t *unit = malloc(UNIT), *zeros = calloc(1, UNIT);
        int r = -ENOMEM;

        stream.out = malloc(stream.out_size);
        if (stream.context && stream.out && unit && zeros &&
                        !ZSTD_isError(ZSTD_CCtx_setParameter(
                                        stream.context, ZSTD_c_compressionLevel, LEVEL)) &&
                        !ZSTD_isError(ZSTD_CCtx_setParameter(stream.context, ZSTD_c_checksumFlag, 1)) &&
                        !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(stream.context, source->size_bytes)))
                r = write_all(source, &stream, unit, zeros);
        (void)ZSTD_freeCCtx(stream.context);
        free(stream.out);
        return r < 0 ? disk_write_failed("raw.zst", r, error) : 0;
}
