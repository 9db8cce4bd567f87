/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* basculed's side of a conversation with role fetch about metadata: what fetch brings is verified again
 * here, by the same TUF client, from the trusted root of the image and the metadata in the state folder. */

#include "operation.h"
#include "tuf-client.h"

typedef struct Session Session;

/* Starts fetch, refreshes the metadata (flags: InstallFlags, of which INSTALL_ALLOW_EXPIRED counts). The
 * operation must outlive the session. What fetch brought is verified and kept as far as it verifies, even
 * when its refresh, or the whole, fails. */
int session_open(Operation *operation, unsigned flags, Session **ret, Error *error);
Session *session_free(Session *session);
DEFINE_CLEANUP(Session *, session_free)

/* Brings a small target, verified. The cap of `ret` is the most that is taken. */
int session_get(Session *session, const char *target_path, Buffer *ret, Error *error);

/* Where a target lies below "targets/" of the repository; freed by the caller. Its length and hash must be
 * those that the manifest says, or the two were not made together: ERROR_UNTRUSTED. */
int session_locate(Session *session, const char *target_path, uint64_t size_bytes,
                const uint8_t sha256[static SHA256_SIZE], char **ret, Error *error);

/* Whether a mirror has a payload: brings its index (or, of a very long one, the beginning) and compares the
 * hash. So a server that lost it is noticed before anything on the host is given up for it. */
int session_probe(Session *session, const char *download_path, uint64_t index_size_bytes,
                const uint8_t index_sha256[static SHA256_SIZE], Error *error);

/* Puts what fetch needs to know to serve streams into a frame; the mirrors in that order. */
#define FETCH_SETUP_MAX (2 * MIB)
int fetch_setup_put(Buffer *body, const Config *config, const MirrorOrder *order, Error *error);
