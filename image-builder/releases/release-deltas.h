/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The deltas of a release: made, or taken from the cache of steps, where they are kept under the hash of all
 * that they depend on (both pairs of images, level, this program). Each was decoded by the engine's decoder
 * and compared before it got into the cache. */

#include "cache.h"
#include "release-source.h"

/* One source's deltas, by ImageKind. */
typedef struct ReleaseDelta {
        char *version;
        PayloadReference references[IMAGE_KIND_MAX]; /* path NULL: there is none, or none that is worth it */
        char *files[IMAGE_KIND_MAX];                 /* on this machine */
        uint64_t size_bytes[IMAGE_KIND_MAX]; /* also of one that is not smaller than the full payload */
} ReleaseDelta;

typedef struct ReleaseDeltas {
        ReleaseDelta *list;
        size_t count;
        Cache *cache;
        CacheEntry *entries; /* that hold the files; locked */
        size_t entry_count;
} ReleaseDeltas;

/* `full_bytes` are the sizes of the full payloads: what is not smaller gets no path. */
int release_make_deltas(const ReleaseRequest *request, const ImageInfo *info, ReleaseSources *sources,
                const uint64_t full_bytes[IMAGE_KIND_MAX], ReleaseDeltas *ret, Error *error);
void release_deltas_done(ReleaseDeltas *deltas);

/* Adds to the manifest what it does not have yet; *ret_changed tells whether that was anything. */
int release_add_deltas(const ReleaseDeltas *deltas, Manifest *manifest, bool *ret_changed, Error *error);
