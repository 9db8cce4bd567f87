/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-streams.h"

#include "byte-reader.h"

#include <lzma.h>
#include <string.h>

#define BUFFER_SIZE 4096
#define PROPERTIES_SIZE 5

typedef struct Stream {
        uint8_t coding;
        uint64_t stored_bytes;
        const uint8_t *plain; /* what is left of a plain stream */
        size_t plain_left;
        lzma_stream lzma;
        bool ended;      /* the decoder has given all it will */
        uint8_t *buffer; /* BUFFER_SIZE, unpacked */
        size_t at, filled;
} Stream;

struct PayloadStreams {
        Stream *streams[PAYLOAD_STREAMS_MAX];
        uint64_t memory_bytes;
};

static int malformed(Error *error, const char *what)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "a group's streams are malformed: %s", what);
}

static Stream *stream_free(Stream *stream)
{
        if (!stream)
                return NULL;
        lzma_end(&stream->lzma);
        free(stream->buffer);
        free(stream);
        return NULL;
}

DEFINE_CLEANUP(Stream *, stream_free)

PayloadStreams *payload_streams_free(PayloadStreams *streams)
{
        if (!streams)
                return NULL;
        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++)
                streams->streams[i] = stream_free(streams->streams[i]);
        free(streams);
        return NULL;
}

static int start_lzma(PayloadStreams *streams, Stream *stream, const uint8_t *properties, Error *error)
{
        lzma_filter filters[2] = { { .id = LZMA_FILTER_LZMA1 }, { .id = LZMA_VLI_UNKNOWN } };
        uint64_t memory;
        lzma_ret r = lzma_properties_decode(&filters[0], NULL, properties, PROPERTIES_SIZE);

        if (r == LZMA_MEM_ERROR)
                return error_oom(error);
        if (r != LZMA_OK)
                return malformed(error, "unknown properties");
        memory = lzma_raw_decoder_memusage(filters);
        if (memory > PAYLOAD_STREAMS_MEMORY || ADD_OVERFLOWS(streams->memory_bytes, memory, &memory) ||
                        memory > PAYLOAD_STREAMS_MEMORY) {
                free(filters[0].options);
                return malformed(error, "they ask for too much memory");
        }
        streams->memory_bytes = memory;
        r = lzma_raw_decoder(&stream->lzma, filters);
        free(filters[0].options);
        stream->buffer = malloc(BUFFER_SIZE);
        if (r == LZMA_MEM_ERROR || !stream->buffer)
                return error_oom(error);
        return r == LZMA_OK ? 0 : malformed(error, "unknown properties");
}

static int open_stream(
                PayloadStreams *streams, ByteReader *reader, uint64_t *number, uint64_t *size, Error *error)
{
        _cleanup_(stream_freep) Stream *stream = calloc(1, sizeof(*stream));
        uint64_t last = *number;
        const uint8_t *properties;

        if (!stream)
                return error_oom(error);
        if (reader_varint(reader, number) < 0 || *number >= PAYLOAD_STREAMS_MAX ||
                        (last != UINT64_MAX && *number <= last))
                return malformed(error, "a stream's number");
        if (reader_byte(reader, &stream->coding) < 0 || stream->coding >= PAYLOAD_CODING_MAX)
                return malformed(error, "a stream's coding");
        if (stream->coding == PAYLOAD_CODING_LZMA) {
                int r = reader_bytes(reader, PROPERTIES_SIZE, &properties);

                r = r < 0 ? malformed(error, "a stream's properties")
                          : start_lzma(streams, stream, properties, error);
                if (r < 0)
                        return r;
        }
        if (reader_varint(reader, size) < 0 || *size == 0)
                return malformed(error, "a stream's size");
        streams->streams[*number] = TAKE_PTR(stream);
        return 0;
}

/* The streams themselves follow the directory in its order. */
static int place_streams(PayloadStreams *streams, ByteReader *reader, const uint64_t *sizes, Error *error)
{
        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++) {
                Stream *stream = streams->streams[i];
                const uint8_t *bytes;

                if (!stream)
                        continue;
                if (reader_bytes(reader, sizes[i], &bytes) < 0)
                        return malformed(error, "a stream is cut off");
                stream->stored_bytes = sizes[i];
                if (stream->coding == PAYLOAD_CODING_PLAIN) {
                        stream->plain = bytes;
                        stream->plain_left = sizes[i];
                } else {
                        stream->lzma.next_in = bytes;
                        stream->lzma.avail_in = sizes[i];
                }
        }
        return reader_left(reader) == 0 ? 0 : malformed(error, "bytes after the last");
}

