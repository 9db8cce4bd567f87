/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which releases are on offer: the TUF target channels/NAME.json (docs/formats.md). Signed, bounded. */

#include "error.h"
#include "version-order.h"

#define CHANNEL_FORMAT 1
#define CHANNEL_MAX (1 * MIB)
#define CHANNEL_RELEASES_MAX 4096
#define CHANNEL_ARCHITECTURES_MAX 32

typedef struct ChannelRelease {
        char *version;
        char **architectures;  /* strv: for which a manifest exists */
        uint64_t wave_start;   /* seconds since 1970 when the rollout begins; 0: at once */
        uint64_t wave_seconds; /* over which hosts are let in; 0: all at once */
        bool is_floor;         /* an older host must pass through this one */
        bool is_withdrawn;
        char *withdrawn_reason; /* NULL unless withdrawn */
} ChannelRelease;

typedef struct Channel {
        char *name;
        char *image_id;
        ChannelRelease *releases; /* oldest first by version_compare(), no version twice */
        size_t release_count;
} Channel;

/* -EBADMSG with ERROR_UNTRUSTED for a text that breaks a rule, -EPROTONOSUPPORT with ERROR_INCOMPATIBLE for
 * a newer format. Members that are not known are passed over. */
int channel_parse(const char *text, size_t size, Channel **ret, Error *error);
/* Deterministic JSON text, freed by the caller. */
int channel_format(const Channel *channel, char **ret, Error *error);
Channel *channel_free(Channel *channel);
DEFINE_CLEANUP(Channel *, channel_free)

/* NULL when the channel does not list it. */
ChannelRelease *channel_find(const Channel *channel, const char *version);

/* Adds a release in order. -EEXIST if it is there. The new element is *ret, zeroed but for its version. */
int channel_add(Channel *channel, const char *version, ChannelRelease **ret, Error *error);

/* The release that a host on `current` should move to next: the newest that is not withdrawn, but never past
 * a floor that lies above `current`; NULL when there is none above. `host_fraction` in [0, 1) is the host's
 * fixed place in a rollout; `now` in seconds since 1970. Of withdrawn releases only the current one matters:
 * it does not stop the move. `skip` (may be NULL) says which versions not to choose (ledger). */
typedef bool (*ChannelSkip)(void *data, const char *version);
const ChannelRelease *channel_next(const Channel *channel, const char *current, const char *architecture,
                double host_fraction, uint64_t now, ChannelSkip skip, void *skip_data);
