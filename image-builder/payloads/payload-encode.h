/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writing payload files. The bytes depend on the inputs, the plan and the version of zstd, never on the
 * number of threads. A payload appears under its name only after the engine's own decoder has made the
 * image of it again, byte for byte. */

#include "payload-code.h"
#include "payload-walk.h"

#define PAYLOAD_LEVEL_DEFAULT 19

/* What was written; what a manifest has to say of it. */
typedef struct PayloadReport {
        uint64_t size_bytes;
        uint8_t sha256[SHA256_SIZE];
        uint64_t index_size_bytes;
        uint8_t index_sha256[SHA256_SIZE];
        uint64_t memory_bytes;
        uint64_t target_size_bytes;
        size_t group_count;
        uint64_t target_bytes[PAYLOAD_OP_MAX], blob_bytes[PAYLOAD_OP_MAX]; /* by op */
        StreamSizes streams;
        DearestFiles dearest; /* of those that have an op of their own */
} PayloadReport;

/* Threads: 0 for as many as there are processors. `progress` (may be NULL) counts the target twice: while it
 * is coded and while it is proved. Replaces what is at `path`. -E2BIG with ERROR_FAILED when a decoder would
 * need more than PAYLOAD_MEMORY_MAX. */
int payload_encode(const PayloadInputs *inputs, const PayloadPlan *plan, unsigned threads, const char *path,
                PayloadProgress progress, void *progress_data, PayloadReport *ret, Error *error);

/* Whether an existing payload file makes that image out of those sources, by decoding all of it; fills *ret
 * but for the bytes by op. -ENOENT when there is no such file, -EBADMSG when it is another payload, or
 * damaged. */
int payload_prove(const PayloadInputs *inputs, const char *path, PayloadProgress progress,
                void *progress_data, PayloadReport *ret, Error *error);
