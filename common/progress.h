/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Progress of long work: one line that is redrawn on a terminal, a plain line per step in a log. Output
 * goes to standard error. */

#include "macro.h"

typedef struct Progress Progress;

/* NULL when out of memory; every function accepts NULL and then does nothing. */
Progress *progress_new(void);
Progress *progress_free(Progress *progress);

/* Begins a step; `total` in bytes, or 0 when it is not known. */
void progress_begin(Progress *progress, const char *step, uint64_t total_bytes);
/* Bytes done of the present step. On a terminal shows percent, rate and time left. */
void progress_update(Progress *progress, uint64_t done_bytes);
/* The same when total and rate come from whoever does the work; a rate of 0 is not known. */
void progress_set(Progress *progress, uint64_t done_bytes, uint64_t total_bytes, uint64_t rate_bytes);
/* Ends the step with a remark ("410.2 MiB", "cached"). */
void progress_end(Progress *progress, const char *remark);

DEFINE_CLEANUP(Progress *, progress_free)
