/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "fuzz.h"
#include "patch-fields.h"

#include <string.h>

/* The input: sizes of the old file, of the new one and of the shape, number of segments (4 bytes each);
 * segments of three numbers of 4 bytes; shape; old file. It is walked twice with the same shared knowledge;
 * every other field is learned as foretold, the rest as something else. */

#define SEGMENTS_MAX 64
#define NEW_SIZE_MAX (64u * 1024 * 1024)

static int read_bytes(void *data, uint64_t offset, void *ret, size_t size, Error *error)
{
        const Buffer *old_file = data;

        (void)error;
        MUST(offset <= old_file->size && size <= old_file->size - offset);
        memcpy(ret, old_file->data + offset, size);
        return 0;
}

static int walk_segment(PatchFields *fields, const PatchSegment *segment, size_t number)
{
        uint64_t end = segment->new_offset;
        PatchField field;
        int r = patch_fields_begin(fields, number, NULL);

        while (r >= 0 && (r = patch_fields_next(fields, &field, NULL)) > 0) {
                MUST(field.width >= 1 && field.width <= 8 && field.kind < PATCH_KIND_MAX);
                MUST(field.new_offset >= end);
                end = field.new_offset + field.width;
                MUST(end <= segment->new_offset + segment->size_bytes);
                MUST(field.width == 8 || field.predicted >> 8 * field.width == 0);
                patch_fields_learn(fields, end & 8 ? field.predicted : field.predicted ^ (end & 0xff));
        }
        return r;
}

static void walk(const PatchView *view, uint64_t new_size, const PatchSegment *segments, size_t count,
                const uint8_t *shape, size_t shape_size, PatchShared *shared)
{
        PatchFields *fields = NULL;
        int r = patch_fields_new(view, new_size, segments, count, shape, shape_size, shared, &fields, NULL);

        for (size_t i = 0; i < count && r >= 0; i++)
                r = walk_segment(fields, &segments[i], i);
        (void)patch_fields_free(fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        PatchSegment segments[SEGMENTS_MAX];
        uint32_t old_size, new_size, shape_size, count;
        PatchShared *shared;
        PatchView view;
        Buffer old_file;

        if (size < 16)
                return 0;
        old_size = read_le32(data);
        new_size = read_le32(data + 4);
        shape_size = read_le32(data + 8);
        count = read_le32(data + 12);
        if (count > SEGMENTS_MAX || new_size > NEW_SIZE_MAX || size - 16 < 12 * (size_t)count ||
                        shape_size > size - 16 - 12 * (size_t)count ||
                        old_size != size - 16 - 12 * (size_t)count - shape_size)
                return 0;
        for (size_t i = 0; i < count; i++)
                segments[i] = (PatchSegment){ read_le32(data + 16 + 12 * i), read_le32(data + 20 + 12 * i),
                        read_le32(data + 24 + 12 * i) };
        data += 16 + 12 * (size_t)count;
        old_file = (Buffer){ .data = (uint8_t *)(uintptr_t)(data + shape_size), .size = old_size };
        view = (PatchView){ read_bytes, &old_file, old_size };
        shared = patch_shared_new();
        if (!shared)
                abort();
        walk(&view, new_size, segments, count, data, shape_size, shared);
        walk(&view, new_size, segments, count, data, shape_size, shared);
        (void)patch_shared_free(shared);
        return 0;
}
