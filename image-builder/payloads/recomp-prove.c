/* SPDX-License-Identifier: Apache-2.0 */
#include "recomp-find.h"

#include "bytes.h"

#include <lzma.h>
#include <string.h>
#include <zstd.h>

/* Enough for any codec's parameters. */
#define CODINGS_MAX 64

/* Nobody waits for all parameters of a long stream: so many clear bytes are compressed in search of them. */
#define TRIED_MAX (32 * MIB)

typedef struct Codings {
        RecompCoding list[CODINGS_MAX];
        size_t count;
} Codings;

static int bytes_read(void *data, uint64_t offset, void *ret, size_t size, Error *error)
{
        memcpy(ret, (const uint8_t *)data + offset, size);
        return 0;
}

PatchView recomp_bytes_view(const uint8_t *data, size_t size)
{
        return (PatchView){ .read = bytes_read, .data = (void *)data, .size_bytes = size };
}

static void add(Codings *codings, uint8_t codec, unsigned first, unsigned second, unsigned third)
{
        if (codings->count < CODINGS_MAX)
                codings->list[codings->count++] =
                                (RecompCoding){ codec, { (uint8_t)first, (uint8_t)second, (uint8_t)third } };
}

/* The likeliest first. The kernel's own build says 9. */
static void list_lz4(const uint8_t *data, size_t size, Codings *ret)
{
        static const uint8_t levels[] = { 9, 12, 1, 3, 4, 5, 6, 7, 8, 10, 11 };

        for (size_t i = 0; i < ELEMENTS(levels); i++)
                add(ret, RECOMP_LZ4, levels[i], 0, 0);
}

static void list_deflate(const uint8_t *data, size_t size, Codings *ret)
{
        static const uint8_t levels[] = { 9, 6, 1, 2, 3, 4, 5, 7, 8 };

        for (size_t i = 0; i < ELEMENTS(levels); i++)
                for (unsigned memory = 9; memory >= 8; memory--)
                        add(ret, RECOMP_DEFLATE, levels[i], memory, 0);
}

static void list_zstd(const uint8_t *data, size_t size, Codings *ret)
{
        static const uint8_t levels[] = { 19, 3, 22, 20, 21, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6,
                5, 4, 2, 1 };
        bool has_checksum = size > 4 && (data[4] & 4) != 0; /* RFC 8878, 3.1.1.1.1 */

        if (ZSTD_getFrameContentSize(data, size) == ZSTD_CONTENTSIZE_UNKNOWN)
                return;
        for (size_t i = 0; i < ELEMENTS(levels); i++)
                add(ret, RECOMP_ZSTD, levels[i], has_checksum, 0);
}

/* What the headers of a .xz file tell: its check, whether the x86 filter is used, and the dictionary. */
static bool read_xz_headers(const uint8_t *data, size_t size, unsigned *ret_flags, unsigned *ret_dictionary)
{
        lzma_filter filters[LZMA_FILTERS_MAX + 1];
        lzma_stream_flags flags;
        lzma_block block = { .version = 1, .filters = filters };
        const lzma_options_lzma *lzma;
        bool has_x86, is_ours;
        size_t last;

        if (size < LZMA_STREAM_HEADER_SIZE + 1 || lzma_stream_header_decode(&flags, data) != LZMA_OK)
                return false;
        data += LZMA_STREAM_HEADER_SIZE;
        size -= LZMA_STREAM_HEADER_SIZE;
        block.check = flags.check;
        block.header_size = lzma_block_header_size_decode(data[0]);
        if (data[0] == 0 || block.header_size > size ||
                        lzma_block_header_decode(&block, NULL, data) != LZMA_OK)
                return false;
        has_x86 = filters[0].id == LZMA_FILTER_X86;
        last = has_x86 ? 1 : 0;
        lzma = filters[last].options;
        is_ours = filters[last].id == LZMA_FILTER_LZMA2 && lzma->dict_size > 0 &&
                  (lzma->dict_size & (lzma->dict_size - 1)) == 0 &&
                  (!has_x86 || !filters[0].options ||
                                  ((const lzma_options_bcj *)filters[0].options)->start_offset == 0);
        if (is_ours) {
                *ret_flags = flags.check | (has_x86 ? RECOMP_XZ_X86 : 0);
                *ret_dictionary = (unsigned)__builtin_ctz(lzma->dict_size);
        }
        for (size_t i = 0; filters[i].id != LZMA_VLI_UNKNOWN; i++)
                free(filters[i].options);
        return is_ours;
}

