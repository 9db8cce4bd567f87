/* SPDX-License-Identifier: Apache-2.0 */
#include "stream-writer.h"

#include "byte-reader.h"

#include <lzma.h>
#include <string.h>

#define PROPERTIES_SIZE 5

/* Literals may refer far back; everything else is short, and repeats what is near. */
#define LITERALS_WINDOW_MAX (4 * MIB)
#define WINDOW_MAX (512 * KIB)
#define WINDOW_MIN (4 * KIB)

/* What is tried for each stream: bits of context for literals (of the byte before, of the place), bits of
 * place for everything else. */
static const struct {
        uint8_t lc, lp, pb;
} choices[] = { { 3, 0, 0 }, { 1, 0, 0 }, { 0, 0, 0 } };

void stream_writer_init(StreamWriter *writer)
{
        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++)
                writer->streams[i] = BUFFER_WITH_CAP(STREAM_MAX);
}

void stream_writer_done(StreamWriter *writer)
{
        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++)
                buffer_done(&writer->streams[i]);
}

void stream_writer_clear(StreamWriter *writer)
{
        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++)
                buffer_clear(&writer->streams[i]);
}

static uint32_t window_for(unsigned number, size_t size)
{
        uint64_t max = number == PAYLOAD_STREAM_LITERALS ? LITERALS_WINDOW_MAX : WINDOW_MAX;
        uint64_t window = WINDOW_MIN;

        while (window < size && window < max)
                window *= 2;
        return (uint32_t)window;
}

static int compress(const Buffer *stream, lzma_filter *filters, Buffer *ret)
{
        size_t bound = stream->size + stream->size / 8 + 1024, position = 0;
        lzma_ret r;

        if (buffer_reserve(ret, bound) < 0)
                return -ENOMEM;
        r = lzma_raw_buffer_encode(filters, NULL, stream->data, stream->size, ret->data, &position, bound);
        ret->size = position;
        return r == LZMA_OK ? 0 : -ENOMEM;
}

/* A stored stream, and how. */
typedef struct Stored {
        Buffer bytes;
        uint8_t coding;
        uint8_t properties[PROPERTIES_SIZE];
} Stored;

static void stored_done(Stored *stored)
{
        buffer_done(&stored->bytes);
}

/* The smallest of all choices, or the stream as it is. */
static int store(const Buffer *stream, unsigned number, Stored *ret)
{
        size_t best = stream->size;
        _cleanup_buffer_ Buffer packed = BUFFER_WITH_CAP(2 * STREAM_MAX);

        for (size_t i = 0; i < ELEMENTS(choices); i++) {
                lzma_options_lzma options;
                lzma_filter filters[2] = { { LZMA_FILTER_LZMA1, &options }, { LZMA_VLI_UNKNOWN, NULL } };

                if (lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME))
                        return -EINVAL;
                options.dict_size = window_for(number, stream->size);
                options.lc = choices[i].lc;
                options.lp = choices[i].lp;
                options.pb = choices[i].pb;
                if (compress(stream, filters, &packed) < 0)
                        return -ENOMEM;
                if (packed.size + PROPERTIES_SIZE >= best)
                        continue;
                best = packed.size + PROPERTIES_SIZE;
                buffer_clear(&ret->bytes);
                ret->coding = PAYLOAD_CODING_LZMA;
                if (buffer_append(&ret->bytes, packed.data, packed.size) < 0 ||
                                lzma_properties_encode(filters, ret->properties) != LZMA_OK)
                        return -ENOMEM;
        }
        return ret->coding == PAYLOAD_CODING_PLAIN ? buffer_append(&ret->bytes, stream->data, stream->size)
                                                   : 0;
}

static int append_stream(unsigned number, const Stored *stored, Buffer *blob)
{
        int r = buffer_append_varint(blob, number);

        if (r >= 0)
                r = buffer_append_byte(blob, stored->coding);
        if (r >= 0 && stored->coding == PAYLOAD_CODING_LZMA)
                r = buffer_append(blob, stored->properties, PROPERTIES_SIZE);
        return r < 0 ? r : buffer_append_varint(blob, stored->bytes.size);
}

int stream_writer_finish(StreamWriter *writer, Buffer *blob, StreamSizes *ret, Error *error)
{
        _cleanup_buffer_ Buffer bodies = BUFFER_WITH_CAP(2 * STREAM_MAX);
        unsigned count = 0;
        int r;

        *ret = (StreamSizes){ 0 };
        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++)
                count += writer->streams[i].size > 0;
        r = buffer_append_varint(blob, count);
        for (unsigned i = 0; r >= 0 && i < PAYLOAD_STREAMS_MAX; i++) {
                _cleanup_(stored_done) Stored stored = { .bytes = BUFFER_WITH_CAP(STREAM_MAX) };

                if (writer->streams[i].size == 0)
                        continue;
                r = store(&writer->streams[i], i, &stored);
                if (r >= 0)
                        r = append_stream(i, &stored, blob);
                if (r >= 0)
                        r = buffer_append(&bodies, stored.bytes.data, stored.bytes.size);
                ret->full[i] = writer->streams[i].size;
                ret->stored[i] = stored.bytes.size;
        }
        if (r >= 0)
                r = buffer_append(blob, bodies.data, bodies.size);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot store the streams of a group: %s",
                                       strerror(-r))
                     : 0;
}
