/* SPDX-License-Identifier: Apache-2.0 */
#include "recomp-codec.h"

#include <zstd.h>

/* One zstd frame whose header says how long its content is, compressed by one thread. */

#define LEVEL_MAX 22
#define WINDOW_LOG_MAX 23 /* of what is unpacked */
#define DECODER_MEMORY ((UINT64_C(1) << WINDOW_LOG_MAX) + 1 * MIB)

/* What a context takes, measured over all levels and sizes, is less than this and 32 bytes for each byte of
 * content (rounded up to a power of two, from which zstd chooses its tables). */
#define MEMORY_FIXED (512 * KIB)
#define MEMORY_PER_BYTE 32

static bool is_valid(const RecompCoding *coding)
{
        return coding->parameters[0] >= 1 && coding->parameters[0] <= LEVEL_MAX &&
               coding->parameters[1] <= 1 && coding->parameters[2] == 0;
}

static void decoder_done(ZSTD_DCtx **context)
{
        (void)ZSTD_freeDCtx(*context);
}

static void encoder_done(ZSTD_CCtx **context)
{
        (void)ZSTD_freeCCtx(*context);
}

/* All that the input gives; 1 at the end of the frame. */
static int unpack_piece(ZSTD_DCtx *context, ZSTD_inBuffer *in, uint8_t *piece, Buffer *ret, Error *error)
{
        ZSTD_outBuffer out;
        size_t hint;

        do {
                int r;

                out = (ZSTD_outBuffer){ piece, RECOMP_PIECE, 0 };
                hint = ZSTD_decompressStream(context, &out, in);
                if (ZSTD_isError(hint))
                        return recomp_malformed("zstd", error);
                r = buffer_append(ret, piece, out.pos);
                if (r < 0)
                        return r == -ENOMEM ? error_oom(error) : recomp_malformed("zstd", error);
        } while (hint > 0 && (in->pos < in->size || out.pos == out.size));
        return hint == 0 ? 1 : 0;
}

static int unpack(const PatchView *packed, Buffer *ret, Error *error)
{
        _cleanup_free_ RecompInput *input = malloc(sizeof(*input));
        _cleanup_free_ uint8_t *piece = malloc(RECOMP_PIECE);
        _cleanup_(decoder_done) ZSTD_DCtx *context = ZSTD_createDCtx();
        ZSTD_inBuffer in = { 0 };
        int r = 0;

        if (!input || !piece || !context ||
                        ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
                return error_oom(error);
        *input = (RecompInput){ .packed = packed };
        while (r == 0) {
                r = recomp_input_next(input, &in.size, error);
                if (r < 0)
                        return r;
                if (in.size == 0)
                        return recomp_malformed("zstd", error);
                in.src = input->piece;
                in.pos = 0;
                r = unpack_piece(context, &in, piece, ret, error);
        }
        if (r < 0)
                return r;
        return in.pos < in.size || input->done < packed->size_bytes ? recomp_malformed("zstd", error) : 0;
}

static int encode_all(ZSTD_CCtx *context, const RecompReader *clear, uint8_t *piece, ZSTD_outBuffer *out,
                Error *error)
{
        uint64_t left = clear->size_bytes;
        size_t hint;

        do {
                ZSTD_inBuffer in = { piece, 0, 0 };
                int r = recomp_read_piece(clear, &left, piece, &in.size, error);

                if (r < 0)
                        return r;
                do
                        hint = ZSTD_compressStream2(
                                        context, out, &in, left == 0 ? ZSTD_e_end : ZSTD_e_continue);
                while (!ZSTD_isError(hint) && out->pos < out->size &&
                                (in.pos < in.size || (left == 0 && hint > 0)));
                if (ZSTD_isError(hint) || in.pos < in.size)
                        return recomp_other_size("zstd", error);
        } while (left > 0);
        return hint == 0 && out->pos == out->size ? 0 : recomp_other_size("zstd", error);
}

static int encode(const RecompCoding *coding, const RecompReader *clear, uint8_t *ret, size_t size,
                Error *error)
{
        _cleanup_free_ uint8_t *piece = malloc(RECOMP_PIECE);
        _cleanup_(encoder_done) ZSTD_CCtx *context = ZSTD_createCCtx();
        ZSTD_outBuffer out = { ret, size, 0 };

        if (!piece || !context)
                return error_oom(error);
        if (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, coding->parameters[0])) ||
                        ZSTD_isError(ZSTD_CCtx_setParameter(
                                        context, ZSTD_c_checksumFlag, coding->parameters[1])) ||
                        ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context, clear->size_bytes)))
                return error_set(error, ERROR_FAILED, EINVAL, "zstd does not take its parameters");
        return encode_all(context, clear, piece, &out, error);
}

static uint64_t encoder_memory(const RecompCoding *coding, uint64_t clear_size)
{
        uint64_t size = 1;

        while (size < clear_size && size < UINT64_MAX / MEMORY_PER_BYTE / 4)
                size *= 2;
        return size * MEMORY_PER_BYTE + MEMORY_FIXED + RECOMP_PIECE;
}

const RecompCodec recomp_zstd = { .name = "zstd",
        .is_valid = is_valid,
        .unpack = unpack,
        .encode = encode,
        .encoder_memory = encoder_memory,
        .decoder_memory = DECODER_MEMORY };
