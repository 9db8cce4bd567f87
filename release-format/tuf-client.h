/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The client of The Update Framework, specification 1.0.34, section 5, whole. It knows nothing of network
 * or disk: a TufTransport brings bytes, a TufStore keeps trusted metadata. The engine runs it twice, in
 * `fetch` over HTTP and in `basculed` over what `fetch` brought (docs/ARCHITECTURE.md), with the same code.
 *
 * Everything a transport brings is hostile. Everything a store returns was once verified, and is verified
 * again when it is loaded. */

#include "buffer.h"
#include "error.h"
#include "sha256.h"
#include "tuf-metadata.h"

#define TUF_ROOT_MAX (512 * KIB)
#define TUF_TIMESTAMP_MAX (64 * KIB)
#define TUF_SNAPSHOT_MAX (2 * MIB)
#define TUF_TARGETS_MAX (8 * MIB)
#define TUF_ROOT_ROTATIONS_MAX 256 /* roots fetched in one refresh */
#define TUF_DELEGATIONS_MAX 32     /* delegated roles visited in one search */

/* Brings the file of that name ("2.root.json", "timestamp.json", "3.targets.json") from the metadata folder
 * of the repository into `ret`, whose cap is the most that may be read. The names of delegated roles are
 * percent-encoded, so a name never holds a '/' and can be put in a URL, or be a file's, as it is. -ENOENT:
 * the server says it is not there (HTTP 403 and 404). -E2BIG: longer than the cap. */
typedef struct TufTransport {
        int (*fetch)(void *data, const char *name, Buffer *ret, Error *error);
        void *data;
} TufTransport;

/* Trusted metadata by role name ("root", "timestamp", "snapshot", "targets", or a delegated role), bytes
 * verbatim. load: -ENOENT when there is none. save: durable when it returns. remove: success when there is
 * none. */
typedef struct TufStore {
        int (*load)(void *data, const char *role, Buffer *ret, Error *error);
        int (*save)(void *data, const char *role, const void *bytes, size_t size, Error *error);
        int (*remove)(void *data, const char *role, Error *error);
        void *data;
} TufStore;

typedef struct TufClient TufClient;

/* `now` in seconds since 1970 is fixed for the whole client (section 5.1); INT64_MIN means that nothing
 * expires, for who is told to accept expired metadata or is about to sign it anew. Loads and checks the
 * trusted root from the store, which must be there: no root means refuse. */
int tuf_client_new(const TufTransport *transport, const TufStore *store, int64_t now, TufClient **ret,
                Error *error);
TufClient *tuf_client_free(TufClient *client);
DEFINE_CLEANUP(TufClient *, tuf_client_free)

/* Section 5.3 to 5.6: root chain, timestamp, snapshot, top-level targets; each is saved as it verifies.
 * Timestamp and snapshot go from the store before a root is saved that takes a key of theirs away.
 * Errors: ERROR_UNTRUSTED (the message names role and rule), ERROR_NETWORK from the transport. */
int tuf_client_refresh(TufClient *client, Error *error);

/* What is trusted of a top-level role after a refresh, or as far as one got. -ENOENT when there is none. */
int tuf_client_role(const TufClient *client, TufRole role, uint64_t *ret_version, int64_t *ret_expires);

typedef struct TufTarget {
        char *path;          /* as asked for */
        char *download_path; /* with the hash prefix when snapshots are consistent; relative */
        uint64_t size_bytes;
        uint8_t sha256[SHA256_SIZE];
        bool has_sha256; /* at least one of the two is there */
        uint8_t sha512[64];
        bool has_sha512;
} TufTarget;

/* Section 5.6.7: finds a target through the delegations, after a refresh. -ENOENT with ERROR_UNTRUSTED when
 * no trusted role lists it. -EBADMSG with ERROR_UNTRUSTED when it is listed with a kind of hash that we do
 * not know, or when a role on the way could not be verified, which ends the search. */
int tuf_client_find_target(TufClient *client, const char *path, TufTarget **ret, Error *error);
TufTarget *tuf_target_free(TufTarget *target);
DEFINE_CLEANUP(TufTarget *, tuf_target_free)

/* Section 5.7: length and every hash. -EBADMSG with ERROR_UNTRUSTED. */
int tuf_target_verify(const TufTarget *target, const void *data, size_t size, Error *error);
