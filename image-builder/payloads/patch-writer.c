/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-writer.h"

#include "byte-reader.h"

#include <string.h>

#define PART_SIZE (64 * KIB) /* of the old file, read at once */

struct PatchWriter {
        StreamWriter streams;
        PatchShared *shared; /* NULL until a patch of the group predicts */
        uint64_t byte_run, field_runs[PATCH_KIND_MAX];
        int64_t shift;
        bool used;
        uint8_t part[PART_SIZE];
};

PatchWriter *patch_writer_new(void)
{
        PatchWriter *writer = calloc(1, sizeof(*writer));

        if (writer)
                stream_writer_init(&writer->streams);
        return writer;
}

PatchWriter *patch_writer_free(PatchWriter *writer)
{
        if (!writer)
                return NULL;
        stream_writer_done(&writer->streams);
        (void)patch_shared_free(writer->shared);
        free(writer);
        return NULL;
}

bool patch_writer_is_used(const PatchWriter *writer)
{
        return writer->used;
}

static Buffer *stream_of(PatchWriter *writer, unsigned number)
{
        return &writer->streams.streams[number];
}

static int write_segments(PatchWriter *writer, const PatchInput *input)
{
        uint64_t at = 0, base = input->continues ? input->new_base : 0;
        int64_t shift = input->continues ? writer->shift : 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < input->segment_count; i++) {
                const PatchSegment *segment = &input->segments[i];
                int64_t now = (int64_t)(segment->old_offset - (base + segment->new_offset));

                r = buffer_append_varint(stream_of(writer, PAYLOAD_STREAM_GAPS), segment->new_offset - at);
                if (r >= 0)
                        r = buffer_append_varint(
                                        stream_of(writer, PAYLOAD_STREAM_LENGTHS), segment->size_bytes);
                if (r >= 0)
                        r = buffer_append_signed_varint(
                                        stream_of(writer, PAYLOAD_STREAM_DISTANCES), now - shift);
                at = segment->new_offset + segment->size_bytes;
                shift = now;
        }
        if (input->continues)
                writer->shift = shift;
        return r;
}

static int write_bytes(PatchWriter *writer, const uint8_t *old_data, const uint8_t *new_data, size_t size)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < size; i++) {
                if (old_data[i] == new_data[i]) {
                        writer->byte_run++;
                        continue;
                }
                r = buffer_append_varint(stream_of(writer, PAYLOAD_STREAM_RUNS), writer->byte_run);
                if (r >= 0)
                        r = buffer_append_byte(stream_of(writer, PAYLOAD_STREAM_DIFFS),
                                        (uint8_t)(new_data[i] - old_data[i]));
                writer->byte_run = 0;
        }
        return r;
}

static int write_run(PatchWriter *writer, const PatchInput *input, const PatchSegment *segment,
                uint64_t from, uint64_t end, Error *error)
{
        while (from < end) {
                size_t part = MIN_OF(end - from, PART_SIZE);
                int r = input->old_file->read(input->old_file->data,
                                segment->old_offset + (from - segment->new_offset), writer->part, part,
                                error);

                if (r < 0)
                        return r;
                if (write_bytes(writer, writer->part, input->new_data + from, part) < 0)
                        return error_oom(error);
                from += part;
        }
        return 0;
}

static int write_field(PatchWriter *writer, const PatchField *field, uint64_t actual)
{
        unsigned unused = 64 - 8 * (unsigned)field->width;
        int64_t difference = (int64_t)((actual - field->predicted) << unused) >> unused;
        int r;

        if (difference == 0) {
                writer->field_runs[field->kind]++;
                return 0;
        }
        r = buffer_append_varint(stream_of(writer, PAYLOAD_STREAM_FIELDS + field->kind),
                        writer->field_runs[field->kind]);
        writer->field_runs[field->kind] = 0;
        return r < 0 ? r
                     : buffer_append_signed_varint(
                                       stream_of(writer, PAYLOAD_STREAM_ERRORS + field->kind), difference);
}

static uint64_t field_value(const uint8_t *bytes, unsigned width)
{
        uint64_t value = 0;

        for (unsigned i = 0; i < width; i++)
                value |= (uint64_t)bytes[i] << 8 * i;
        return value;
}

