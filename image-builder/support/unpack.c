/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack.h"
#include "file.h"

#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define IN_SIZE (64 * KIB)
#define OUT_SIZE (256 * KIB)
#define XZ_MEMORY_MAX (128 * MIB)
#define ZSTD_WINDOW_LOG_MAX 27

typedef struct Unpacker {
        const UnpackSource *from;
        uint64_t at; /* of the source: what was read */
        uint8_t in[IN_SIZE], out[OUT_SIZE];
        size_t in_size; /* 0: the end */
        int to;
        uint64_t limit, total;
        Sha256 *packed, *plain; /* NULL: nobody asks */
} Unpacker;

int unpack_read_fd(void *data, uint64_t offset, void *ret, size_t size)
{
        return pread_full(*(const int *)data, ret, size, offset);
}

static int fill(Unpacker *unpacker)
{
        uint64_t left = unpacker->from->size_bytes - unpacker->at;
        size_t size = (size_t)MIN_OF(left, (uint64_t)IN_SIZE);
        int r = size > 0 ? unpacker->from->read(unpacker->from->data, unpacker->at, unpacker->in, size) : 0;

        if (r < 0)
                return r == -EBADMSG ? -EIO : r;
        if (unpacker->packed)
                sha256_update(unpacker->packed, unpacker->in, size);
        unpacker->at += size;
        unpacker->in_size = size;
        return 0;
}

static int emit(Unpacker *unpacker, const uint8_t *data, size_t size)
{
        if (size > unpacker->limit - unpacker->total)
                return -EFBIG;
        unpacker->total += size;
        if (unpacker->plain)
                sha256_update(unpacker->plain, data, size);
        return write_full(unpacker->to, data, size);
}

/* ---- the formats; each begins with the first piece of input in place ---- */

static int unpack_nothing(Unpacker *unpacker)
{
        int r = 0;

        while (r >= 0 && unpacker->in_size > 0) {
                r = emit(unpacker, unpacker->in, unpacker->in_size);
                if (r >= 0)
                        r = fill(unpacker);
        }
        return r;
}

static void end_gzip(z_stream *stream)
{
        (void)inflateEnd(stream);
}

/* Members may follow each other: the end of one is the end only if nothing comes after it. */
static int unpack_gzip(Unpacker *unpacker)
{
        _cleanup_(end_gzip) z_stream stream = { 0 };
        int code = inflateInit2(&stream, 15 + 16), r = 0;

        if (code != Z_OK)
                return -ENOMEM;
        stream.next_in = unpacker->in;
        stream.avail_in = (uInt)unpacker->in_size;
        while (r >= 0 && (unpacker->in_size > 0 || code != Z_STREAM_END)) {
                if (stream.avail_in == 0) {
                        r = fill(unpacker);
                        stream.next_in = unpacker->in;
                        stream.avail_in = (uInt)unpacker->in_size;
                        if (r >= 0 && unpacker->in_size == 0)
                                return code == Z_STREAM_END ? 0 : -EBADMSG;
                        continue;
                }
                if (code == Z_STREAM_END && inflateReset(&stream) != Z_OK)
                        return -EBADMSG;
                stream.next_out = unpacker->out;
                stream.avail_out = OUT_SIZE;
                code = inflate(&stream, Z_NO_FLUSH);
                if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
                        return code == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
                r = emit(unpacker, unpacker->out, OUT_SIZE - stream.avail_out);
        }
        return r;
}

static void end_xz(lzma_stream *stream)
{
        lzma_end(stream);
}

static int unpack_xz(Unpacker *unpacker)
{
        _cleanup_(end_xz) lzma_stream stream = LZMA_STREAM_INIT;
        lzma_ret code = lzma_stream_decoder(&stream, XZ_MEMORY_MAX, LZMA_CONCATENATED);
        int r = 0;

        stream.next_in = unpacker->in;
        stream.avail_in = unpacker->in_size;
        while (r >= 0 && code == LZMA_OK) {
                if (stream.avail_in == 0 && unpacker->in_size > 0) {
                        r = fill(unpacker);
                        stream.next_in = unpacker->in;
                        stream.avail_in = unpacker->in_size;
                }
                stream.next_out = unpacker->out;
                stream.avail_out = OUT_SIZE;
                if (r >= 0) {
                        code = lzma_code(&stream, unpacker->in_size > 0 ? LZMA_RUN : LZMA_FINISH);
                        r = emit(unpacker, unpacker->out, OUT_SIZE - stream.avail_out);
                }
        }
        if (r >= 0 && code != LZMA_STREAM_END)
                r = code == LZMA_MEM_ERROR ? -ENOMEM : -EBADMSG;
        return r;
}

