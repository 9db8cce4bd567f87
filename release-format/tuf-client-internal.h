/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the client share. */

#include "tuf-client.h"

typedef struct TufDelegated {
        char *name;
        TufMetadata *metadata;
} TufDelegated;

struct TufClient {
        TufTransport transport;
        TufStore store;
        int64_t now;
        TufMetadata *trusted[TUF_ROLE_MAX]; /* root is always there */
        /* Loaded since the last refresh. A search adds at most half of it, and so never moves what it
         * borrowed. */
        TufDelegated delegated[2 * TUF_DELEGATIONS_MAX];
        size_t delegated_count;
};

/* Fetches "VERSION.ROLE.json", or "ROLE.json" when version is 0. -ENOENT has no Error. */
int tuf_client_fetch(TufClient *client, const char *role, uint64_t version, Buffer *ret, Error *error);

/* ERROR_UNTRUSTED when the metadata has expired. */
int tuf_client_check_expiry(
                const TufClient *client, const char *what, const TufMetadata *metadata, Error *error);

/* The role's metadata as the snapshot pins it, signed as `keys` and `signers` say: from the store if what is
 * there holds, else fetched and saved. `name` is "targets" or a delegated role's. */
int tuf_client_load_targets(TufClient *client, const char *name, const TufKeys *keys,
                const TufSigners *signers, TufMetadata **ret, Error *error);

void tuf_client_forget_delegated(TufClient *client);
