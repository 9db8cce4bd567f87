/* SPDX-License-Identifier: Apache-2.0 */
#include "percent.h"
#include "tuf-client-internal.h"
#include "utc.h"

#include <string.h>

#define NAME_MAX_BYTES 4096

static int save(TufClient *client, TufRole role, const Buffer *bytes, Error *error)
{
        return client->store.save(client->store.data, tuf_role_name(role), bytes->data, bytes->size, error);
}

int tuf_client_fetch(TufClient *client, const char *role, uint64_t version, Buffer *ret, Error *error)
{
        _cleanup_buffer_ Buffer name = BUFFER_WITH_CAP(NAME_MAX_BYTES);
        int r = version > 0 ? buffer_printf(&name, "%llu.", (unsigned long long)version) : 0;

        if (r >= 0)
                r = percent_encode(&name, role, NULL);
        if (r >= 0)
                r = buffer_append_string(&name, ".json");
        if (r == -E2BIG)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "the name of a role is too long");
        if (r < 0)
                return error_oom(error);
        r = client->transport.fetch(client->transport.data, (char *)name.data, ret, error);
        if (r == -E2BIG)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "%s is longer than the %zu bytes it may have", (char *)name.data, ret->cap);
        if (r < 0 && r != -ENOENT)
                return error_set(error, ERROR_NETWORK, -r, "cannot fetch %s: %s", (char *)name.data,
                                strerror(-r));
        return r;
}

/* As tuf_client_fetch(), for a file that must be there. */
static int fetch_required(TufClient *client, const char *role, uint64_t version, Buffer *ret, Error *error)
{
        int r = tuf_client_fetch(client, role, version, ret, error);

        if (r == -ENOENT)
                return error_set(error, ERROR_NETWORK, ENOENT,
                                "the server has no %s metadata where it should be", role);
        return r;
}

int tuf_client_check_expiry(
                const TufClient *client, const char *what, const TufMetadata *metadata, Error *error)
{
        char text[UTC_TEXT_MAX] = "";

        if (metadata->expires > client->now)
                return 0;
        (void)utc_format(metadata->expires, text);
        return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                        "%s expired at %s; the repository must sign it anew (or this host's clock is wrong)",
                        what, text);
}

static int verify_by_root(const TufMetadata *root, TufRole role, const TufMetadata *metadata, Error *error)
{
        return tuf_verify(tuf_role_name(role), metadata, &root->keys, &root->signers[role], error);
}

/* Trusted metadata of a role, if there is any that the present root still vouches for. Anything else in the
 * store is as good as nothing. */
static void load_trusted(TufClient *client, TufRole role, TufMetadata **ret, Buffer *ret_bytes)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *metadata = NULL;
        const char *name = tuf_role_name(role);
        int r = client->store.load(client->store.data, name, ret_bytes, NULL);

        if (r >= 0)
                r = tuf_metadata_parse(name, role, ret_bytes->data, ret_bytes->size, &metadata, NULL);
        if (r >= 0)
                r = verify_by_root(client->trusted[TUF_ROLE_ROOT], role, metadata, NULL);
        if (r >= 0)
                *ret = TAKE_PTR(metadata);
}

static void trust(TufClient *client, TufRole role, TufMetadata *metadata)
{
        tuf_metadata_free(client->trusted[role]);
        client->trusted[role] = metadata;
}

/* Section 5.3.4 and 5.3.5: signed by the old root's keys and by its own, and exactly one version on. */
static int check_next_root(const TufMetadata *old, const TufMetadata *new, Error *error)
{
        int r = verify_by_root(old, TUF_ROLE_ROOT, new, error);

        if (r < 0)
                return error_prefix(error, r, "by the keys of root %llu", (unsigned long long)old->version);
        r = verify_by_root(new, TUF_ROLE_ROOT, new, error);
        if (r < 0)
                return error_prefix(error, r, "by its own keys");
        if (new->version != old->version + 1)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "root has version %llu where %llu should be",
                                (unsigned long long)new->version, (unsigned long long)old->version + 1);
        return 0;
}

/* Section 5.3.11, before the root that takes a key away is kept: if this is cut off, or ends for another
 * reason, that root is met again or all is done, so no version that a lost key made stays the measure. */