int payload_streams_new(const uint8_t *data, size_t size, PayloadStreams **ret, Error *error)
{
        _cleanup_(payload_streams_freep) PayloadStreams *streams = calloc(1, sizeof(*streams));
        ByteReader reader = BYTE_READER(data, size);
        uint64_t sizes[PAYLOAD_STREAMS_MAX] = { 0 }, count, number = UINT64_MAX;
        int r;

        if (!streams)
                return error_oom(error);
        if (reader_varint(&reader, &count) < 0 || count > PAYLOAD_STREAMS_MAX)
                return malformed(error, "their number");
        for (uint64_t i = 0; i < count; i++) {
                uint64_t stream_size;

                r = open_stream(streams, &reader, &number, &stream_size, error);
                if (r < 0)
                        return r;
                sizes[number] = stream_size;
        }
        r = place_streams(streams, &reader, sizes, error);
        if (r >= 0)
                *ret = TAKE_PTR(streams);
        return r;
}

void payload_streams_sizes(const PayloadStreams *streams, uint64_t ret[static PAYLOAD_STREAMS_MAX])
{
        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++)
                ret[i] = streams->streams[i] ? streams->streams[i]->stored_bytes : 0;
}

/* Unpacks until `size` bytes are at `to` or the stream ends; returns how many came. */
static ssize_t unpack(Stream *stream, uint8_t *to, size_t size, Error *error)
{
        stream->lzma.next_out = to;
        stream->lzma.avail_out = size;
        while (!stream->ended && stream->lzma.avail_out > 0) {
                lzma_ret r = lzma_code(&stream->lzma, LZMA_RUN);

                stream->ended = r == LZMA_STREAM_END;
                if (r == LZMA_MEM_ERROR)
                        return error_oom(error);
                if ((r != LZMA_OK && r != LZMA_STREAM_END) || (stream->ended && stream->lzma.avail_in > 0))
                        return malformed(error, "a stream does not unpack");
        }
        return (ssize_t)(size - stream->lzma.avail_out);
}

static int fill(Stream *stream, Error *error)
{
        ssize_t n;

        if (stream->at < stream->filled)
                return 0;
        n = unpack(stream, stream->buffer, BUFFER_SIZE, error);
        if (n < 0)
                return (int)n;
        stream->at = 0;
        stream->filled = (size_t)n;
        return 0;
}

static int read_packed(Stream *stream, uint8_t *to, size_t size, Error *error)
{
        while (size > 0) {
                size_t part = MIN_OF(stream->filled - stream->at, size);

                memcpy(to, stream->buffer + stream->at, part);
                stream->at += part;
                to += part;
                size -= part;
                if (size >= BUFFER_SIZE) {
                        ssize_t n = unpack(stream, to, size, error);

                        return n < 0               ? (int)n
                               : (size_t)n == size ? 0
                                                   : malformed(error, "a stream ends early");
                }
                if (size > 0) {
                        int r = fill(stream, error);

                        if (r < 0)
                                return r;
                        if (stream->filled == 0)
                                return malformed(error, "a stream ends early");
                }
        }
        return 0;
}

int payload_stream_read(PayloadStreams *streams, unsigned number, void *ret, size_t size, Error *error)
{
        Stream *stream = number < PAYLOAD_STREAMS_MAX ? streams->streams[number] : NULL;

        if (size == 0)
                return 0;
        if (!stream)
                return malformed(error, "a stream is missing");
        if (stream->coding != PAYLOAD_CODING_PLAIN)
                return read_packed(stream, ret, size, error);
        if (size > stream->plain_left)
                return malformed(error, "a stream ends early");
        memcpy(ret, stream->plain, size);
        stream->plain += size;
        stream->plain_left -= size;
        return 0;
}

int payload_stream_varint(PayloadStreams *streams, unsigned number, uint64_t *ret, Error *error)
{
        uint8_t bytes[10];
        ByteReader reader;

        for (size_t i = 0; i < sizeof(bytes); i++) {
                int r = payload_stream_read(streams, number, bytes + i, 1, error);

                if (r < 0)
                        return r;
                if (bytes[i] & 0x80)
                        continue;
                reader = BYTE_READER(bytes, i + 1);
                return reader_varint(&reader, ret) < 0 ? malformed(error, "a number is misspelt") : 0;
        }
        return malformed(error, "a number is too long");
}

int payload_stream_signed_varint(PayloadStreams *streams, unsigned number, int64_t *ret, Error *error)
{
        uint64_t folded;
        int r = payload_stream_varint(streams, number, &folded, error);

        if (r >= 0)
                *ret = (int64_t)(folded >> 1 ^ -(folded & 1));
        return r;
}

int payload_stream_ended(PayloadStreams *streams, unsigned number, Error *error)
{
        Stream *stream = number < PAYLOAD_STREAMS_MAX ? streams->streams[number] : NULL;
        int r;

        if (!stream)
                return 1;
        if (stream->coding == PAYLOAD_CODING_PLAIN)
                return stream->plain_left == 0;
        r = fill(stream, error);
        return r < 0 ? r : stream->filled == 0;
}

int payload_streams_finish(PayloadStreams *streams, Error *error)
{
        for (unsigned i = 0; i < PAYLOAD_STREAMS_MAX; i++) {
                int r = payload_stream_ended(streams, i, error);

                if (r < 0)
                        return r;
                if (r == 0)
                        return malformed(error, "a stream was not used up");
        }
        return 0;
}
