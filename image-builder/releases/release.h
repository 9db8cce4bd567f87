/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Publishing a built image as a release: payloads of root and UKI, a manifest, the channel, all as targets
 * of a signed repository (docs/formats-release.md). Payloads are made, and proved by the engine's
 * decoder, in the folder "release" beside the images before the repository is touched, and are reused by a
 * later run, so that one that was interrupted costs little. What a reader of the repository sees changes in
 * one step, at the end, or not at all. */

#include "error.h"
#include "image-info.h"
#include "payload-encode.h"
#include "progress.h"
#include "repository.h"

typedef struct ReleaseRequest {
        const char *folder;      /* that `build` made */
        const char *repository;  /* made if it is not there */
        const char *keys_folder; /* for the root metadata of a new repository; NULL: it must be there */
        KeyRing *keys;           /* that sign */
        const char *channel;
        char *const *from;  /* folders that `build` made: deltas are made from all of them */
        size_t delta_count; /* and from so many of the channel's newest releases below this one */
        const char *cache;  /* where deltas are kept; NULL: the user's */
        const char *notes; /* text for the manifest; NULL: none, or if the version was published before, what
                              was said then */
        bool is_floor;
        bool has_no_pieces;    /* hosts without a delta fetch the full payload */
        uint64_t wave_seconds; /* rollout from now on; 0: at once */
        int level;             /* of compression; 0: PAYLOAD_LEVEL_DEFAULT */
        unsigned threads;      /* 0: all */
        int64_t now;           /* seconds since 1970; 0: the clock */
        Progress *progress;    /* may be NULL */
} ReleaseRequest;

#define RELEASE_DELTAS_DEFAULT 3

typedef struct ReleaseDeltaReport {
        char *version;                          /* that it starts from */
        uint64_t payload_bytes[IMAGE_KIND_MAX]; /* 0: none, as it would not have been smaller */
} ReleaseDeltaReport;

typedef struct ReleaseReport {
        char *image_id, *version, *architecture;
        uint64_t image_bytes[IMAGE_KIND_MAX];
        uint64_t full_payload_bytes[IMAGE_KIND_MAX];
        uint64_t decoder_memory_bytes; /* of the payload that needs most */
        ReleaseDeltaReport *deltas;    /* made for this channel, newest first */
        size_t delta_count;
        bool was_published; /* the same images were in the repository already, for another channel */
} ReleaseReport;

/* Errors: -EALREADY with ERROR_NOTHING_TO_DO when the channel offers it already; ERROR_REFUSED for a version
 * that was published with other content, or withdrawn; ERROR_CORRUPT when an image is not what image.json
 * says; and those of the repository. */
int release_publish(const ReleaseRequest *request, ReleaseReport *ret, Error *error);
void release_report_done(ReleaseReport *report);

/* Marks a release as one that no host shall go to, and publishes that. Uses repository, keys,
 * channel and now of the request alone. -ENOENT with ERROR_REFUSED when the channel does not have it;
 * -EALREADY with ERROR_NOTHING_TO_DO when it is withdrawn already. */
int release_withdraw(const ReleaseRequest *request, const char *version, const char *reason, Error *error);

/* The target paths; freed by the caller, NULL when out of memory. */
char *release_channel_path(const char *channel);
char *release_manifest_path(const char *version, const char *architecture);
char *release_payload_path(const char *version, const char *architecture, ImageKind kind);
char *release_pieces_path(const char *version, const char *architecture, ImageKind kind);
