/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Payloads made by hand, rule by rule, so that a test can break each. A PayloadSketch says what the index
 * claims; sketch_build() writes it down without asking whether it makes sense. */

#include "bytes.h"
#include "payload-op.h"

#include <string.h>
#include <zstd.h>

#define SKETCH_GROUPS_MAX 256

typedef struct SketchGroup {
        uint64_t target_size, blob_size, ops_size;
        const uint8_t *target, *blob, *ops; /* ops_size bytes; target may be NULL: hash of nothing */
} SketchGroup;

typedef struct PayloadSketch {
        SketchGroup groups[SKETCH_GROUPS_MAX];
        uint32_t group_count;
        uint64_t source_size[PAYLOAD_SOURCE_TARGET];
        uint64_t memory;
        const uint8_t *sections;
        size_t sections_size;
        size_t table_cut;      /* bytes to leave off the unpacked table */
        int64_t target_excess; /* added to the target size in the header */
        int64_t size_excess;   /* the same for the payload size */
        uint32_t format;       /* 0: the present one */
        uint64_t reserved;
        uint32_t table_full; /* 0: the right one */
        bool trailing_frame; /* append an empty frame to the table */
} PayloadSketch;

static inline void sketch_table(const PayloadSketch *sketch, Buffer *table)
{
        for (uint32_t i = 0; i < sketch->group_count; i++) {
                (void)buffer_append_varint(table, sketch->groups[i].target_size);
                (void)buffer_append_varint(table, sketch->groups[i].blob_size);
                (void)buffer_append_varint(table, sketch->groups[i].ops_size);
        }
        for (uint32_t i = 0; i < sketch->group_count; i++) {
                const SketchGroup *group = &sketch->groups[i];
                uint8_t sha256[SHA256_SIZE];

                sha256_of(group->blob, group->blob ? group->blob_size : 0, sha256);
                if (group->blob_size > 0)
                        (void)buffer_append(table, sha256, sizeof(sha256));
                sha256_of(group->target, group->target ? group->target_size : 0, sha256);
                (void)buffer_append(table, sha256, sizeof(sha256));
        }
        for (uint32_t i = 0; i < sketch->group_count; i++)
                if (sketch->groups[i].ops)
                        (void)buffer_append(table, sketch->groups[i].ops, sketch->groups[i].ops_size);
        (void)buffer_append(table, sketch->sections, sketch->sections_size);
        table->size -= MIN_OF(sketch->table_cut, table->size);
}

/* The whole file; *ret_index_size of it is the index. */
static inline void sketch_build(const PayloadSketch *sketch, Buffer *ret, size_t *ret_index_size)
{
        _cleanup_buffer_ Buffer table = BUFFER_WITH_CAP(64 * MIB);
        uint8_t header[PAYLOAD_HEADER_SIZE] = { 0 };
        uint64_t target = 0, blobs = 0;
        size_t packed;

        sketch_table(sketch, &table);
        for (uint32_t i = 0; i < sketch->group_count; i++) {
                target += sketch->groups[i].target_size;
                blobs += sketch->groups[i].blob_size;
        }
        (void)buffer_append(ret, header, sizeof(header));
        (void)buffer_reserve(ret, ZSTD_compressBound(table.size) + 64);
        packed = ZSTD_compress(
                        ret->data + ret->size, ZSTD_compressBound(table.size), table.data, table.size, 3);
        if (sketch->trailing_frame)
                packed += ZSTD_compress(ret->data + ret->size + packed, 64, "", 0, 3);
        ret->size += packed;
        memcpy(header, PAYLOAD_MAGIC, 8);
        write_le32(header + PAYLOAD_AT_FORMAT, sketch->format ? sketch->format : PAYLOAD_FORMAT);
        write_le32(header + PAYLOAD_AT_GROUP_COUNT, sketch->group_count);
        write_le64(header + PAYLOAD_AT_SIZE, ret->size + blobs + (uint64_t)sketch->size_excess);
        write_le64(header + PAYLOAD_AT_TARGET_SIZE, target + (uint64_t)sketch->target_excess);
        for (size_t i = 0; i < PAYLOAD_SOURCE_TARGET; i++)
                write_le64(header + PAYLOAD_AT_SOURCE_SIZE + 8 * i, sketch->source_size[i]);
        write_le64(header + PAYLOAD_AT_MEMORY, sketch->memory ? sketch->memory : 40 * MIB);
        write_le32(header + PAYLOAD_AT_TABLE_SIZE, (uint32_t)packed);
        write_le32(header + PAYLOAD_AT_TABLE_FULL,
                        sketch->table_full ? sketch->table_full : (uint32_t)table.size);
        write_le64(header + PAYLOAD_AT_RESERVED, sketch->reserved);
        memcpy(ret->data, header, sizeof(header));
        *ret_index_size = ret->size;
        for (uint32_t i = 0; i < sketch->group_count; i++)
                if (sketch->groups[i].blob)
                        (void)buffer_append(ret, sketch->groups[i].blob, sketch->groups[i].blob_size);
}

/* What a manifest would say of these bytes, if its author believed their header. */
static inline PayloadExpectation expect_as_told(const uint8_t *data, size_t index_size)
{
        PayloadExpectation expectation = { .index_size_bytes = index_size,
                .memory_max_bytes = PAYLOAD_MEMORY_MAX };

        if (index_size >= PAYLOAD_HEADER_SIZE) {
                expectation.payload_size_bytes = read_le64(data + PAYLOAD_AT_SIZE);
                expectation.target_size_bytes = read_le64(data + PAYLOAD_AT_TARGET_SIZE);
        }
        sha256_of(data, index_size, expectation.index_sha256);
        return expectation;
}
