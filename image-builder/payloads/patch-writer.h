/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes what release-format/patch-reader.h reads: patches into the solid streams of a group, in the order
 * in which they will be read. */

#include "patch-reader.h"
#include "stream-writer.h"

typedef struct PatchWriter PatchWriter;

PatchWriter *patch_writer_new(void); /* NULL: out of memory */
PatchWriter *patch_writer_free(PatchWriter *writer);
DEFINE_CLEANUP(PatchWriter *, patch_writer_free)

typedef struct PatchInput {
        const PatchView *old_file;
        const uint8_t *new_data;
        size_t new_size;
        size_t left_out;              /* bytes at the end of the new file that are not to be made */
        const PatchSegment *segments; /* in order of new_offset, without overlap, inside both files */
        size_t segment_count;
        bool predicts;  /* look for what can be predicted */
        bool continues; /* as in PatchPlan */
        uint64_t new_base;
} PatchInput;

/* Adds a patch; *ret is what its reader must be given. -E2BIG for too many segments. */
int patch_writer_add(PatchWriter *writer, const PatchInput *input, PatchPlan *ret, Error *error);

/* Whether anything was added since the last finish. */
bool patch_writer_is_used(const PatchWriter *writer);

/* Bytes of each stream so far. */
void patch_writer_sizes(const PatchWriter *writer, uint64_t ret[static PAYLOAD_STREAMS_MAX]);

/* Appends the streams to the blob and begins the next group. */
int patch_writer_finish(PatchWriter *writer, Buffer *blob, StreamSizes *ret, Error *error);
