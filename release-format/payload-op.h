/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The ops of a payload and the table that says what each is: adding a codec is adding a row in
 * payload-op.c and a file that decodes it. Shared by the decoder, the encoder and `inspect`; the engine
 * needs payload.h alone.
 *
 * A codec is called only after the index parser has found the op sound: ranges lie inside their sources,
 * target and blob inside their group, sizes are not zero, and scratch memory is what `memory` asked for.
 * What the blob holds is hostile all the same. */

#include "byte-reader.h"
#include "patch-reader.h"
#include "payload-format.h"

typedef struct PayloadRange {
        uint8_t source; /* PayloadSourceKind */
        uint64_t offset, size_bytes;
} PayloadRange;

typedef struct PayloadOp {
        uint8_t number;
        uint64_t target_offset, target_size_bytes; /* from the start of the group */
        uint64_t blob_offset, blob_size_bytes;     /* from the start of the group's blob */
        uint64_t parameters[PAYLOAD_PARAMETERS_MAX];
        size_t range_count;
        PayloadRange ranges[PAYLOAD_RANGES_MAX];
} PayloadOp;

/* What a codec works with. Owned by the decoder. */
typedef struct PayloadWork PayloadWork;

typedef struct PayloadCodec {
        const char *name; /* NULL: not known to this version */
        bool takes_blob, copies, takes_streams, is_hole;
        unsigned parameter_count;
        size_t ranges_min, ranges_max;
        /* Rules of this op alone; -EBADMSG with ERROR_CORRUPT. May be NULL. */
        int (*check)(const PayloadOp *op, Error *error);
        /* Bytes of scratch memory for decoding the op. May be NULL: none. */
        uint64_t (*memory)(const PayloadOp *op);
        /* Bytes that it allocates by itself while it decodes. May be NULL: none. */
        uint64_t (*heap)(const PayloadOp *op);
        /* Fills target[0 .. target_size_bytes) from blob[0 .. blob_size_bytes) and the ranges. -ESTALE when
         * a source could not be read, -EBADMSG when the blob is malformed, both with ERROR_CORRUPT. */
        int (*decode)(PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target,
                        Error *error);
} PayloadCodec;

extern const PayloadCodec payload_codecs[PAYLOAD_OP_MAX];

/* The row of an op, or NULL when this version does not know it. */
const PayloadCodec *payload_codec(uint8_t number);

/* As many bytes as the memory row of the op being decoded asked for. */
uint8_t *payload_work_scratch(PayloadWork *work);

/* Reads a range, or a part of one, into memory. -ESTALE with ERROR_CORRUPT. */
int payload_work_read(PayloadWork *work, const PayloadRange *range, uint8_t *ret, Error *error);

/* For ops that take streams: those of the group that is being decoded. */
PatchGroup *payload_work_patches(PayloadWork *work);
/* Where in the image that group begins. */
uint64_t payload_work_group_offset(const PayloadWork *work);

/* Where the rest of a patch goes: the hole of that number (from 1) in the group's target, or NULL. */
uint8_t *payload_work_hole(PayloadWork *work, uint64_t number, uint64_t size_bytes);

/* What a patch has as its old file: the ranges of the op one after the other, or, without any, all sources
 * that the payload names, whole. Filled by payload_work_old_file(), which borrows the op. */
typedef struct PayloadOldFile {
        PayloadWork *work;
        const PayloadRange *ranges;
        size_t range_count;
        PayloadRange whole[PAYLOAD_SOURCE_TARGET];
        PatchView view;
} PayloadOldFile;
void payload_work_old_file(PayloadWork *work, const PayloadOp *op, PayloadOldFile *ret);

/* Decodes one zstd frame of exactly blob_size bytes into exactly target_size, with a raw prefix (may be
 * empty). -EBADMSG with ERROR_CORRUPT. */
int payload_work_unzstd(PayloadWork *work, const uint8_t *blob, size_t blob_size, const uint8_t *prefix,
                size_t prefix_size, uint8_t *target, size_t target_size, Error *error);

/* Codecs that have a file of their own. */
int payload_zfull_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error);
int payload_patch_check(const PayloadOp *op, Error *error);
uint64_t payload_patch_heap(const PayloadOp *op);
int payload_patch_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error);
int payload_recomp_check(const PayloadOp *op, Error *error);
uint64_t payload_recomp_heap(const PayloadOp *op);
int payload_recomp_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error);
int payload_zx86_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error);

/* Walks the ops of a group. */
typedef struct PayloadOpCursor {
        ByteReader reader;
        uint64_t group_target_offset;
        uint64_t target_done, blob_done;          /* bytes of the group that the ops so far cover */
        uint64_t range_ends[PAYLOAD_SOURCES_MAX]; /* where the last range of each source ended */
} PayloadOpCursor;

/* The cursor borrows from the index. */
void payload_op_cursor(const PayloadIndex *index, size_t group, PayloadOpCursor *ret);

/* A cursor over bytes that no index vouches for. */
void payload_op_cursor_init(
                PayloadOpCursor *cursor, const uint8_t *ops, size_t size, uint64_t group_target_offset);

/* 1 and the next op, 0 at the end, or -EBADMSG with ERROR_CORRUPT, -EPROTONOSUPPORT with ERROR_INCOMPATIBLE
 * for an op that is not known. Bounds against sources and group are the index parser's. */
int payload_op_next(PayloadOpCursor *cursor, PayloadOp *ret, Error *error);

/* The encoder's side: appends the op in the same form. The cursor (its reader unused) carries the state. */
int payload_op_append(PayloadOpCursor *cursor, const PayloadOp *op, Buffer *ops);

/* Decodes without comparing a hash: payload_group_decode() less the proof. For fuzzing, and for the
 * encoder's own checks. `ret_target` is as there. */
int payload_group_run(PayloadDecoder *decoder, size_t number, const uint8_t *blob,
                const uint8_t **ret_target, Error *error);

/* Memory that decoding needs by the rule in payload-format.h. */
typedef struct PayloadMemory {
        uint64_t target_max, blob_max;  /* of any group */
        uint64_t scratch_max, heap_max; /* of any op */
        uint64_t group_max;             /* target and heap of any group */
        bool takes_streams;             /* some group does */
} PayloadMemory;
uint64_t payload_memory_needed(uint64_t table_size, size_t group_count, const PayloadMemory *memory);

/* Takes into account what an op needs; all ops of a group are counted apart, and then the group. */
void payload_memory_add_op(PayloadMemory *memory, const PayloadOp *op);
void payload_memory_add_group(PayloadMemory *memory, const PayloadMemory *ops, uint64_t target_size_bytes,
                uint64_t blob_size_bytes);
