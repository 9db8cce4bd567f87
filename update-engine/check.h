/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Looking for a release: metadata, channel, plan, manifest. Nothing is written but trusted metadata. */

#include "operation.h"
#include "plan.h"
#include "session.h"

#define CHECK_PAYLOADS_MAX 3

typedef struct CheckResult {
        Plan *plan;
        Manifest *manifest; /* NULL unless the plan got as far */
        char *available;    /* the newest release that the channel offers above the running one, or NULL */
        /* With PLAN_INSTALL, per image, in the order in which they are tried: the delta and the pieces where
         * there are some, and the full payload. */
        const PayloadReference *payloads[IMAGE_KIND_MAX][CHECK_PAYLOADS_MAX]; /* into the manifest */
        char *paths[IMAGE_KIND_MAX][CHECK_PAYLOADS_MAX];
        size_t payload_counts[IMAGE_KIND_MAX];
        uint8_t running_uki_sha256[SHA256_SIZE];
        bool has_running_uki;
} CheckResult;

/* Succeeds whatever the plan's verdict is. version may be NULL. With `probe`, and PLAN_INSTALL, the
 * repository must also show that it has the payloads. */
int check_run(Operation *operation, const HostFacts *facts, const char *version, unsigned flags, bool probe,
                CheckResult *ret, Error *error);
void check_result_done(CheckResult *result);
