/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-inspect.h"

#include "file.h"
#include "hex.h"
#include "patch-fields.h"
#include "payload-op.h"
#include "payload-walk.h"

#include <string.h>

#define DEAREST 20 /* groups to list */

typedef struct Census {
        uint64_t counts[PAYLOAD_OP_MAX], target_bytes[PAYLOAD_OP_MAX], blob_bytes[PAYLOAD_OP_MAX];
        uint64_t read_bytes[PAYLOAD_SOURCES_MAX]; /* by source */
        StreamSizes streams;
} Census;

static const char *const source_names[PAYLOAD_SOURCES_MAX] = {
        [PAYLOAD_SOURCE_OLD_ROOT] = "old-root",
        [PAYLOAD_SOURCE_OLD_UKI] = "old-uki",
        [PAYLOAD_SOURCE_NEW_ROOT] = "new-root",
        [PAYLOAD_SOURCE_TARGET] = "already-written",
};

static void count_op(Census *census, const PayloadOp *op)
{
        census->counts[op->number]++;
        census->target_bytes[op->number] += op->target_size_bytes;
        census->blob_bytes[op->number] += op->blob_size_bytes;
        for (size_t i = 0; i < op->range_count; i++)
                census->read_bytes[op->ranges[i].source] += op->ranges[i].size_bytes;
}

/* The streams of a group begin at `offset` of its blob. */
static int count_streams(int fd, const PayloadGroup *group, uint64_t offset, Census *census, Error *error)
{
        size_t size = group->blob_size_bytes - offset;
        _cleanup_(payload_streams_freep) PayloadStreams *streams = NULL;
        _cleanup_free_ uint8_t *data = malloc(size + 1);
        uint64_t sizes[PAYLOAD_STREAMS_MAX];
        int r;

        if (size == 0)
                return 0;
        if (!data)
                return error_oom(error);
        r = pread_full(fd, data, size, group->blob_offset + offset);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the payload: %s", strerror(-r));
        r = payload_streams_new(data, size, &streams, error);
        if (r < 0)
                return r;
        payload_streams_sizes(streams, sizes);
        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++)
                census->streams.stored[i] += sizes[i];
        return 0;
}

static int take_census(int fd, const PayloadIndex *index, Census *census, Error *error)
{
        _cleanup_free_ PayloadOp *op = malloc(sizeof(*op));

        if (!op)
                return error_oom(error);
        for (size_t i = 0; i < payload_group_count(index); i++) {
                PayloadOpCursor cursor;
                int r;

                payload_op_cursor(index, i, &cursor);
                while ((r = payload_op_next(&cursor, op, error)) > 0)
                        count_op(census, op);
                if (r >= 0)
                        r = count_streams(fd, payload_group(index, i), cursor.blob_done, census, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

json_t *payload_ops_json(const uint64_t *counts, const uint64_t *target_bytes, const uint64_t *blob_bytes)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < PAYLOAD_OP_MAX; i++) {
                const PayloadCodec *codec = payload_codec((uint8_t)i);
                json_t *row;

                if (!codec || target_bytes[i] == 0)
                        continue;
                row = json_pack("{s:s, s:I, s:I}", "op", codec->name, "target-bytes",
                                (json_int_t)target_bytes[i], "payload-bytes", (json_int_t)blob_bytes[i]);
                if (row && counts)
                        (void)json_object_set_new(row, "count", json_integer((json_int_t)counts[i]));
                if (json_array_append_new(array, row) < 0)
                        return json_decref(array), NULL;
        }
        return array;
}

static const char *const stream_names[PAYLOAD_STREAMS_MAX] = {
        [PAYLOAD_STREAM_GAPS] = "runs of old files",
        [PAYLOAD_STREAM_LITERALS] = "literals",
        [PAYLOAD_STREAM_RUNS] = "places of differences",
        [PAYLOAD_STREAM_DIFFS] = "differences",
        [PAYLOAD_STREAM_SHAPES] = "shapes of programs",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_BRANCH] = "branches",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_OPERAND] = "operands",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_POINTER] = "pointers",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_RELATIVE] = "relative addresses",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_LOCATION] = "places of relocations",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_ADDEND] = "addends",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_SYMBOL] = "symbols",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_STRING] = "strings",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_SIZE] = "sizes",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_TYPE] = "type ids",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_HEADER] = "headers",
        [PAYLOAD_STREAM_FIELDS + PATCH_KIND_REPEATED] = "repeated changes",
};

json_t *payload_dearest_json(const DearestFiles *dearest)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < DEAREST_FILES && dearest->list[i].name[0] != 0; i++)
                if (json_array_append_new(
                                    array, json_pack("{s:s, s:I, s:I}", "file", dearest->list[i].name,
                                                           "target-bytes",
                                                           (json_int_t)dearest->list[i].target_bytes,
                                                           "payload-bytes",
                                                           (json_int_t)dearest->list[i].payload_bytes)) < 0)
                        return json_decref(array), NULL;
        return array;
}

