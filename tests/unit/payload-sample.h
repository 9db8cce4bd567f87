/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "file.h"
#include "payload-fixture.h"

#include <sys/mman.h>

/* A payload of two groups that uses every op:
 *     group 0   4096 bytes: 1000 RAW, 3096 ZERO
 *     group 1   SAME 100, COPY 200 from the old root, COPY 50 from group 0, ZFULL 500 plain, ZFULL 400 after
 * a prefix made of old root and group 0 */
#define GROUP0_SIZE 4096
#define GROUP1_SIZE 1250
#define TARGET_SIZE (GROUP0_SIZE + GROUP1_SIZE)
#define SOURCE_SIZE 6000

typedef struct Sample {
        uint8_t target[TARGET_SIZE], source[SOURCE_SIZE];
        uint8_t blob1[2000];
        Buffer ops0, ops1, file;
        size_t index_size, blob1_size;
        int source_fd, target_fd;
} Sample;

static inline void sample_done(Sample *sample)
{
        buffer_done(&sample->ops0);
        buffer_done(&sample->ops1);
        buffer_done(&sample->file);
        sample->source_fd = fd_close(sample->source_fd);
        sample->target_fd = fd_close(sample->target_fd);
}

static inline void fill(uint8_t *data, size_t size, uint32_t seed)
{
        for (size_t i = 0; i < size; i++) {
                seed = seed * 1664525 + 1013904223;
                data[i] = (uint8_t)('a' + (seed >> 24) % 20);
        }
}

static inline size_t frame(
                uint8_t *ret, const uint8_t *data, size_t size, const uint8_t *prefix, size_t prefix_size)
{
        ZSTD_CCtx *context = ZSTD_createCCtx();
        size_t r;

        (void)ZSTD_CCtx_refPrefix(context, prefix, prefix_size);
        r = ZSTD_compress2(context, ret, 1000, data, size);
        (void)ZSTD_freeCCtx(context);
        return r;
}

static inline void make_ops(Sample *sample, size_t plain_size, size_t prefixed_size)
{
        const PayloadOp list0[] = {
                { .number = PAYLOAD_OP_RAW, .target_size_bytes = 1000, .blob_size_bytes = 1000 },
                { .number = PAYLOAD_OP_ZERO, .target_size_bytes = 3096 },
        };
        const PayloadOp list1[] = {
                { .number = PAYLOAD_OP_SAME, .target_size_bytes = 100 },
                { .number = PAYLOAD_OP_COPY,
                                .target_size_bytes = 200,
                                .range_count = 1,
                                .ranges = { { 0, 5, 200 } } },
                { .number = PAYLOAD_OP_COPY,
                                .target_size_bytes = 50,
                                .range_count = 1,
                                .ranges = { { 3, 7, 50 } } },
                { .number = PAYLOAD_OP_ZFULL, .target_size_bytes = 500, .blob_size_bytes = plain_size },
                { .number = PAYLOAD_OP_ZFULL,
                                .target_size_bytes = 400,
                                .blob_size_bytes = prefixed_size,
                                .range_count = 2,
                                .ranges = { { 0, 1000, 300 }, { 3, 0, 300 } } },
        };
        PayloadOpCursor cursor;

        payload_op_cursor_init(&cursor, NULL, 0, 0);
        for (size_t i = 0; i < ELEMENTS(list0); i++)
                (void)payload_op_append(&cursor, &list0[i], &sample->ops0);
        payload_op_cursor_init(&cursor, NULL, 0, GROUP0_SIZE);
        for (size_t i = 0; i < ELEMENTS(list1); i++)
                (void)payload_op_append(&cursor, &list1[i], &sample->ops1);
}

static inline void sample_make(Sample *sample)
{
        uint8_t *t = sample->target, prefix[600];
        PayloadSketch sketch = { .group_count = 2, .source_size = { SOURCE_SIZE } };
        size_t plain, prefixed;

        *sample = (Sample){
                .ops0 = BUFFER_WITH_CAP(4096), .ops1 = BUFFER_WITH_CAP(4096), .file = BUFFER_WITH_CAP(MIB)
        };
        fill(sample->source, SOURCE_SIZE, 1);
        fill(t, 1000, 2);
        memcpy(t + GROUP0_SIZE, sample->source + GROUP0_SIZE, 100);
        memcpy(t + GROUP0_SIZE + 100, sample->source + 5, 200);
        memcpy(t + GROUP0_SIZE + 300, t + 7, 50);
        fill(t + GROUP0_SIZE + 350, 500, 3);
        memcpy(t + GROUP0_SIZE + 850, t + 100, 200);
        memcpy(t + GROUP0_SIZE + 1050, sample->source + 1050, 200);
        memcpy(prefix, sample->source + 1000, 300);
        memcpy(prefix + 300, t, 300);
        plain = frame(sample->blob1, t + GROUP0_SIZE + 350, 500, NULL, 0);
        prefixed = frame(sample->blob1 + plain, t + GROUP0_SIZE + 850, 400, prefix, 600);
        sample->blob1_size = plain + prefixed;
        make_ops(sample, plain, prefixed);
        sketch.groups[0] = (SketchGroup){ GROUP0_SIZE, 1000, sample->ops0.size, t, t, sample->ops0.data };
        sketch.groups[1] = (SketchGroup){ GROUP1_SIZE, sample->blob1_size, sample->ops1.size,
                t + GROUP0_SIZE, sample->blob1, sample->ops1.data };
        sketch_build(&sketch, &sample->file, &sample->index_size);
        sample->source_fd = memfd_create("source", MFD_CLOEXEC);
        sample->target_fd = memfd_create("target", MFD_CLOEXEC);
        (void)pwrite_full(sample->source_fd, sample->source, SOURCE_SIZE, 0);
        (void)pwrite_full(sample->target_fd, t, GROUP0_SIZE, 0);
}

static inline int sample_open(const Sample *sample, int source_fd, PayloadIndex **ret_index,
                PayloadDecoder **ret, Error *error)
{
        PayloadExpectation expectation = expect_as_told(sample->file.data, sample->index_size);
        const PayloadSource sources[PAYLOAD_SOURCES_MAX] = {
                [PAYLOAD_SOURCE_OLD_ROOT] = { source_fd, 0, SOURCE_SIZE },
                [PAYLOAD_SOURCE_OLD_UKI] = { -1, 0, 0 },
                [PAYLOAD_SOURCE_NEW_ROOT] = { -1, 0, 0 },
                [PAYLOAD_SOURCE_TARGET] = { sample->target_fd, 0, TARGET_SIZE },
        };
        int r = payload_index_parse(sample->file.data, sample->index_size, &expectation, ret_index, error);

        return r < 0 ? r : payload_decoder_new(*ret_index, sources, ELEMENTS(sources), ret, error);
}