static int write_segment(PatchWriter *writer, const PatchInput *input, size_t number, PatchFields *fields,
                Error *error)
{
        const PatchSegment *segment = &input->segments[number];
        uint64_t at = segment->new_offset, end = at + segment->size_bytes;
        PatchField field;
        int r = fields ? patch_fields_begin(fields, number, error) : 0;

        while (r >= 0 && fields && (r = patch_fields_next(fields, &field, error)) > 0) {
                uint64_t actual = field_value(input->new_data + field.new_offset, field.width);

                r = write_run(writer, input, segment, at, field.new_offset, error);
                if (r >= 0 && write_field(writer, &field, actual) < 0)
                        r = error_oom(error);
                patch_fields_learn(fields, actual);
                at = field.new_offset + field.width;
        }
        return r < 0 ? r : write_run(writer, input, segment, at, end, error);
}

typedef struct Memory {
        const uint8_t *data;
} Memory;

static int read_memory(void *data, uint64_t offset, void *ret, size_t size, Error *error)
{
        memcpy(ret, ((const Memory *)data)->data + offset, size);
        return 0;
}

/* Appends the shape, if there is one, and prepares prediction. */
static int predict(PatchWriter *writer, const PatchInput *input, PatchPlan *plan, PatchFields **ret,
                Buffer *shape, Error *error)
{
        Memory memory = { input->new_data };
        const PatchView new_file = { read_memory, &memory, input->new_size };
        int r = patch_fields_describe(
                        input->old_file, &new_file, input->segments, input->segment_count, shape, error);

        if (r <= 0 || shape->size == 0 || shape->size > PATCH_SHAPE_MAX)
                return r;
        if (!writer->shared)
                writer->shared = patch_shared_new();
        if (!writer->shared)
                return error_oom(error);
        r = patch_fields_new(input->old_file, input->new_size, input->segments, input->segment_count,
                        shape->data, shape->size, writer->shared, ret, error);
        if (r < 0)
                return r;
        plan->shape_bytes = shape->size;
        return buffer_append(stream_of(writer, PAYLOAD_STREAM_SHAPES), shape->data, shape->size) < 0
                               ? error_oom(error)
                               : 0;
}

static int write_literals(PatchWriter *writer, const PatchInput *input)
{
        Buffer *stream = stream_of(writer, PAYLOAD_STREAM_LITERALS);
        uint64_t at = 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < input->segment_count; i++) {
                r = buffer_append(stream, input->new_data + at, input->segments[i].new_offset - at);
                at = input->segments[i].new_offset + input->segments[i].size_bytes;
        }
        return r < 0 ? r
                     : buffer_append(stream, input->new_data + at, input->new_size - input->left_out - at);
}

int patch_writer_add(PatchWriter *writer, const PatchInput *input, PatchPlan *ret, Error *error)
{
        PatchPlan plan = { .new_size_bytes = input->new_size,
                .segment_count = input->segment_count,
                .continues = input->continues,
                .new_base = input->new_base };
        _cleanup_(patch_fields_freep) PatchFields *fields = NULL;
        _cleanup_buffer_ Buffer shape = BUFFER_WITH_CAP(PATCH_SHAPE_MAX);
        int r = 0;

        if (input->segment_count > PATCH_SEGMENTS_MAX)
                return error_set(error, ERROR_FAILED, E2BIG, "a patch has too many runs");
        writer->used = true;
        if (write_segments(writer, input) < 0 || write_literals(writer, input) < 0)
                return error_oom(error);
        if (input->predicts)
                r = predict(writer, input, &plan, &fields, &shape, error);
        for (size_t i = 0; r >= 0 && i < input->segment_count; i++)
                r = write_segment(writer, input, i, fields, error);
        if (r >= 0)
                *ret = plan;
        return r;
}

void patch_writer_sizes(const PatchWriter *writer, uint64_t ret[static PAYLOAD_STREAMS_MAX])
{
        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++)
                ret[i] = writer->streams.streams[i].size;
}

int patch_writer_finish(PatchWriter *writer, Buffer *blob, StreamSizes *ret, Error *error)
{
        int r = stream_writer_finish(&writer->streams, blob, ret, error);

        stream_writer_clear(&writer->streams);
        writer->shared = patch_shared_free(writer->shared);
        writer->byte_run = 0;
        memset(writer->field_runs, 0, sizeof(writer->field_runs));
        writer->shift = 0;
        writer->used = false;
        return r;
}
