/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bytes to compress: words that come again, numbers that do not, runs, and zeros; always the same. */

#include "bytes.h"
#include "recomp.h"

#include <lz4hc.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

static inline uint32_t sample_random(uint32_t *state)
{
        *state = *state * 1664525U + 1013904223U;
        return *state >> 16;
}

static inline void sample_fill(uint8_t *ret, size_t size)
{
        static const char *const words[] = { "bascule ", "the slot ", "is proved ", "where it lies\n", "0x",
                "\x48\x8b\x05", "\xe8", "and then ", "root hash ", "\0\0\0\0\0\0\0\0" };
        uint32_t state = 1;

        for (size_t at = 0; at < size;) {
                uint32_t kind = sample_random(&state) % 128 / 3;
                size_t left = size - at, length;

                if (kind < ELEMENTS(words)) {
                        length = MIN_OF(kind == 9 ? 8 : strlen(words[kind]), left);
                        memcpy(ret + at, words[kind], length);
                } else if (kind < 42) {
                        length = 1 + sample_random(&state) % 6;
                        length = MIN_OF(length, left);
                        for (size_t i = 0; i < length; i++)
                                ret[at + i] = (uint8_t)sample_random(&state);
                } else {
                        length = 1 + sample_random(&state) % 2000;
                        length = MIN_OF(length, left);
                        memset(ret + at, (int)(sample_random(&state) & 1) * 0x20, length);
                }
                at += length;
        }
}

typedef struct SampleReader {
        const uint8_t *bytes;
        size_t done, size;
} SampleReader;

/* -EIO past the end, which no encoder may ask for. */
static inline int sample_read(void *data, void *ret, size_t size, Error *error)
{
        SampleReader *reader = data;

        if (size > reader->size - reader->done)
                return -EIO;
        memcpy(ret, reader->bytes + reader->done, size);
        reader->done += size;
        return 0;
}

/* Compresses with the libraries themselves, as the usual programs do. The result is freed by the caller;
 * NULL when it cannot be made. */
static inline uint8_t *sample_pack(
                const RecompCoding *coding, const uint8_t *bytes, size_t size, size_t *ret_size)
{
        size_t room = 2 * size + 4096, done = 0;
        uint8_t *packed = malloc(room);
        bool is_made = packed != NULL;

        if (is_made && coding->codec == RECOMP_LZ4) {
                write_le32(packed, 0x184c2102);
                done = 4;
                for (size_t at = 0; is_made && at < size; at += RECOMP_LZ4_BLOCK) {
                        int now = (int)MIN_OF(size - at, RECOMP_LZ4_BLOCK);
                        int n = LZ4_compress_HC((const char *)bytes + at, (char *)packed + done + 4, now,
                                        (int)(room - done - 4), coding->parameters[0]);

                        is_made = n > 0;
                        write_le32(packed + done, (uint32_t)n);
                        done += 4 + (size_t)n;
                }
        } else if (is_made && coding->codec == RECOMP_DEFLATE) {
                z_stream stream = { 0 };

                is_made = deflateInit2(&stream, coding->parameters[0], Z_DEFLATED, -15,
                                          coding->parameters[1], coding->parameters[2]) == Z_OK;
                stream.next_in = (uint8_t *)bytes;
                stream.avail_in = (uInt)size;
                stream.next_out = packed;
                stream.avail_out = (uInt)room;
                is_made = is_made && deflate(&stream, Z_FINISH) == Z_STREAM_END;
                done = stream.total_out;
                (void)deflateEnd(&stream);
        } else if (is_made && coding->codec == RECOMP_XZ) {
                lzma_options_lzma options;
                lzma_filter filters[3] = { { .id = LZMA_FILTER_X86 }, { LZMA_FILTER_LZMA2, &options },
                        { .id = LZMA_VLI_UNKNOWN } };

                is_made = !lzma_lzma_preset(&options, coding->parameters[0]);
                options.dict_size = 1U << coding->parameters[1];
                is_made = is_made &&
                          lzma_stream_buffer_encode(
                                          filters + (coding->parameters[2] & RECOMP_XZ_X86 ? 0 : 1),
                                          coding->parameters[2] & RECOMP_XZ_CHECK, NULL, bytes, size, packed,
                                          &done, room) == LZMA_OK;
        } else if (is_made && coding->codec == RECOMP_ZSTD) {
                ZSTD_CCtx *context = ZSTD_createCCtx();

                (void)ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, coding->parameters[0]);
                (void)ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, coding->parameters[1]);
                done = ZSTD_compress2(context, packed, room, bytes, size);
                is_made = !ZSTD_isError(done);
                (void)ZSTD_freeCCtx(context);
        }
        if (!is_made) {
                free(packed);
                return NULL;
        }
        *ret_size = done;
        return packed;
}
