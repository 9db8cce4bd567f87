/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One metadata file of The Update Framework, parsed strictly (specification 1.0.34, section 4). Parsing
 * checks form only: whose signatures are on it is tuf_verify()'s to say, what its numbers mean the client's
 * (tuf-client.h). The bytes are hostile. Members that we do not know are kept, for they are signed too. */

#include "buffer.h"
#include "error.h"
#include "sha256.h"
#include "tuf-key.h"
#include "tuf-role.h"

#define TUF_METADATA_MAX (8 * MIB) /* of any role */
#define TUF_KEYS_MAX 1024          /* in one key list, or keyids in one role */
#define TUF_SIGNATURES_MAX 1024
#define TUF_SHA512_SIZE 64

typedef struct TufHashes {
        uint8_t sha256[SHA256_SIZE];
        uint8_t sha512[TUF_SHA512_SIZE];
        bool has_sha256, has_sha512;
        bool has_unknown; /* lists an algorithm that we cannot compute */
} TufHashes;

/* What timestamp.json and snapshot.json say of another file. */
typedef struct TufFileInfo {
        uint64_t version;
        uint64_t size_bytes; /* if has_size */
        bool has_size;
        bool has_hashes;
        TufHashes hashes;
} TufFileInfo;

/* Who may sign for a role. */
typedef struct TufSigners {
        const char **keyids; /* distinct; the array is owned, the strings belong to the document */
        size_t count;
        uint64_t threshold; /* at least 1; may be more than there are keys, and then nothing verifies */
} TufSigners;

/* A key list: keyid to key. */
typedef struct TufKeyEntry {
        const char *keyid; /* borrowed from the document */
        TufKey *key;
} TufKeyEntry;

typedef struct TufKeys {
        TufKeyEntry *entries;
        size_t count;
} TufKeys;

typedef struct TufDelegation {
        const char *name;
        TufSigners signers;
        bool is_terminating;
        const json_t *paths;         /* array of patterns, or NULL */
        const json_t *hash_prefixes; /* array of hexadecimal strings, or NULL; exactly one of the two is
                                        there */
} TufDelegation;

typedef struct TufMetadata {
        TufRole role; /* what it says it is; TUF_ROLE_TARGETS for delegated roles too */
        uint64_t version;
        int64_t expires; /* seconds since 1970 */

        /* root: keys and signers of the four roles. targets: keys and delegations. */
        TufKeys keys;
        TufSigners signers[TUF_ROLE_MAX];
        bool is_consistent_snapshot;
        TufDelegation *delegations; /* in order of priority */
        size_t delegation_count;

        TufFileInfo snapshot; /* timestamp */

        json_t *document;
        const json_t *signed_part;
        const json_t *signatures; /* array of { keyid, sig }, keyids distinct */
        Buffer canonical;         /* of signed_part: the bytes that are signed */
} TufMetadata;

/* -EBADMSG with ERROR_UNTRUSTED; the message begins with `what` ("targets"). `role` is what "_type" must
 * say. */
int tuf_metadata_parse(const char *what, TufRole role, const void *data, size_t size, TufMetadata **ret,
                Error *error);
TufMetadata *tuf_metadata_free(TufMetadata *metadata);
DEFINE_CLEANUP(TufMetadata *, tuf_metadata_free)

/* The key of that id, or NULL. */
const TufKey *tuf_keys_find(const TufKeys *keys, const char *keyid);

/* What a snapshot says of role `name`. -ENOENT (no Error) when it does not list it. */
int tuf_snapshot_find(const TufMetadata *snapshot, const char *name, TufFileInfo *ret);

/* Length and hashes of a file, before it is parsed, as far as `info` gives them. -EBADMSG with
 * ERROR_UNTRUSTED; `what` names the file. */
int tuf_file_info_check(
                const char *what, const TufFileInfo *info, const void *data, size_t size, Error *error);

/* What a targets file says of a target: size and hashes. -ENOENT (no Error) when it does not list it. */
int tuf_targets_find(const TufMetadata *targets, const char *path, uint64_t *ret_size_bytes,
                TufHashes *ret_hashes);

/* Whether all of the hashes hold for the data; false too when there is none, or one we cannot compute. */
bool tuf_hashes_match(const TufHashes *hashes, const void *data, size_t size);

/* Whether a delegation is for that target: a pattern matches ('*' and '?' do not match '/'; [...] as in
 * glob(7)), or the SHA-256 of the path begins with one of the prefixes. */
bool tuf_delegation_matches(const TufDelegation *delegation, const char *path);

/* Whether two roles' key sets differ so that a key of `before` is no longer in `after`. */
bool tuf_signers_lost_key(const TufSigners *before, const TufSigners *after);

/* Section 5's check for an arbitrary software attack: as many of the signers as the threshold says, each
 * counted once, signed the document. Signatures by others, and wrong ones beyond the threshold, do not
 * matter. -EBADMSG with ERROR_UNTRUSTED; `what` names the document. */
int tuf_verify(const char *what, const TufMetadata *document, const TufKeys *keys, const TufSigners *signers,
                Error *error);
