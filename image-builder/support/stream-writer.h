/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Collects the solid streams of a group and stores them (release-format/payload-streams.h). */

#include "buffer.h"
#include "error.h"
#include "payload-streams.h"

typedef struct StreamWriter {
        Buffer streams[PAYLOAD_STREAMS_MAX];
} StreamWriter;

#define STREAM_MAX (256 * MIB) /* bytes of one stream before it is compressed */

void stream_writer_init(StreamWriter *writer);
void stream_writer_done(StreamWriter *writer);
void stream_writer_clear(StreamWriter *writer);

/* Bytes of each stream, as collected and as stored. */
typedef struct StreamSizes {
        uint64_t full[PAYLOAD_STREAMS_MAX], stored[PAYLOAD_STREAMS_MAX];
} StreamSizes;

/* Appends directory and streams to the blob. */
int stream_writer_finish(StreamWriter *writer, Buffer *blob, StreamSizes *ret, Error *error);