static int forget_rotated(TufClient *client, const TufMetadata *old, const TufMetadata *new, Error *error)
{
        bool is_rotated = false;
        int r = 0;

        for (TufRole role = TUF_ROLE_TIMESTAMP; role <= TUF_ROLE_SNAPSHOT; role++)
                is_rotated |= tuf_signers_lost_key(&old->signers[role], &new->signers[role]);
        for (TufRole role = TUF_ROLE_TIMESTAMP; role <= TUF_ROLE_SNAPSHOT && is_rotated && r >= 0; role++)
                r = client->store.remove(client->store.data, tuf_role_name(role), error);
        return r;
}

/* One round of section 5.3. 0 when there is no further root, 1 when there was one. */
static int update_root_once(TufClient *client, Error *error)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *new = NULL;
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(TUF_ROOT_MAX);
        const TufMetadata *old = client->trusted[TUF_ROLE_ROOT];
        int r = tuf_client_fetch(client, "root", old->version + 1, &bytes, error);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        r = tuf_metadata_parse("root", TUF_ROLE_ROOT, bytes.data, bytes.size, &new, error);
        if (r >= 0)
                r = check_next_root(old, new, error);
        if (r >= 0)
                r = forget_rotated(client, old, new, error);
        if (r >= 0)
                r = save(client, TUF_ROLE_ROOT, &bytes, error);
        if (r < 0)
                return r;
        trust(client, TUF_ROLE_ROOT, TAKE_PTR(new));
        return 1;
}

static int update_root(TufClient *client, Error *error)
{
        int r = 1;

        for (unsigned i = 0; i < TUF_ROOT_ROTATIONS_MAX && r > 0; i++)
                r = update_root_once(client, error);
        return r < 0 ? r : tuf_client_check_expiry(client, "root", client->trusted[TUF_ROLE_ROOT], error);
}

/* Section 5.4.3. 0 when the new timestamp brings nothing new, 1 when it does. */
static int compare_timestamps(const TufMetadata *old, const TufMetadata *new, Error *error)
{
        if (new->version < old->version)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "timestamp %llu is older than timestamp %llu seen before",
                                (unsigned long long)new->version, (unsigned long long)old->version);
        if (new->version == old->version)
                return 0;
        if (new->snapshot.version < old->snapshot.version)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "timestamp names snapshot %llu, older than snapshot %llu named before",
                                (unsigned long long)new->snapshot.version,
                                (unsigned long long)old->snapshot.version);
        return 1;
}

static int update_timestamp(TufClient *client, Error *error)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *old = NULL, *new = NULL;
        _cleanup_buffer_ Buffer old_bytes = BUFFER_WITH_CAP(TUF_TIMESTAMP_MAX);
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(TUF_TIMESTAMP_MAX);
        int r;

        load_trusted(client, TUF_ROLE_TIMESTAMP, &old, &old_bytes);
        r = fetch_required(client, "timestamp", 0, &bytes, error);
        if (r >= 0)
                r = tuf_metadata_parse("timestamp", TUF_ROLE_TIMESTAMP, bytes.data, bytes.size, &new, error);
        if (r >= 0)
                r = verify_by_root(client->trusted[TUF_ROLE_ROOT], TUF_ROLE_TIMESTAMP, new, error);
        if (r < 0)
                return r;
        r = old ? compare_timestamps(old, new, error) : 1;
        if (r < 0)
                return r;
        if (r == 0) {
                trust(client, TUF_ROLE_TIMESTAMP, TAKE_PTR(old));
                return tuf_client_check_expiry(
                                client, "timestamp", client->trusted[TUF_ROLE_TIMESTAMP], error);
        }
        r = tuf_client_check_expiry(client, "timestamp", new, error);
        if (r >= 0)
                r = save(client, TUF_ROLE_TIMESTAMP, &bytes, error);
        if (r >= 0)
                trust(client, TUF_ROLE_TIMESTAMP, TAKE_PTR(new));
        return r;
}

