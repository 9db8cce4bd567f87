/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Releases that hosts may run: what deltas start from. Their images come from folders that `build` made, or
 * are made again of the full payloads in the repository; either way they are proved before they are used. */

#include "channel.h"
#include "release.h"

/* Images by ImageKind; a folder's are found through image.json. */
typedef struct ReleaseSource {
        char *version;
        uint8_t root_hash[SHA256_SIZE]; /* verity */
        uint8_t sha256[IMAGE_KIND_MAX][SHA256_SIZE];
        uint64_t size_bytes[IMAGE_KIND_MAX];
        char *files[IMAGE_KIND_MAX]; /* images, or full payloads that make them */
        bool is_rebuilt;             /* files are payloads */
        int fds[IMAGE_KIND_MAX];     /* of images, proved; -1 until release_source_open() */
} ReleaseSource;

typedef struct ReleaseSources {
        ReleaseSource *list;
        size_t count;
} ReleaseSources;

/* Every folder that the request names, and of the releases that the channel still supports below `info`'s
 * version (not withdrawn, not before the last floor, for the same architecture) the newest,
 * request->delta_count at most: from such a folder where one holds its images. ERROR_USAGE for a folder of
 * another image or architecture. */
int release_sources_find(const ReleaseRequest *request, const Repository *repository, const Channel *channel,
                const ImageInfo *info, ReleaseSources *ret, Error *error);

/* Opens both images; those that must be made again go into nameless files beside `scratch_path`.
 * ERROR_CORRUPT when they are not what image.json or manifest say. Does nothing when they are open. */
int release_source_open(ReleaseSource *source, const char *scratch_path, Progress *progress, Error *error);
/* Closes the images, which frees the room of those that were made again. */
void release_source_close(ReleaseSource *source);

void release_sources_done(ReleaseSources *sources);
