/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bounds a cache: what was used longest ago goes first. Safe while builds run: a finished step is removed
 * under its own lock, what a build uses right now is passed over, and nothing goes that was used within the
 * last hour (packages of a lock have no lock of their own). */

#include "cache.h"

typedef struct CacheGcOptions {
        uint64_t max_bytes;       /* UINT64_MAX: any size */
        uint64_t max_age_seconds; /* since it was last used; UINT64_MAX: any age */
        bool dry_run;             /* only tell */
} CacheGcOptions;

typedef struct CacheGcReport {
        size_t removed_count, kept_count;
        uint64_t removed_bytes, kept_bytes; /* as the disk counts them */
} CacheGcReport;

#define CACHE_GC_SPARED_SECONDS 3600

int cache_gc(Cache *cache, const CacheGcOptions *options, CacheGcReport *ret, Error *error);
