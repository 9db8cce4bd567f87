/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One image on its way: fetch streams what apply asks for, apply writes it, this supervises both. */

#include "manifest.h"
#include "operation.h"
#include "payload.h"

typedef struct TransferPayload {
        const PayloadReference *reference; /* borrowed */
        const char *download_path;         /* below targets/; borrowed */
        bool is_pieces;
} TransferPayload;

typedef struct TransferRequest {
        Extent target;                       /* size_bytes is that of the image; borrowed */
        Extent sources[PAYLOAD_SOURCES_MAX]; /* fd -1: not there; borrowed */
        TransferPayload payloads[3];         /* the chosen ones in order; the last is the full one */
        size_t payload_count;
} TransferRequest;

/* Makes the target hold the image, flushed; what it holds already is not fetched. Tries all mirrors, also
 * for bytes that turn out wrong, and then the next payload. The image is not proved by this: that is reading
 * back. Progress is told from the operation's present counts on. */
int transfer_run(Operation *operation, const TransferRequest *request, Error *error);
