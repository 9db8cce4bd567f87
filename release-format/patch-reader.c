/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-reader.h"

#include <string.h>

#define WINDOW_SIZE (64 * KIB) /* of the old file, read ahead */
#define READ_AHEAD_MIN (4 * KIB)

/* Of a reader, besides runs and prediction; part of the format, as what a payload declares is compared. */
#define READER_MEMORY (72 * KIB)

/* Zeros before the next thing that is not zero, read when they are needed: a stream that has ended is zeros
 * for ever. */
typedef struct ZeroRun {
        bool known;
        uint64_t left;
} ZeroRun;

struct PatchGroup {
        PayloadStreams *streams;
        PatchShared *shared;
        ZeroRun bytes, fields[PATCH_KIND_MAX];
        int64_t shift; /* old place less new place of the last run of a patch that continues */
};

struct PatchReader {
        PatchGroup *group;
        const PatchView *old_file;
        uint64_t new_size, at;
        PatchSegment *segments;
        size_t segment_count, segment; /* the segment at hand, or the next one */
        bool begun;                    /* the segment at hand was */
        uint8_t *shape;
        PatchFields *fields; /* NULL: nothing is predicted */
        PatchField field;    /* the next one of the segment, if has_field */
        bool has_field;
        uint8_t pending[8]; /* bytes of a field that a read ended in */
        size_t pending_at, pending_count;
        uint8_t *window;
        uint64_t window_offset;
        size_t window_size;
};

_Static_assert(PATCH_KIND_MAX <= PAYLOAD_STREAM_ERRORS - PAYLOAD_STREAM_FIELDS &&
                                PATCH_KIND_MAX <= PAYLOAD_STREAMS_MAX - PAYLOAD_STREAM_ERRORS,
                "each kind of field must have its streams");
_Static_assert(sizeof(PatchReader) + WINDOW_SIZE <= READER_MEMORY, "the memory rule must cover a reader");

static int malformed(Error *error, const char *what)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "a patch is malformed: %s", what);
}

PatchGroup *patch_group_free(PatchGroup *group)
{
        if (!group)
                return NULL;
        (void)payload_streams_free(group->streams);
        (void)patch_shared_free(group->shared);
        free(group);
        return NULL;
}

int patch_group_new(const uint8_t *streams, size_t size, PatchGroup **ret, Error *error)
{
        _cleanup_(patch_group_freep) PatchGroup *group = calloc(1, sizeof(*group));
        int r;

        if (!group)
                return error_oom(error);
        r = payload_streams_new(streams, size, &group->streams, error);
        if (r < 0)
                return r;
        group->shared = patch_shared_new();
        if (!group->shared)
                return error_oom(error);
        *ret = TAKE_PTR(group);
        return 0;
}

int patch_group_finish(PatchGroup *group, Error *error)
{
        return payload_streams_finish(group->streams, error);
}

uint64_t patch_group_memory_bytes(void)
{
        return PAYLOAD_STREAMS_MEMORY + patch_shared_memory_bytes();
}

uint64_t patch_reader_memory_bytes(const PatchPlan *plan, uint64_t old_size_bytes)
{
        uint64_t size = READER_MEMORY + plan->segment_count * sizeof(PatchSegment);

        if (plan->shape_bytes > 0)
                size += plan->shape_bytes +
                        patch_fields_memory_bytes(old_size_bytes, plan->new_size_bytes, plan->segment_count);
        return size;
}

PatchReader *patch_reader_free(PatchReader *reader)
{
        if (!reader)
                return NULL;
        (void)patch_fields_free(reader->fields);
        free(reader->segments);
        free(reader->shape);
        free(reader->window);
        free(reader);
        return NULL;
}

static int read_segments(PatchReader *reader, const PatchPlan *plan, Error *error)
{
        PayloadStreams *streams = reader->group->streams;
        uint64_t at = 0, base = plan->continues ? plan->new_base : 0, end;
        int64_t shift = plan->continues ? reader->group->shift : 0;

        for (size_t i = 0; i < plan->segment_count; i++) {
                PatchSegment *segment = &reader->segments[i];
                uint64_t gap;
                int64_t distance;
                int r = payload_stream_varint(streams, PAYLOAD_STREAM_GAPS, &gap, error);

                if (r >= 0)
                        r = payload_stream_varint(
                                        streams, PAYLOAD_STREAM_LENGTHS, &segment->size_bytes, error);
                if (r >= 0)
                        r = payload_stream_signed_varint(
                                        streams, PAYLOAD_STREAM_DISTANCES, &distance, error);
                if (r < 0)
                        return r;
                if (ADD_OVERFLOWS(at, gap, &segment->new_offset) || segment->size_bytes == 0 ||
                                ADD_OVERFLOWS(segment->new_offset, segment->size_bytes, &at) ||
                                at > plan->new_size_bytes)
                        return malformed(error, "a run ends after the file");
                if (ADD_OVERFLOWS(shift, distance, &shift) ||
                                ADD_OVERFLOWS(base + segment->new_offset, shift, &segment->old_offset) ||
                                ADD_OVERFLOWS(segment->old_offset, segment->size_bytes, &end) ||
                                end > reader->old_file->size_bytes)
                        return malformed(error, "a run lies outside of the old file");
        }
        if (plan->continues)
                reader->group->shift = shift;
        return 0;
}

