/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading a payload: bytes that produce an image, in groups that are checked and decoded one by one
 * (payload-format.h, docs/formats.md). The same code serves a full payload (no sources) and a delta.
 *
 * All input is hostile until its hash was compared: the index against the manifest by payload_index_parse(),
 * a group's blob against the index before it is decoded, and what it decodes to against the index before the
 * caller writes it. No function reads or writes outside what it was given; memory is bounded by the limits,
 * whatever the input says. */

#include "error.h"
#include "sha256.h"

#define PAYLOAD_GROUP_MAX (32 * MIB)  /* bytes of target in one group; the encoder aims at 16 MiB */
#define PAYLOAD_INDEX_MAX (16 * MIB)  /* bytes of header and compressed op table */
#define PAYLOAD_MEMORY_MAX (60 * MIB) /* what a payload may declare as its decoder's peak memory */

/* Places that ops may read. The last is the target itself, so far as it stands before the group that is
 * being decoded: a caller whose payload reads it must have written every earlier group, and hand in a
 * descriptor that can be read. */
typedef enum PayloadSourceKind {
        PAYLOAD_SOURCE_OLD_ROOT,
        PAYLOAD_SOURCE_OLD_UKI,
        PAYLOAD_SOURCE_NEW_ROOT,
        PAYLOAD_SOURCE_TARGET,
        PAYLOAD_SOURCES_MAX
} PayloadSourceKind;

typedef struct PayloadIndex PayloadIndex;
typedef struct PayloadDecoder PayloadDecoder;

/* What the caller knows from signed metadata; the index must agree with all of it. */
typedef struct PayloadExpectation {
        uint64_t payload_size_bytes;
        uint64_t index_size_bytes;
        uint8_t index_sha256[SHA256_SIZE];
        uint64_t target_size_bytes;
        uint64_t memory_max_bytes;
} PayloadExpectation;

/* One group: `target_size_bytes` at `target_offset` of the image come out of `blob_size_bytes` at
 * `blob_offset` of the payload file. Groups cover the target without gap or overlap, in order of target
 * offset, and their blobs stand in the same order. */
typedef struct PayloadGroup {
        uint64_t target_offset, target_size_bytes;
        uint64_t blob_offset, blob_size_bytes;
        uint8_t blob_sha256[SHA256_SIZE];
        uint8_t target_sha256[SHA256_SIZE];
} PayloadGroup;

/* Where a source is; an array of them is indexed by PayloadSourceKind. Reads go by pread within
 * [offset, offset + size). A source that is not there has fd -1 (or lies beyond the array); then only
 * payloads that do not need it decode. */
typedef struct PayloadSource {
        int fd; /* borrowed */
        uint64_t offset;
        uint64_t size_bytes;
} PayloadSource;

/* What the fixed header says, of which nothing is proved: only that a payload is there, and how long its
 * index is. For tools that have no manifest. ERROR_CORRUPT for another file, ERROR_INCOMPATIBLE for a newer
 * format. */
typedef struct PayloadHeader {
        uint64_t payload_size_bytes, index_size_bytes, target_size_bytes;
        uint64_t source_size_bytes[PAYLOAD_SOURCES_MAX]; /* 0: not read. Of the target always 0. */
        uint64_t memory_bytes;
        size_t group_count;
        size_t table_size_bytes, table_full_bytes; /* compressed, unpacked */
} PayloadHeader;

int payload_header_parse(const void *data, size_t size, PayloadHeader *ret, Error *error);

/* `data` is the first index_size_bytes of the payload, and is not needed afterwards. Errors: ERROR_UNTRUSTED
 * for a hash that does not match, ERROR_CORRUPT for a malformed index, ERROR_INCOMPATIBLE for a newer
 * format. */
int payload_index_parse(const void *data, size_t size, const PayloadExpectation *expectation,
                PayloadIndex **ret, Error *error);
PayloadIndex *payload_index_free(PayloadIndex *index);
DEFINE_CLEANUP(PayloadIndex *, payload_index_free)

size_t payload_group_count(const PayloadIndex *index);
const PayloadGroup *payload_group(const PayloadIndex *index, size_t number);
const PayloadHeader *payload_index_header(const PayloadIndex *index);
uint64_t payload_target_size_bytes(const PayloadIndex *index);

/* Which sources a group, or any group, reads: bit 1 << PayloadSourceKind. */
unsigned payload_group_sources(const PayloadIndex *index, size_t number);
unsigned payload_sources(const PayloadIndex *index);

/* Working memory for decoding, reused from group to group. `sources` (borrowed) and the index must outlive
 * it. A source that the payload reads and that is not there, or is shorter than the payload says, is -ENODEV
 * with ERROR_INCOMPATIBLE. */
int payload_decoder_new(const PayloadIndex *index, const PayloadSource *sources, size_t source_count,
                PayloadDecoder **ret, Error *error);
PayloadDecoder *payload_decoder_free(PayloadDecoder *decoder);
DEFINE_CLEANUP(PayloadDecoder *, payload_decoder_free)

/* Says that the caller reads back and proves all that it writes. A group that reads no source is then not
 * hashed once more after decoding: its blob is proved, and decodes to one thing only. A third of the time.
 */
void payload_decoder_reads_back(PayloadDecoder *decoder);

/* Checks the blob's hash, decodes it and checks the result's hash. *ret_target (target_size_bytes long)
 * belongs to the decoder and holds until the next call. -EBADMSG with ERROR_UNTRUSTED when the blob is not
 * the one that was signed, with ERROR_CORRUPT when it is but does not decode as promised. -ESTALE with
 * ERROR_CORRUPT when a source did not hold what the payload needs (the caller can then take the group from
 * the full payload). */
int payload_group_decode(PayloadDecoder *decoder, size_t number, const void *blob, size_t blob_size,
                const uint8_t **ret_target, Error *error);
