/* SPDX-License-Identifier: Apache-2.0 */
#include "recomp-codec.h"

#include <lzma.h>

/* A .xz file of one stream with one block, as `xz` writes from a pipe: filters x86 (maybe) and LZMA2 with
 * the parameters of a preset but for the dictionary. */

#define PRESET_MAX 9
#define DICTIONARY_LOG_MIN 12
#define DICTIONARY_LOG_MAX 26
#define DECODER_MEMORY_MAX (9 * MIB) /* a dictionary of 8 MiB and what liblzma holds besides */
#define MEMORY_FIXED (64 * KIB)      /* stream, index and block states */

static bool is_valid(const RecompCoding *coding)
{
        uint8_t check = coding->parameters[2] & RECOMP_XZ_CHECK;

        return coding->parameters[0] <= PRESET_MAX && coding->parameters[1] >= DICTIONARY_LOG_MIN &&
               coding->parameters[1] <= DICTIONARY_LOG_MAX && lzma_check_is_supported((lzma_check)check) &&
               (coding->parameters[2] & ~(RECOMP_XZ_CHECK | RECOMP_XZ_EXTREME | RECOMP_XZ_X86)) == 0;
}

static void stream_done(lzma_stream *stream)
{
        lzma_end(stream);
}

static int unpack_piece(lzma_stream *stream, uint8_t *piece, lzma_action action, Buffer *ret, Error *error)
{
        lzma_ret code;

        do {
                int r;

                stream->next_out = piece;
                stream->avail_out = RECOMP_PIECE;
                code = lzma_code(stream, action);
                if (code == LZMA_MEM_ERROR)
                        return error_oom(error);
                if (code != LZMA_OK && code != LZMA_STREAM_END && code != LZMA_BUF_ERROR)
                        return recomp_malformed("xz", error);
                r = buffer_append(ret, piece, RECOMP_PIECE - stream->avail_out);
                if (r < 0)
                        return r == -ENOMEM ? error_oom(error) : recomp_malformed("xz", error);
        } while (code == LZMA_OK && (stream->avail_in > 0 || stream->avail_out == 0));
        return code == LZMA_STREAM_END ? 1 : 0;
}

static int unpack(const PatchView *packed, Buffer *ret, Error *error)
{
        _cleanup_free_ RecompInput *input = malloc(sizeof(*input));
        _cleanup_free_ uint8_t *piece = malloc(RECOMP_PIECE);
        _cleanup_(stream_done) lzma_stream stream = LZMA_STREAM_INIT;
        int r = 0;

        if (!input || !piece || lzma_stream_decoder(&stream, DECODER_MEMORY_MAX, 0) != LZMA_OK)
                return error_oom(error);
        *input = (RecompInput){ .packed = packed };
        while (r == 0) {
                size_t size;

                r = recomp_input_next(input, &size, error);
                if (r < 0)
                        return r;
                if (size == 0)
                        return recomp_malformed("xz", error);
                stream.next_in = input->piece;
                stream.avail_in = size;
                r = unpack_piece(&stream, piece, LZMA_RUN, ret, error);
        }
        if (r < 0)
                return r;
        return stream.avail_in > 0 || input->done < packed->size_bytes ? recomp_malformed("xz", error) : 0;
}

typedef struct Filters {
        lzma_options_lzma lzma;
        lzma_filter chain[3];
} Filters;

static int make_filters(const RecompCoding *coding, Filters *ret)
{
        uint32_t extreme = coding->parameters[2] & RECOMP_XZ_EXTREME ? LZMA_PRESET_EXTREME : 0;
        size_t count = 0;

        if (lzma_lzma_preset(&ret->lzma, coding->parameters[0] | extreme))
                return -EINVAL;
        ret->lzma.dict_size = UINT32_C(1) << coding->parameters[1];
        if (coding->parameters[2] & RECOMP_XZ_X86)
                ret->chain[count++] = (lzma_filter){ .id = LZMA_FILTER_X86 };
        ret->chain[count++] = (lzma_filter){ .id = LZMA_FILTER_LZMA2, .options = &ret->lzma };
        ret->chain[count] = (lzma_filter){ .id = LZMA_VLI_UNKNOWN };
        return 0;
}

static int encode_all(lzma_stream *stream, const RecompReader *clear, uint8_t *piece, Error *error)
{
        uint64_t left = clear->size_bytes;
        lzma_ret code;

        do {
                size_t size;
                int r = recomp_read_piece(clear, &left, piece, &size, error);

                if (r < 0)
                        return r;
                stream->next_in = piece;
                stream->avail_in = size;
                do
                        code = lzma_code(stream, left == 0 ? LZMA_FINISH : LZMA_RUN);
                while (code == LZMA_OK && stream->avail_out > 0 && (stream->avail_in > 0 || left == 0));
                if (code != LZMA_STREAM_END && (code != LZMA_OK || stream->avail_in > 0))
                        return recomp_other_size("xz", error);
        } while (left > 0);
        return code == LZMA_STREAM_END && stream->avail_out == 0 ? 0 : recomp_other_size("xz", error);
}

static int encode(const RecompCoding *coding, const RecompReader *clear, uint8_t *ret, size_t size,
                Error *error)
{
        lzma_check check = (lzma_check)(coding->parameters[2] & RECOMP_XZ_CHECK);
        _cleanup_(stream_done) lzma_stream stream = LZMA_STREAM_INIT;
        _cleanup_free_ uint8_t *piece = malloc(RECOMP_PIECE);
        Filters filters;

        if (!piece || make_filters(coding, &filters) < 0 ||
                        lzma_stream_encoder(&stream, filters.chain, check) != LZMA_OK)
                return error_oom(error);
        stream.next_out = ret;
        stream.avail_out = size;
        return encode_all(&stream, clear, piece, error);
}

static uint64_t encoder_memory(const RecompCoding *coding, uint64_t clear_size)
{
        Filters filters;
        uint64_t memory = make_filters(coding, &filters) < 0 ? UINT64_MAX
                                                             : lzma_raw_encoder_memusage(filters.chain);

        return ADD_OVERFLOWS(memory, MEMORY_FIXED + RECOMP_PIECE, &memory) ? UINT64_MAX : memory;
}

const RecompCodec recomp_xz = { .name = "xz",
        .is_valid = is_valid,
        .unpack = unpack,
        .encode = encode,
        .encoder_memory = encoder_memory,
        .decoder_memory = DECODER_MEMORY_MAX + 2 * RECOMP_PIECE };