static void list_xz(const uint8_t *data, size_t size, Codings *ret)
{
        /* 7 to 9 are 6 with another dictionary. */
        static const uint8_t presets[] = { 6, 0, 1, 2, 3, 4, 5 };
        unsigned flags, dictionary;

        if (!read_xz_headers(data, size, &flags, &dictionary))
                return;
        for (size_t i = 0; i < ELEMENTS(presets); i++)
                for (unsigned extreme = 0; extreme <= 1; extreme++)
                        add(ret, RECOMP_XZ, presets[i], dictionary,
                                        flags | (extreme ? RECOMP_XZ_EXTREME : 0));
}

static void (*const lists[RECOMP_CODECS_MAX])(const uint8_t *, size_t, Codings *) = {
        [RECOMP_LZ4] = list_lz4,
        [RECOMP_DEFLATE] = list_deflate,
        [RECOMP_XZ] = list_xz,
        [RECOMP_ZSTD] = list_zstd,
};

static int open_stream(const uint8_t *data, uint64_t memory_max, const PatchView *packed,
                RecompStream *stream, RecompView **ret, Error *error)
{
        Error refusal = { 0 };
        int r = recomp_view_new(stream->coding.codec, packed, memory_max, ret, &refusal);

        if (r == -ENOMEM)
                return error_oom(error);
        if (r < 0)
                return 0;
        stream->clear_size_bytes = recomp_view_clear(*ret).size_bytes;
        stream->view_memory_bytes = recomp_view_memory(*ret);
        return 1;
}

int recomp_measure(const uint8_t *data, uint64_t memory_max_bytes, RecompStream *stream, Error *error)
{
        PatchView packed = recomp_bytes_view(data + stream->offset, stream->size_bytes);
        _cleanup_(recomp_view_freep) RecompView *view = NULL;

        return open_stream(data, memory_max_bytes, &packed, stream, &view, error);
}

typedef struct Feed {
        PatchView clear;
        uint64_t done;
} Feed;

static int feed(void *data, void *ret, size_t size, Error *error)
{
        Feed *source = data;
        int r = source->clear.read(source->clear.data, source->done, ret, size, error);

        if (r >= 0)
                source->done += size;
        return r;
}

/* Whether the first `clear_size` clear bytes give the first `size` packed ones. */
static int gives(RecompView *view, const RecompCoding *coding, const uint8_t *packed, size_t size,
                uint64_t clear_size, uint8_t *scratch, Error *error)
{
        Feed source = { .clear = recomp_view_clear(view) };
        const RecompReader reader = { .read = feed, .data = &source, .size_bytes = clear_size };
        Error refusal = { 0 };
        int r = recomp_encode(coding, &reader, scratch, size, &refusal);

        if (r == -ENOMEM)
                return error_oom(error);
        return r >= 0 && memcmp(packed, scratch, size) == 0;
}

/* A stream of several blocks is only tried as a whole with the level that its first block has. */
static int gives_first(RecompView *view, const RecompCoding *coding, const uint8_t *packed, size_t size,
                uint64_t clear_size, uint8_t *scratch, Error *error)
{
        size_t first;

        if (coding->codec != RECOMP_LZ4 || clear_size <= RECOMP_LZ4_BLOCK)
                return 1;
        first = 8 + (size_t)read_le32(packed + 4);
        return gives(view, coding, packed, first, RECOMP_LZ4_BLOCK, scratch, error);
}

int recomp_prove(const uint8_t *data, uint64_t memory_max_bytes, RecompStream *stream, Error *error)
{
        const uint8_t *packed_bytes = data + stream->offset;
        PatchView packed = recomp_bytes_view(packed_bytes, stream->size_bytes);
        _cleanup_free_ uint8_t *scratch = malloc(stream->size_bytes + 1);
        _cleanup_(recomp_view_freep) RecompView *view = NULL;
        Codings codings = { .count = 0 };
        uint64_t tried = 0;
        int r;

        if (!scratch)
                return error_oom(error);
        r = open_stream(data, memory_max_bytes, &packed, stream, &view, error);
        if (r <= 0)
                return r;
        lists[stream->coding.codec](packed_bytes, stream->size_bytes, &codings);
        for (size_t i = 0; i < codings.count && tried < TRIED_MAX; i++) {
                const RecompCoding *coding = &codings.list[i];

                if (recomp_memory(coding->codec, stream->view_memory_bytes, coding,
                                    stream->clear_size_bytes) > memory_max_bytes)
                        continue;
                r = gives_first(view, coding, packed_bytes, stream->size_bytes, stream->clear_size_bytes,
                                scratch, error);
                if (r > 0)
                        tried += stream->clear_size_bytes;
                if (r > 0)
                        r = gives(view, coding, packed_bytes, stream->size_bytes, stream->clear_size_bytes,
                                        scratch, error);
                if (r < 0)
                        return r;
                if (r > 0) {
                        stream->coding = *coding;
                        return 1;
                }
        }
        return 0;
}