/* Section 5.5.5: no role goes back, and none vanishes. */
static int compare_snapshots(const TufMetadata *old, const TufMetadata *new, Error *error)
{
        const json_t *new_meta = json_object_get(new->signed_part, "meta");
        json_t *old_meta = json_object_get(old->signed_part, "meta");

        for (void *i = json_object_iter(old_meta); i; i = json_object_iter_next(old_meta, i)) {
                const char *name = json_object_iter_key(i);
                json_int_t before =
                                json_integer_value(json_object_get(json_object_iter_value(i), "version"));
                const json_t *now = json_object_get(new_meta, name);

                if (!now)
                        return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                        "snapshot no longer lists \"%.128s\"", name);
                if (json_integer_value(json_object_get(now, "version")) < before)
                        return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                        "snapshot lists \"%.128s\" with an older version than before", name);
        }
        return 0;
}

static int check_version(
                const char *what, const TufFileInfo *info, const TufMetadata *metadata, Error *error)
{
        if (metadata->version == info->version)
                return 0;
        return error_set(error, ERROR_UNTRUSTED, EBADMSG, "%s has version %llu where %llu is signed for",
                        what, (unsigned long long)metadata->version, (unsigned long long)info->version);
}

static uint64_t fetch_version(const TufClient *client, const TufFileInfo *info)
{
        return client->trusted[TUF_ROLE_ROOT]->is_consistent_snapshot ? info->version : 0;
}

static size_t fetch_cap(const TufFileInfo *info, size_t most)
{
        return info->has_size && info->size_bytes < most ? (size_t)info->size_bytes : most;
}

/* Section 5.5.1 to 5.5.6 for a snapshot that was fetched; `old` may be NULL. */
static int check_snapshot(const TufClient *client, const TufFileInfo *info, const TufMetadata *old,
                const Buffer *bytes, TufMetadata **ret, Error *error)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *new = NULL;
        int r = tuf_file_info_check("snapshot", info, bytes->data, bytes->size, error);

        if (r >= 0)
                r = tuf_metadata_parse("snapshot", TUF_ROLE_SNAPSHOT, bytes->data, bytes->size, &new, error);
        if (r >= 0)
                r = verify_by_root(client->trusted[TUF_ROLE_ROOT], TUF_ROLE_SNAPSHOT, new, error);
        if (r >= 0)
                r = check_version("snapshot", info, new, error);
        if (r >= 0 && old)
                r = compare_snapshots(old, new, error);
        if (r >= 0)
                r = tuf_client_check_expiry(client, "snapshot", new, error);
        if (r >= 0)
                *ret = TAKE_PTR(new);
        return r;
}

static int update_snapshot(TufClient *client, Error *error)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *old = NULL;
        _cleanup_buffer_ Buffer old_bytes = BUFFER_WITH_CAP(TUF_SNAPSHOT_MAX);
        const TufFileInfo *info = &client->trusted[TUF_ROLE_TIMESTAMP]->snapshot;
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(fetch_cap(info, TUF_SNAPSHOT_MAX));
        TufMetadata *new;
        int r;

        load_trusted(client, TUF_ROLE_SNAPSHOT, &old, &old_bytes);
        if (old && check_snapshot(client, info, NULL, &old_bytes, &new, NULL) >= 0) {
                trust(client, TUF_ROLE_SNAPSHOT, new);
                return 0;
        }
        r = fetch_required(client, "snapshot", fetch_version(client, info), &bytes, error);
        if (r >= 0)
                r = check_snapshot(client, info, old, &bytes, &new, error);
        if (r < 0)
                return r;
        r = save(client, TUF_ROLE_SNAPSHOT, &bytes, error);
        trust(client, TUF_ROLE_SNAPSHOT, r >= 0 ? new : tuf_metadata_free(new));
        return r;
}

/* Section 5.6.2 to 5.6.5, for the top level and for delegated roles. */
static int check_targets(const TufClient *client, const char *name, const TufFileInfo *info,
                const TufKeys *keys, const TufSigners *signers, const Buffer *bytes, TufMetadata **ret,
                Error *error)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *new = NULL;
        int r = tuf_file_info_check(name, info, bytes->data, bytes->size, error);

        if (r >= 0)
                r = tuf_metadata_parse(name, TUF_ROLE_TARGETS, bytes->data, bytes->size, &new, error);
        if (r >= 0)
                r = tuf_verify(name, new, keys, signers, error);
        if (r >= 0)
                r = check_version(name, info, new, error);
        if (r >= 0)
                r = tuf_client_check_expiry(client, name, new, error);
        if (r >= 0)
                *ret = TAKE_PTR(new);
        return r;
}

