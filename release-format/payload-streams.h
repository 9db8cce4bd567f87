/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The solid streams of a group: what all its patches have in common is split by kind (places, literals,
 * differences, each kind of predicted field) and each kind is compressed once for the whole group, so that
 * a thousand files that change alike share one context. They stand after the blobs of the group's ops
 * (docs/formats-payload.md).
 *
 * The bytes are hostile: a stream that ends early, is malformed or asks for more memory than
 * PAYLOAD_STREAMS_MEMORY (all of a group's together) is -EBADMSG with ERROR_CORRUPT. Streams unpack as they
 * are read, so memory does not depend on how long they are. */

#include "error.h"

/* The number of a stream says what is in it. Fields: the kind (PatchKind) is added. */
typedef enum PayloadStreamNumber {
        PAYLOAD_STREAM_GAPS = 0,      /* varints: bytes of literals before a copied run */
        PAYLOAD_STREAM_LITERALS = 1,  /* bytes that no source has */
        PAYLOAD_STREAM_RUNS = 2,      /* varints: bytes without a difference before one with */
        PAYLOAD_STREAM_DIFFS = 3,     /* bytes: the differences */
        PAYLOAD_STREAM_SHAPES = 4,    /* bytes: what prediction needs to know of each new file */
        PAYLOAD_STREAM_LENGTHS = 5,   /* varints: of copied runs */
        PAYLOAD_STREAM_DISTANCES = 6, /* signed varints: how their distance from the old place changes */
        PAYLOAD_STREAM_FIELDS = 8,    /* varints: fields as predicted before one that is not */
        PAYLOAD_STREAM_ERRORS = 20,   /* signed varints: how much that one is beside it */
        PAYLOAD_STREAMS_MAX = 32
} PayloadStreamNumber;

/* How a stream is stored. */
typedef enum PayloadStreamCoding {
        PAYLOAD_CODING_PLAIN = 0, /* as it is */
        PAYLOAD_CODING_LZMA = 1,  /* raw LZMA1 with an end marker */
        PAYLOAD_CODING_MAX
} PayloadStreamCoding;

#define PAYLOAD_STREAMS_MEMORY (10 * MIB)

typedef struct PayloadStreams PayloadStreams;

/* `data` is borrowed. */
int payload_streams_new(const uint8_t *data, size_t size, PayloadStreams **ret, Error *error);
PayloadStreams *payload_streams_free(PayloadStreams *streams);
DEFINE_CLEANUP(PayloadStreams *, payload_streams_free)

/* Bytes of each stream as it is stored; 0 for those that are not there. */
void payload_streams_sizes(const PayloadStreams *streams, uint64_t ret[static PAYLOAD_STREAMS_MAX]);

/* Exactly `size` bytes of a stream. */
int payload_stream_read(PayloadStreams *streams, unsigned number, void *ret, size_t size, Error *error);
int payload_stream_varint(PayloadStreams *streams, unsigned number, uint64_t *ret, Error *error);
int payload_stream_signed_varint(PayloadStreams *streams, unsigned number, int64_t *ret, Error *error);

/* Whether nothing is left of a stream (or it is not there): 1, 0, or an error. */
int payload_stream_ended(PayloadStreams *streams, unsigned number, Error *error);

/* 0 when every stream was read to its end, else -EBADMSG. */
int payload_streams_finish(PayloadStreams *streams, Error *error);