static int read_shape(PatchReader *reader, const PatchPlan *plan, Error *error)
{
        int r;

        if (plan->shape_bytes == 0)
                return 0;
        reader->shape = malloc(plan->shape_bytes);
        if (!reader->shape)
                return error_oom(error);
        r = payload_stream_read(reader->group->streams, PAYLOAD_STREAM_SHAPES, reader->shape,
                        plan->shape_bytes, error);
        return r < 0 ? r
                     : patch_fields_new(reader->old_file, plan->new_size_bytes, reader->segments,
                                       reader->segment_count, reader->shape, plan->shape_bytes,
                                       reader->group->shared, &reader->fields, error);
}

int patch_reader_new(PatchGroup *group, const PatchView *old_file, const PatchPlan *plan, PatchReader **ret,
                Error *error)
{
        _cleanup_(patch_reader_freep) PatchReader *reader = calloc(1, sizeof(*reader));
        int r;

        if (plan->segment_count > PATCH_SEGMENTS_MAX || plan->shape_bytes > PATCH_SHAPE_MAX)
                return malformed(error, "it has too many runs");
        if (!reader)
                return error_oom(error);
        reader->group = group;
        reader->old_file = old_file;
        reader->new_size = plan->new_size_bytes;
        reader->segment_count = plan->segment_count;
        reader->segments = calloc(plan->segment_count + 1, sizeof(*reader->segments));
        reader->window = malloc(WINDOW_SIZE);
        if (!reader->segments || !reader->window)
                return error_oom(error);
        r = read_segments(reader, plan, error);
        if (r >= 0)
                r = read_shape(reader, plan, error);
        if (r >= 0)
                *ret = TAKE_PTR(reader);
        return r;
}

/* `size` old bytes of a run that ends at `run_end`; large pieces go straight to where they are wanted. What
 * is read ahead is little more than the run, since the next one can be anywhere. */
static int read_old(PatchReader *reader, uint64_t offset, uint64_t run_end, uint8_t *to, size_t size,
                Error *error)
{
        while (size > 0) {
                uint64_t into = offset - reader->window_offset;
                size_t part;
                int r;

                if (offset >= reader->window_offset && into < reader->window_size) {
                        part = MIN_OF(size, reader->window_size - into);
                        memcpy(to, reader->window + into, part);
                        offset += part;
                        to += part;
                        size -= part;
                        continue;
                }
                if (size >= WINDOW_SIZE / 2)
                        return reader->old_file->read(reader->old_file->data, offset, to, size, error);
                part = MIN_OF(MAX_OF(run_end - offset, (uint64_t)READ_AHEAD_MIN), (uint64_t)WINDOW_SIZE);
                part = MIN_OF(reader->old_file->size_bytes - offset, (uint64_t)part);
                reader->window_size = 0;
                r = reader->old_file->read(reader->old_file->data, offset, reader->window, part, error);
                if (r < 0)
                        return r;
                reader->window_offset = offset;
                reader->window_size = part;
        }
        return 0;
}

static int load_run(PatchGroup *group, unsigned stream, ZeroRun *run, Error *error)
{
        int r;

        if (run->known)
                return 0;
        r = payload_stream_ended(group->streams, stream, error);
        if (r < 0)
                return r;
        run->left = UINT64_MAX;
        if (r == 0)
                r = payload_stream_varint(group->streams, stream, &run->left, error);
        run->known = r >= 0;
        return r < 0 ? r : 0;
}

/* Adds differences to bytes that are predicted to be as they were. */
static int add_differences(PatchGroup *group, uint8_t *bytes, size_t size, Error *error)
{
        ZeroRun *run = &group->bytes;

        for (size_t i = 0; i < size;) {
                size_t part;
                uint8_t difference;
                int r = load_run(group, PAYLOAD_STREAM_RUNS, run, error);

                if (r < 0)
                        return r;
                part = MIN_OF(run->left, (uint64_t)(size - i));
                i += part;
                if (run->left != UINT64_MAX)
                        run->left -= part;
                if (i == size)
                        return 0;
                r = payload_stream_read(group->streams, PAYLOAD_STREAM_DIFFS, &difference, 1, error);
                if (r < 0)
                        return r;
                bytes[i++] += difference;
                run->known = false;
        }
        return 0;
}

static int field_difference(PatchGroup *group, unsigned kind, int64_t *ret, Error *error)
{
        ZeroRun *run = &group->fields[kind];
        int r = load_run(group, PAYLOAD_STREAM_FIELDS + kind, run, error);

        if (r < 0)
                return r;
        if (run->left > 0) {
                if (run->left != UINT64_MAX)
                        run->left--;
                *ret = 0;
                return 0;
        }
        run->known = false;
        return payload_stream_signed_varint(group->streams, PAYLOAD_STREAM_ERRORS + kind, ret, error);
}