int tuf_client_load_targets(TufClient *client, const char *name, const TufKeys *keys,
                const TufSigners *signers, TufMetadata **ret, Error *error)
{
        _cleanup_buffer_ Buffer old_bytes = BUFFER_WITH_CAP(TUF_TARGETS_MAX), bytes = { 0 };
        TufMetadata *new;
        TufFileInfo info;
        int r = tuf_snapshot_find(client->trusted[TUF_ROLE_SNAPSHOT], name, &info);

        if (r == -ENOENT)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "snapshot does not list role \"%.64s\"",
                                name);
        if (r < 0)
                return error_oom(error);
        if (client->store.load(client->store.data, name, &old_bytes, NULL) >= 0 &&
                        check_targets(client, name, &info, keys, signers, &old_bytes, ret, NULL) >= 0)
                return 0;
        bytes.cap = fetch_cap(&info, TUF_TARGETS_MAX);
        r = fetch_required(client, name, fetch_version(client, &info), &bytes, error);
        if (r >= 0)
                r = check_targets(client, name, &info, keys, signers, &bytes, &new, error);
        if (r < 0)
                return r;
        r = client->store.save(client->store.data, name, bytes.data, bytes.size, error);
        if (r < 0)
                tuf_metadata_free(new);
        else
                *ret = new;
        return r;
}

static int update_targets(TufClient *client, Error *error)
{
        const TufMetadata *root = client->trusted[TUF_ROLE_ROOT];
        TufMetadata *targets;
        int r = tuf_client_load_targets(
                        client, "targets", &root->keys, &root->signers[TUF_ROLE_TARGETS], &targets, error);

        if (r >= 0)
                trust(client, TUF_ROLE_TARGETS, targets);
        return r;
}

int tuf_client_refresh(TufClient *client, Error *error)
{
        int r;

        tuf_client_forget_delegated(client);
        for (TufRole role = TUF_ROLE_TIMESTAMP; role < TUF_ROLE_MAX; role++)
                trust(client, role, NULL);
        r = update_root(client, error);
        if (r >= 0)
                r = update_timestamp(client, error);
        if (r >= 0)
                r = update_snapshot(client, error);
        return r < 0 ? r : update_targets(client, error);
}

int tuf_client_new(const TufTransport *transport, const TufStore *store, int64_t now, TufClient **ret,
                Error *error)
{
        _cleanup_(tuf_client_freep) TufClient *client = calloc(1, sizeof(*client));
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(TUF_ROOT_MAX);
        int r;

        if (!client)
                return error_oom(error);
        client->transport = *transport;
        client->store = *store;
        client->now = now;
        r = store->load(store->data, "root", &bytes, error);
        if (r < 0)
                return error_set(error, ERROR_UNTRUSTED, -r, "there is no readable trusted root: %s",
                                strerror(-r));
        r = tuf_metadata_parse("trusted root", TUF_ROLE_ROOT, bytes.data, bytes.size,
                        &client->trusted[TUF_ROLE_ROOT], error);
        if (r >= 0)
                r = verify_by_root(client->trusted[TUF_ROLE_ROOT], TUF_ROLE_ROOT,
                                client->trusted[TUF_ROLE_ROOT], error);
        if (r >= 0)
                *ret = TAKE_PTR(client);
        return r;
}

TufClient *tuf_client_free(TufClient *client)
{
        if (!client)
                return NULL;
        tuf_client_forget_delegated(client);
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++)
                tuf_metadata_free(client->trusted[role]);
        free(client);
        return NULL;
}

int tuf_client_role(const TufClient *client, TufRole role, uint64_t *ret_version, int64_t *ret_expires)
{
        if (!client->trusted[role])
                return -ENOENT;
        *ret_version = client->trusted[role]->version;
        *ret_expires = client->trusted[role]->expires;
        return 0;
}
