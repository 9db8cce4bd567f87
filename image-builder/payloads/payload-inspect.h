/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a payload file holds, as JSON: sizes, sources, bytes by op and the groups that cost most. */

#include "error.h"
#include "payload-cost.h"

#include <jansson.h>

/* The file may be hostile; nothing of it is decoded but its index and where streams lie. */
int payload_inspect(int fd, json_t **ret, Error *error);

/* The files that cost most, as a table; NULL when out of memory. */
json_t *payload_dearest_json(const DearestFiles *dearest);

/* Bytes of solid streams by kind, as a table; NULL when out of memory. */
json_t *payload_streams_json(const StreamSizes *sizes);

/* Bytes of target and of payload by op, as a table; NULL when out of memory. Arrays are indexed by op
 * number. */
json_t *payload_ops_json(const uint64_t *counts, const uint64_t *target_bytes, const uint64_t *blob_bytes);
