/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Runs of an old image that a new one has, found file by file, made into few that cover as much as can be.
 */

#include "payload.h"
#include "suffix-match.h"

typedef struct ImageRuns {
        SegmentList runs; /* in any order before image_runs_tidy(), and possibly overlapping */
        int target_fd;
        const PayloadSource *old_root;
        const uint64_t *borders; /* ascending offsets in the new image that no joined run may pass */
        size_t border_count;
} ImageRuns;

/* Orders the runs, takes out overlaps, gives what lies between two (padding, mostly) to one of them where
 * the bytes are the same, and joins those that then continue each other. Negative errno from reading. */
int image_runs_tidy(ImageRuns *image);
