/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* FRAME_APPLY_SETUP: what apply is to write where, and from what. */

#include "frames.h"
#include "payload.h"

#define APPLY_PAYLOADS_MAX 3 /* a delta, pieces, and the full one to fall back on */

typedef struct ApplySource {
        bool exists;
        uint64_t offset, size_bytes; /* within the descriptor ROLE_FD_SOURCES + number */
} ApplySource;

typedef struct ApplySetup {
        uint64_t target_offset, target_size_bytes; /* within ROLE_FD_TARGET */
        ApplySource sources[PAYLOAD_SOURCES_MAX];
        size_t payload_count;
        PayloadExpectation payloads[APPLY_PAYLOADS_MAX];
        bool are_pieces[APPLY_PAYLOADS_MAX]; /* pieces.h, not payload.h; never the last */
} ApplySetup;

int apply_setup_put(Buffer *body, const ApplySetup *setup);
/* The frame is hostile as far as apply is concerned: -EBADMSG for what cannot be. */
int apply_setup_take(Frame *frame, ApplySetup *ret);
