/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Root metadata over its life, in a key folder (keys.h):
 *
 *     root.json         the present root, the same bytes as N.root.json
 *     N.root.json       every root so far
 *     root-next.json    the draft of the next root, while it collects signatures
 *
 * A draft is changed in steps (a key in, a key out, a threshold), carried as a file to each holder of a root
 * key, signed there, and becomes the present root when enough keys of the present root and enough of its own
 * have signed it. Any change to a draft drops the signatures that it had. */

#include "keys.h"
#include "tuf-sign.h"

#define CEREMONY_ROOT "root.json"
#define CEREMONY_DRAFT "root-next.json"

typedef struct CeremonyOptions {
        unsigned keys[TUF_ROLE_MAX];       /* how many to make for each role; 0: one */
        unsigned thresholds[TUF_ROLE_MAX]; /* how many must sign; 0: one */
        TufKeyType type;
        bool is_encrypted; /* private keys, with a passphrase from `passphrase` */
        const PassphraseSource *passphrase;
        uint64_t lifetime_seconds; /* of the root; 0: REPOSITORY_ROOT_LIFETIME */
        int64_t now;               /* 0: the clock */
} CeremonyOptions;

/* Makes a key folder: a key pair of each kind asked for, and root 1, signed by all of its keys. -EEXIST when
 * there is a root already. */
int ceremony_init(const char *folder, const CeremonyOptions *options, Error *error);

typedef struct RootDraft RootDraft;

/* The draft that is there, or a new one: the present root, one version on. */
int root_draft_open(const char *folder, const CeremonyOptions *options, RootDraft **ret, Error *error);
RootDraft *root_draft_free(RootDraft *draft);
DEFINE_CLEANUP(RootDraft *, root_draft_free)

/* Makes a key pair in the folder and lets it sign for the role. */
int root_draft_make_key(RootDraft *draft, TufRole role, const CeremonyOptions *options, Error *error);

/* Lets a public key (PEM file) sign for the role. */
int root_draft_add_key(RootDraft *draft, TufRole role, const char *public_path, Error *error);

/* Takes a key out of a role, or of all when role is TUF_ROLE_MAX. `keyid` may be cut to at least 8 digits.
 * -ENOENT with ERROR_CONFIG when no such key is there. */
int root_draft_remove_key(RootDraft *draft, TufRole role, const char *keyid, Error *error);

/* Takes all keys out of a role, but those that root_draft_make_key() and root_draft_add_key() put in. */
int root_draft_remove_old_keys(RootDraft *draft, TufRole role, Error *error);

int root_draft_set_threshold(RootDraft *draft, TufRole role, unsigned threshold, Error *error);

/* Checks that every role can still reach its threshold, and writes root-next.json without signatures. */
int root_draft_save(RootDraft *draft, Error *error);

/* How far a metadata file is on its way. */
typedef struct SigningState {
        uint64_t old_count, old_threshold; /* by keys of the present root; 0 and 0 when there is none to
                                              compare with */
        uint64_t new_count, new_threshold; /* by keys that the file itself lists */
} SigningState;

/* Signs a root metadata file with each key of the ring that the present root (root.json in the folder of the
 * file, if there is one) or the file itself lists for the root role, and replaces it. -ENOKEY with
 * ERROR_UNTRUSTED when the ring holds none of them. */
int root_file_sign(const char *path, KeyRing *ring, SigningState *ret, Error *error);

/* Makes the draft the present root. ERROR_UNTRUSTED when signatures are missing. *ret is its text, freed by
 * the caller. */
int root_draft_publish(const char *folder, char **ret, size_t *ret_size, Error *error);