/* Streams that are one thing to a person are told as one. */
static size_t stream_row(size_t stream)
{
        if (stream == PAYLOAD_STREAM_LENGTHS || stream == PAYLOAD_STREAM_DISTANCES)
                return PAYLOAD_STREAM_GAPS;
        return stream >= PAYLOAD_STREAM_ERRORS ? stream - PAYLOAD_STREAM_ERRORS + PAYLOAD_STREAM_FIELDS
                                               : stream;
}

json_t *payload_streams_json(const StreamSizes *sizes)
{
        StreamSizes rows = { 0 };
        json_t *array = json_array();

        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++) {
                rows.full[stream_row(i)] += sizes->full[i];
                rows.stored[stream_row(i)] += sizes->stored[i];
        }
        for (size_t i = 0; array && i < PAYLOAD_STREAMS_MAX; i++) {
                json_t *row;

                if (rows.stored[i] == 0)
                        continue;
                row = json_pack("{s:s, s:I}", "stream", stream_names[i] ? stream_names[i] : "unknown",
                                "payload-bytes", (json_int_t)rows.stored[i]);
                if (row && rows.full[i] > 0)
                        (void)json_object_set_new(row, "bytes", json_integer((json_int_t)rows.full[i]));
                if (json_array_append_new(array, row) < 0)
                        return json_decref(array), NULL;
        }
        return array;
}

static json_t *sources_json(const PayloadIndex *index, const Census *census)
{
        const PayloadHeader *header = payload_index_header(index);
        json_t *array = json_array();

        for (size_t i = 0; array && i < PAYLOAD_SOURCES_MAX; i++) {
                if (!(payload_sources(index) >> i & 1))
                        continue;
                if (json_array_append_new(array,
                                    json_pack("{s:s, s:I, s:I}", "source", source_names[i], "size",
                                                    (json_int_t)(i == PAYLOAD_SOURCE_TARGET
                                                                                    ? header->target_size_bytes
                                                                                    : header->source_size_bytes
                                                                                                      [i]),
                                                    "read-bytes", (json_int_t)census->read_bytes[i])) < 0)
                        return json_decref(array), NULL;
        }
        return array;
}

static int by_cost(const void *a, const void *b)
{
        const PayloadGroup *x = *(const PayloadGroup *const *)a, *y = *(const PayloadGroup *const *)b;

        if (x->blob_size_bytes != y->blob_size_bytes)
                return x->blob_size_bytes < y->blob_size_bytes ? 1 : -1;
        return x->target_offset < y->target_offset ? -1 : 1;
}

static json_t *dearest_json(const PayloadIndex *index)
{
        size_t count = payload_group_count(index);
        _cleanup_free_ const PayloadGroup **groups = calloc(count, sizeof(*groups));
        json_t *array = json_array();

        if (!groups)
                return json_decref(array), NULL;
        for (size_t i = 0; i < count; i++)
                groups[i] = payload_group(index, i);
        qsort(groups, count, sizeof(*groups), by_cost);
        for (size_t i = 0; array && i < MIN_OF(count, (size_t)DEAREST); i++)
                if (json_array_append_new(array,
                                    json_pack("{s:I, s:I, s:I}", "at", (json_int_t)groups[i]->target_offset,
                                                    "target-bytes", (json_int_t)groups[i]->target_size_bytes,
                                                    "payload-bytes",
                                                    (json_int_t)groups[i]->blob_size_bytes)) < 0)
                        return json_decref(array), NULL;
        return array;
}

int payload_inspect(int fd, json_t **ret, Error *error)
{
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        PayloadExpectation expectation;
        char sha256[SHA256_HEX_SIZE];
        Census census = { 0 };
        const PayloadHeader *header;
        int r = payload_file_open(fd, &index, &expectation, error);

        if (r >= 0)
                r = take_census(fd, index, &census, error);
        if (r < 0)
                return r;
        header = payload_index_header(index);
        hex_encode(expectation.index_sha256, SHA256_SIZE, sha256);
        *ret = json_pack("{s:s, s:b, s:I, s:I, s:I, s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "kind", "payload",
                        "full", (payload_sources(index) & ~(1U << PAYLOAD_SOURCE_TARGET)) == 0,
                        "target-size", (json_int_t)header->target_size_bytes, "payload-size",
                        (json_int_t)header->payload_size_bytes, "index-size",
                        (json_int_t)header->index_size_bytes, "index-sha256", sha256, "decoder-memory",
                        (json_int_t)header->memory_bytes, "groups", (json_int_t)header->group_count,
                        "sources", sources_json(index, &census), "ops",
                        payload_ops_json(census.counts, census.target_bytes, census.blob_bytes), "streams",
                        payload_streams_json(&census.streams), "dearest-groups", dearest_json(index));
        return *ret ? 0 : error_oom(error);
}
