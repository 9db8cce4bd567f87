/* SPDX-License-Identifier: Apache-2.0 */
#include "recomp-codec.h"

#include <zlib.h>

/* Raw deflate with a window of 32 KiB. */

#define WINDOW_BITS (-15)
#define MEMORY_FIXED (16 * KIB) /* what zlib's states take besides its tables */
#define DECODER_MEMORY (48 * KIB + 2 * RECOMP_PIECE)

static bool is_valid(const RecompCoding *coding)
{
        return coding->parameters[0] >= 1 && coding->parameters[0] <= 9 && coding->parameters[1] >= 1 &&
               coding->parameters[1] <= 9 && coding->parameters[2] <= Z_FIXED;
}

static void inflate_done(z_stream *stream)
{
        (void)inflateEnd(stream);
}

static void deflate_done(z_stream *stream)
{
        (void)deflateEnd(stream);
}

/* All that the input in the stream gives. */
static int inflate_piece(z_stream *stream, uint8_t *piece, Buffer *ret, Error *error)
{
        int r = Z_OK;

        do {
                stream->next_out = piece;
                stream->avail_out = RECOMP_PIECE;
                r = inflate(stream, Z_NO_FLUSH);
                if (r == Z_MEM_ERROR)
                        return error_oom(error);
                if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
                        return recomp_malformed("deflate", error);
                r = r == Z_STREAM_END ? 1 : 0;
                switch (buffer_append(ret, piece, RECOMP_PIECE - stream->avail_out)) {
                case 0:
                        break;
                case -ENOMEM:
                        return error_oom(error);
                default:
                        return recomp_malformed("deflate", error);
                }
        } while (r == 0 && (stream->avail_in > 0 || stream->avail_out == 0));
        return r;
}

static int unpack(const PatchView *packed, Buffer *ret, Error *error)
{
        _cleanup_free_ RecompInput *input = malloc(sizeof(*input));
        _cleanup_free_ uint8_t *piece = malloc(RECOMP_PIECE);
        z_stream stream = { 0 };
        int r = 0;

        if (!input || !piece || inflateInit2(&stream, WINDOW_BITS) != Z_OK)
                return error_oom(error);
        *input = (RecompInput){ .packed = packed };
        while (r == 0) {
                size_t size;

                r = recomp_input_next(input, &size, error);
                if (r >= 0 && size == 0)
                        r = recomp_malformed("deflate", error);
                stream.next_in = input->piece;
                stream.avail_in = r < 0 ? 0 : (uInt)size;
                if (r >= 0)
                        r = inflate_piece(&stream, piece, ret, error);
        }
        if (r > 0)
                r = stream.avail_in > 0 || input->done < packed->size_bytes
                                    ? recomp_malformed("deflate", error)
                                    : 0;
        inflate_done(&stream);
        return r;
}

/* Whether all room is used and nothing is left: zlib only knows once there is room for one byte more. */
static bool finish(z_stream *stream, int r)
{
        uint8_t spare;

        if (stream->avail_out > 0)
                return false;
        stream->next_out = &spare;
        stream->avail_out = 1;
        return r == Z_STREAM_END || (deflate(stream, Z_FINISH) == Z_STREAM_END && stream->avail_out == 1);
}

static int deflate_all(z_stream *stream, const RecompReader *clear, uint8_t *piece, Error *error)
{
        uint64_t left = clear->size_bytes;
        int r;

        do {
                size_t size;

                r = recomp_read_piece(clear, &left, piece, &size, error);
                if (r < 0)
                        return r;
                stream->next_in = piece;
                stream->avail_in = (uInt)size;
                r = deflate(stream, left == 0 ? Z_FINISH : Z_NO_FLUSH);
                if (r != Z_OK && r != Z_STREAM_END)
                        return recomp_other_size("deflate", error);
        } while (left > 0);
        return finish(stream, r) ? 0 : recomp_other_size("deflate", error);
}

static int encode(const RecompCoding *coding, const RecompReader *clear, uint8_t *ret, size_t size,
                Error *error)
{
        _cleanup_free_ uint8_t *piece = malloc(RECOMP_PIECE);
        _cleanup_(deflate_done) z_stream stream = { 0 };

        if (size > UINT32_MAX)
                return recomp_other_size("deflate", error);
        if (!piece || deflateInit2(&stream, coding->parameters[0], Z_DEFLATED, WINDOW_BITS,
                                      coding->parameters[1], coding->parameters[2]) != Z_OK)
                return error_oom(error);
        stream.next_out = ret;
        stream.avail_out = (uInt)size;
        return deflate_all(&stream, clear, piece, error);
}

/* As zconf.h says. */
static uint64_t encoder_memory(const RecompCoding *coding, uint64_t clear_size)
{
        return (UINT64_C(1) << (15 + 2)) + (UINT64_C(1) << (coding->parameters[1] + 9)) + MEMORY_FIXED +
               RECOMP_PIECE;
}

const RecompCodec recomp_deflate = { .name = "deflate",
        .is_valid = is_valid,
        .unpack = unpack,
        .encode = encode,
        .encoder_memory = encoder_memory,
        .decoder_memory = DECODER_MEMORY };
