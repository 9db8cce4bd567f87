/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Coding the ops of a plan into bytes: one row per op in payload-code.c, the mirror of payload_codecs[]. A
 * PayloadCoder belongs to one thread; what it makes of a group depends on nothing but the plan, the
 * bytes and the level. */

#include "payload-cost.h"
#include "payload-plan.h"
#include "stream-writer.h"

typedef struct PayloadCoder PayloadCoder;

/* Where the encoder reads: the whole new image, and the sources of the plan (those that it does not read
 * may have fd -1). Descriptors are borrowed; reads go by pread, so that threads can share them. */
typedef struct PayloadInputs {
        int target_fd;
        PayloadSource sources[PAYLOAD_SOURCE_TARGET];
        int level; /* of zstd, 1 to 22 */
} PayloadInputs;

/* A coded group, whose buffers the caller keeps and reuses. */
typedef struct CodedGroup {
        PayloadGroup group; /* all but blob_offset */
        Buffer blob, ops;
        PayloadMemory memory; /* what its ops need */
        unsigned sources;     /* that its ops, as they came out, read: bit 1 << PayloadSourceKind */
        bool reads_all;       /* all sources of the plan, besides */
        StreamSizes stream_sizes;
        CostList costs; /* of its ops, in their order */
} CodedGroup;

void coded_group_done(CodedGroup *coded);

/* Inputs and plan must outlive it. */
int payload_coder_new(
                const PayloadInputs *inputs, const PayloadPlan *plan, PayloadCoder **ret, Error *error);
PayloadCoder *payload_coder_free(PayloadCoder *coder);
DEFINE_CLEANUP(PayloadCoder *, payload_coder_free)

/* Replaces what *ret holds. */
int payload_coder_run(PayloadCoder *coder, const PlanGroup *group, CodedGroup *ret, Error *error);

/* For coders of ops: reads the ranges of an op, joined, into memory that the coder owns and reuses. */
int payload_coder_ranges(
                PayloadCoder *coder, const PlanOp *op, const uint8_t **ret, size_t *ret_size, Error *error);

/* Appends one zstd frame without checksum that decodes after the prefix. */
int payload_coder_zstd(PayloadCoder *coder, const uint8_t *data, size_t size, const uint8_t *prefix,
                size_t prefix_size, Buffer *blob, Error *error);