static int read_field(PatchReader *reader, Error *error)
{
        const PatchField *field = &reader->field;
        int64_t difference;
        uint64_t actual;
        int r = field_difference(reader->group, field->kind, &difference, error);

        if (r < 0)
                return r;
        actual = field->predicted + (uint64_t)difference;
        if (field->width < 8)
                actual &= (UINT64_C(1) << 8 * field->width) - 1;
        for (unsigned i = 0; i < field->width; i++)
                reader->pending[i] = (uint8_t)(actual >> 8 * i);
        reader->pending_at = 0;
        reader->pending_count = field->width;
        patch_fields_learn(reader->fields, actual);
        reader->has_field = false;
        return 0;
}

/* That every field is in its place is what keeps reads in theirs, so it is not left to one module alone. */
static bool is_sound(const PatchReader *reader)
{
        const PatchSegment *segment = &reader->segments[reader->segment];
        const PatchField *field = &reader->field;

        return field->width >= 1 && field->width <= 8 && field->kind < PATCH_KIND_MAX &&
               field->new_offset >= reader->at &&
               field->new_offset - segment->new_offset <= segment->size_bytes &&
               segment->size_bytes - (field->new_offset - segment->new_offset) >= field->width;
}

/* Makes sure that the next field of the segment is known, if there is one. */
static int look_ahead(PatchReader *reader, Error *error)
{
        int r;

        if (!reader->fields)
                return 0;
        if (!reader->begun) {
                r = patch_fields_begin(reader->fields, reader->segment, error);
                if (r < 0)
                        return r;
        }
        if (reader->has_field)
                return 0;
        r = patch_fields_next(reader->fields, &reader->field, error);
        if (r <= 0) {
                reader->field.new_offset = UINT64_MAX;
                return r;
        }
        if (!is_sound(reader))
                return malformed(error, "a predicted field lies outside of its run");
        reader->has_field = true;
        return 0;
}

/* Some bytes of the segment at hand; returns how many. Fields can leave them pending instead: 0. */
static ssize_t read_segment(PatchReader *reader, uint8_t *to, size_t size, Error *error)
{
        const PatchSegment *segment = &reader->segments[reader->segment];
        uint64_t end = segment->new_offset + segment->size_bytes;
        size_t part;
        int r = 0;

        if (!reader->begun || (!reader->has_field && reader->field.new_offset != UINT64_MAX))
                r = look_ahead(reader, error);
        if (r < 0)
                return r;
        reader->begun = true;
        if (reader->has_field && reader->field.new_offset == reader->at)
                return read_field(reader, error);
        if (reader->has_field)
                end = MIN_OF(end, reader->field.new_offset);
        part = MIN_OF((uint64_t)size, end - reader->at);
        r = read_old(reader, segment->old_offset + (reader->at - segment->new_offset),
                        segment->old_offset + segment->size_bytes, to, part, error);
        if (r >= 0)
                r = add_differences(reader->group, to, part, error);
        return r < 0 ? r : (ssize_t)part;
}

/* Goes on to the next segment once the one at hand was read to its end. */
static void pass_segment(PatchReader *reader)
{
        const PatchSegment *segment = &reader->segments[reader->segment];

        if (reader->segment == reader->segment_count ||
                        reader->at < segment->new_offset + segment->size_bytes)
                return;
        reader->segment++;
        reader->begun = false;
        reader->has_field = false;
        reader->field.new_offset = 0;
}

static ssize_t read_some(PatchReader *reader, uint8_t *to, size_t size, Error *error)
{
        uint64_t next = reader->new_size;
        size_t part;
        int r;

        if (reader->pending_count > reader->pending_at) {
                part = MIN_OF(size, reader->pending_count - reader->pending_at);
                memcpy(to, reader->pending + reader->pending_at, part);
                reader->pending_at += part;
                return (ssize_t)part;
        }
        if (reader->segment < reader->segment_count)
                next = reader->segments[reader->segment].new_offset;
        if (reader->at >= next)
                return read_segment(reader, to, size, error);
        part = MIN_OF((uint64_t)size, next - reader->at);
        r = payload_stream_read(reader->group->streams, PAYLOAD_STREAM_LITERALS, to, part, error);
        return r < 0 ? r : (ssize_t)part;
}

int patch_reader_read(PatchReader *reader, uint8_t *ret, size_t size, Error *error)
{
        if (size > reader->new_size - reader->at)
                return malformed(error, "it is shorter than what is made of it");
        while (size > 0) {
                ssize_t n = read_some(reader, ret, size, error);

                if (n < 0)
                        return (int)n;
                ret += n;
                size -= (size_t)n;
                reader->at += (uint64_t)n;
                pass_segment(reader);
        }
        return 0;
}
