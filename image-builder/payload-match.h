/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Matchers: each looks at a target, and at what a host may already have, and makes a plan. */

#include "payload-plan.h"

/* The plan of a payload that needs no source: runs of zeros, and frames of `group_size_bytes` (a multiple of
 * PAYLOAD_BLOCK_SIZE) that may each refer to as much as `history_bytes` of target before it. 0 for either:
 * the defaults, which keep the decoder's memory under 40 MiB. */
int payload_match_full(int target_fd, uint64_t target_size_bytes, uint64_t group_size_bytes,
                uint64_t history_bytes, PayloadPlan **ret, Error *error);
