/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the ceremony share. */

#include "ceremony.h"

struct RootDraft {
        char *folder;
        json_t *part;                /* the "signed" part */
        json_t *added[TUF_ROLE_MAX]; /* arrays of keyids put in by this process */
};

/* A draft around a "signed" part, which it takes over (and frees on error). */
int root_draft_new(const char *folder, json_t *part, RootDraft **ret, Error *error);

/* Reads a JSON document of the folder. -ENOENT without an Error when there is none. */
int ceremony_read(const char *folder, const char *name, json_t **ret, Error *error);

/* Replaces a file of the folder. */
int ceremony_write(const char *folder, const char *name, const void *data, size_t size, Error *error);

int64_t ceremony_expiry(const CeremonyOptions *options);

/* The keyids of a role. */
json_t *root_draft_keyids(const RootDraft *draft, TufRole role);

/* Whether every role has as many keys as its threshold. */
int root_draft_check(const RootDraft *draft, Error *error);
