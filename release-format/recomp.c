/* SPDX-License-Identifier: Apache-2.0 */
#include "recomp-codec.h"

#include <string.h>

static const RecompCodec *const codecs[RECOMP_CODECS_MAX] = {
        [RECOMP_LZ4] = &recomp_lz4,
        [RECOMP_DEFLATE] = &recomp_deflate,
        [RECOMP_XZ] = &recomp_xz,
        [RECOMP_ZSTD] = &recomp_zstd,
};

struct RecompView {
        uint8_t codec;
        PatchView packed;
        Lz4View *lz4;
        Buffer content; /* of the codecs that have no view of their own */
};

uint64_t recomp_coding_pack(const RecompCoding *coding)
{
        uint64_t number = coding->codec;

        for (unsigned i = 0; i < RECOMP_PARAMETERS; i++)
                number |= (uint64_t)coding->parameters[i] << (8 * (i + 1));
        return number;
}

int recomp_coding_unpack(uint64_t number, RecompCoding *ret, Error *error)
{
        RecompCoding coding = { .codec = (uint8_t)number };

        for (unsigned i = 0; i < RECOMP_PARAMETERS; i++)
                coding.parameters[i] = (uint8_t)(number >> (8 * (i + 1)));
        if (number > UINT32_MAX || coding.codec >= RECOMP_CODECS_MAX)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "the coding of a stream does not exist");
        if (coding.codec == RECOMP_NONE ? number != 0 : !codecs[coding.codec]->is_valid(&coding))
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "the coding of a stream has impossible parameters for %s",
                                recomp_codec_name(coding.codec));
        *ret = coding;
        return 0;
}

const char *recomp_codec_name(uint8_t codec)
{
        return codec > RECOMP_NONE && codec < RECOMP_CODECS_MAX ? codecs[codec]->name : "none";
}

int recomp_malformed(const char *codec, Error *error)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "a stream of %s does not unpack as promised", codec);
}

int recomp_other_size(const char *codec, Error *error)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "compressing with %s gives another size than signed",
                        codec);
}

int recomp_input_next(RecompInput *input, size_t *ret_size, Error *error)
{
        size_t size = (size_t)MIN_OF(input->packed->size_bytes - input->done, RECOMP_PIECE);
        int r = size == 0 ? 0
                          : input->packed->read(input->packed->data, input->done, input->piece, size, error);

        if (r < 0)
                return r;
        input->done += size;
        *ret_size = size;
        return 0;
}

int recomp_read_piece(const RecompReader *clear, uint64_t *left, void *ret, size_t *ret_size, Error *error)
{
        size_t size = (size_t)MIN_OF(*left, RECOMP_PIECE);
        int r = size == 0 ? 0 : clear->read(clear->data, ret, size, error);

        if (r < 0)
                return r;
        *left -= size;
        *ret_size = size;
        return 0;
}

RecompView *recomp_view_free(RecompView *view)
{
        if (!view)
                return NULL;
        (void)lz4_view_free(view->lz4);
        buffer_done(&view->content);
        free(view);
        return NULL;
}

static int open_codec(RecompView *view, uint64_t memory_max, Error *error)
{
        if (view->codec == RECOMP_NONE)
                return 0;
        if (view->codec == RECOMP_LZ4)
                return lz4_view_new(&view->packed, memory_max, &view->lz4, error);
        view->content.cap = (size_t)MIN_OF(memory_max, (uint64_t)SIZE_MAX / 2);
        return codecs[view->codec]->unpack(&view->packed, &view->content, error);
}

int recomp_view_new(uint8_t codec, const PatchView *packed, uint64_t memory_max_bytes, RecompView **ret,
                Error *error)
{
        _cleanup_(recomp_view_freep) RecompView *view = NULL;
        int r;

        if (codec >= RECOMP_CODECS_MAX)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "the coding of a stream does not exist");
        view = calloc(1, sizeof(*view));
        if (!view)
                return error_oom(error);
        view->codec = codec;
        view->packed = *packed;
        r = open_codec(view, memory_max_bytes, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(view);
        return 0;
}

static int view_read(void *data, uint64_t offset, void *ret, size_t size, Error *error)
{
        RecompView *view = data;
        uint64_t end;

        if (ADD_OVERFLOWS(offset, (uint64_t)size, &end) || end > recomp_view_clear(view).size_bytes)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "a read past the end of a stream");
        if (view->codec == RECOMP_NONE)
                return view->packed.read(view->packed.data, offset, ret, size, error);
        if (view->lz4)
                return lz4_view_read(view->lz4, offset, ret, size, error);
        if (size > 0)
                memcpy(ret, view->content.data + offset, size);
        return 0;
}

PatchView recomp_view_clear(RecompView *view)
{
        return (PatchView){ .read = view_read,
                .data = view,
                .size_bytes = view->codec == RECOMP_NONE ? view->packed.size_bytes
                              : view->lz4                ? lz4_view_size(view->lz4)
                                                         : view->content.size };
}

uint64_t recomp_view_memory(const RecompView *view)
{
        return view->lz4 ? lz4_view_memory(view->lz4) : view->content.size;
}

static int copy_all(const RecompReader *clear, uint8_t *ret, size_t size, Error *error)
{
        if (clear->size_bytes != size)
                return recomp_other_size("none", error);
        return size == 0 ? 0 : clear->read(clear->data, ret, size, error);
}

int recomp_encode(const RecompCoding *coding, const RecompReader *clear, uint8_t *ret, size_t size,
                Error *error)
{
        return coding->codec == RECOMP_NONE ? copy_all(clear, ret, size, error)
                                            : codecs[coding->codec]->encode(coding, clear, ret, size, error);
}

uint64_t recomp_memory(uint8_t old_codec, uint64_t view_memory_bytes, const RecompCoding *coding,
                uint64_t clear_size_bytes)
{
        uint64_t unpacking = old_codec == RECOMP_NONE ? 0 : codecs[old_codec]->decoder_memory;
        uint64_t packing = coding->codec == RECOMP_NONE
                                           ? 0
                                           : codecs[coding->codec]->encoder_memory(coding, clear_size_bytes);
        uint64_t sum;

        return ADD_OVERFLOWS(view_memory_bytes, MAX_OF(unpacking, packing), &sum) ? UINT64_MAX : sum;
}