static void end_zstd(ZSTD_DCtx **context)
{
        (void)ZSTD_freeDCtx(*context);
}

static int unpack_zstd(Unpacker *unpacker)
{
        _cleanup_(end_zstd) ZSTD_DCtx *context = ZSTD_createDCtx();
        size_t left = 1;
        int r = 0;

        if (!context)
                return -ENOMEM;
        if (ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
                return -EINVAL;
        while (r >= 0 && unpacker->in_size > 0) {
                ZSTD_inBuffer in = { unpacker->in, unpacker->in_size, 0 };
                bool is_full = false; /* more may come out of what went in */

                /* Asked for more once a frame has ended, the decoder would begin the next one. */
                while (r >= 0 && (in.pos < in.size || (is_full && left > 0))) {
                        ZSTD_outBuffer out = { unpacker->out, OUT_SIZE, 0 };

                        left = ZSTD_decompressStream(context, &out, &in);
                        if (ZSTD_isError(left))
                                return -EBADMSG;
                        is_full = out.pos == out.size;
                        r = emit(unpacker, unpacker->out, out.pos);
                }
                if (r >= 0)
                        r = fill(unpacker);
        }
        return r < 0 ? r : left == 0 ? 0 : -EBADMSG;
}

static const struct {
        const char *magic;
        size_t size;
        int (*run)(Unpacker *unpacker);
} formats[] = {
        { "\x1f\x8b", 2, unpack_gzip },
        { "\xfd"
          "7zXZ\0",
                        6, unpack_xz },
        { "\x28\xb5\x2f\xfd", 4, unpack_zstd },
        { "", 0, unpack_nothing },
};

static int explain(const Unpacker *unpacker, int r, Error *error)
{
        char limit[SIZE_TEXT_MAX];

        switch (r) {
        case -EFBIG:
                return error_set(error, ERROR_REFUSED, EFBIG, "it unpacks to more than %s",
                                size_format(unpacker->limit, limit));
        case -EBADMSG:
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "its compressed bytes are damaged, cut off or need too much memory");
        case -ENOMEM:
                return error_oom(error);
        case -ENOSPC:
                return error_set(error, ERROR_NO_SPACE, ENOSPC, "there is no room to unpack it");
        default:
                return error_set(error, ERROR_IO, -r, "it cannot be unpacked: %s", strerror(-r));
        }
}

static int run(Unpacker *unpacker)
{
        int r = fill(unpacker);

        for (size_t i = 0; r >= 0 && i < ELEMENTS(formats); i++)
                if (unpacker->in_size >= formats[i].size &&
                                memcmp(unpacker->in, formats[i].magic, formats[i].size) == 0)
                        return formats[i].run(unpacker);
        return r;
}

int unpack(const UnpackSource *from, int to, uint64_t limit_bytes, Unpacked *ret, Error *error)
{
        _cleanup_sha256_ Sha256 *packed = ret ? sha256_new() : NULL, *plain = ret ? sha256_new() : NULL;
        _cleanup_free_ Unpacker *unpacker = calloc(1, sizeof(*unpacker));
        int r;

        if (!unpacker || (ret && (!packed || !plain)))
                return error_oom(error);
        unpacker->from = from;
        unpacker->to = to;
        unpacker->limit = limit_bytes;
        unpacker->packed = packed;
        unpacker->plain = plain;
        r = run(unpacker);
        if (r < 0)
                return explain(unpacker, r, error);
        if (!ret)
                return 0;
        ret->size_bytes = unpacker->total;
        sha256_finish(packed, ret->packed_sha256);
        sha256_finish(plain, ret->sha256);
        return 0;
}
