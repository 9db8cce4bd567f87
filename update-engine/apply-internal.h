/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of role apply share: apply.c (orders, payloads), apply-pieces.c (pieces), apply-target.c
 * (talking to basculed, writing the target). */

#include "transfer-frames.h"

typedef struct Range {
        uint64_t start, end;
} Range;

/* Parts of the target, in order. */
typedef struct Ranges {
        Range *list;
        size_t count;
} Ranges;

int ranges_add(Ranges *ranges, uint64_t start, uint64_t end, Error *error);
bool ranges_meet(const Ranges *ranges, uint64_t start, uint64_t end);
void ranges_done(Ranges *ranges);
#define _cleanup_ranges_ _cleanup_(ranges_done)

typedef struct Apply {
        ApplySetup setup;
        PayloadSource sources[PAYLOAD_SOURCES_MAX];
        PayloadIndex *indexes[APPLY_PAYLOADS_MAX]; /* once they were needed */
        uint64_t right_bytes, written_bytes, told_bytes;
} Apply;

/* apply-target.c */
/* Asks for bytes of a payload, which then come through the pipe. */
int apply_need(size_t payload, uint64_t offset, uint64_t size);
int apply_receive(void *ret, size_t size, Error *error);
int apply_tell(Apply *apply, FrameType type, bool always);
int apply_write(Apply *apply, uint64_t offset, const uint8_t *data, uint64_t size, Error *error);
int apply_target_error(int r, const char *what, Error *error);

/* apply.c */
/* The index of a payload that is not pieces; stays apply's. */
int apply_load_index(Apply *apply, size_t payload, const PayloadIndex **ret, Error *error);
/* Makes the groups that meet `wanted` and are not there. What cannot be made of this payload is added to
 * `left`, or is an error if that is NULL. */
int apply_groups(Apply *apply, size_t payload, const Ranges *wanted, Ranges *left, Error *error);

/* apply-pieces.c */
/* The same with pieces. Where they would cost more than the groups of payload `full`, those are taken. */
int apply_pieces(
                Apply *apply, size_t payload, size_t full, const Ranges *wanted, Ranges *left, Error *error);
