/* SPDX-License-Identifier: Apache-2.0 */
#include "ceremony-internal.h"

#include "file.h"
#include "json.h"
#include "repository-internal.h"
#include "tuf-document.h"

#include <fcntl.h>
#include <string.h>

#define KEYID_DIGITS_MIN 8

static int next_part(const char *folder, const CeremonyOptions *options, json_t **ret, Error *error)
{
        _cleanup_json_ json_t *document = NULL;
        json_t *part, *fresh;
        int r = ceremony_read(folder, CEREMONY_ROOT, &document, error);

        if (r == -ENOENT)
                return error_set(error, ERROR_CONFIG, ENOENT,
                                "there is no root metadata in %s; make it with \"keys init\"", folder);
        if (r < 0)
                return r;
        part = json_object_get(document, "signed");
        r = tuf_document_new(TUF_ROLE_ROOT,
                        (uint64_t)json_integer_value(json_object_get(part, "version")) + 1,
                        ceremony_expiry(options), &fresh, error);
        if (r < 0)
                return r;
        part = json_deep_copy(part);
        if (!part || json_object_update(part, fresh) < 0)
                r = error_oom(error);
        json_decref(fresh);
        if (r < 0)
                json_decref(part);
        else
                *ret = part;
        return r;
}

/* A draft that was signed for a root before the present one is of no use. */
static int present_part(const char *folder, json_t **ret, Error *error)
{
        _cleanup_json_ json_t *draft = NULL;
        int r = ceremony_read(folder, CEREMONY_DRAFT, &draft, error);

        if (r < 0)
                return r;
        *ret = json_deep_copy(json_object_get(draft, "signed"));
        return *ret ? 0
                    : error_set(error, ERROR_CONFIG, EBADMSG, "%s/" CEREMONY_DRAFT " is damaged; remove it",
                                      folder);
}

int root_draft_open(const char *folder, const CeremonyOptions *options, RootDraft **ret, Error *error)
{
        json_t *part = NULL;
        int r = present_part(folder, &part, error);

        if (r == -ENOENT)
                r = next_part(folder, options, &part, error);
        return r < 0 ? r : root_draft_new(folder, part, ret, error);
}

static void remove_item(json_t *array, const char *keyid)
{
        for (size_t i = 0; i < json_array_size(array); i++)
                if (strcmp(json_string_value(json_array_get(array, i)) ?: "", keyid) == 0)
                        (void)json_array_remove(array, i--);
}

static bool is_used(const RootDraft *draft, const char *keyid)
{
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++) {
                const json_t *keyids = root_draft_keyids(draft, (TufRole)role);

                for (size_t i = 0; i < json_array_size(keyids); i++)
                        if (strcmp(json_string_value(json_array_get(keyids, i)) ?: "", keyid) == 0)
                                return true;
        }
        return false;
}

/* Keys that no role names are not listed. */
static void forget_unused_keys(RootDraft *draft)
{
        json_t *keys = json_object_get(draft->part, "keys");
        const char *keyid;
        json_t *key;
        void *next;

        json_object_foreach_safe(keys, next, keyid, key) if (!is_used(draft, keyid))(void)
                        json_object_del(keys, keyid);
}

/* The whole keyid that begins with the given digits; NULL when there is none, or more than one. */
static const char *find_keyid(const RootDraft *draft, const char *start)
{
        json_t *keys = json_object_get(draft->part, "keys");
        const char *found = NULL;

        if (strlen(start) < KEYID_DIGITS_MIN)
                return NULL;
        for (void *i = json_object_iter(keys); i; i = json_object_iter_next(keys, i))
                if (strncmp(json_object_iter_key(i), start, strlen(start)) == 0) {
                        if (found)
                                return NULL;
                        found = json_object_iter_key(i);
                }
        return found;
}

int root_draft_remove_key(RootDraft *draft, TufRole role, const char *keyid, Error *error)
{
        const char *found = find_keyid(draft, keyid);
        _cleanup_free_ char *whole = found ? strdup(found) : NULL;

        if (!whole)
                return error_set(error, ERROR_CONFIG, ENOENT,
                                "the root lists no key \"%s\", or more than one (give at least %d digits)",
                                keyid, KEYID_DIGITS_MIN);
        for (unsigned other = 0; other < TUF_ROLE_MAX; other++)
                if (role == TUF_ROLE_MAX || role == (TufRole)other)
                        remove_item(root_draft_keyids(draft, (TufRole)other), whole);
        return 0;
}

int root_draft_remove_old_keys(RootDraft *draft, TufRole role, Error *error)
{
        json_t *keyids = root_draft_keyids(draft, role);

        if (json_array_clear(keyids) < 0 || json_array_extend(keyids, draft->added[role]) < 0)
                return error_oom(error);
        return 0;
}

int root_draft_set_threshold(RootDraft *draft, TufRole role, unsigned threshold, Error *error)
{
        json_t *object = json_object_get(json_object_get(draft->part, "roles"), tuf_role_name(role));

        return json_object_set_new(object, "threshold", json_integer(threshold)) < 0 ? error_oom(error) : 0;
}

int root_draft_check(const RootDraft *draft, Error *error)
{
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++) {
                const char *name = tuf_role_name((TufRole)role);
                const json_t *object = json_object_get(json_object_get(draft->part, "roles"), name);
                json_int_t threshold = json_integer_value(json_object_get(object, "threshold"));
                size_t count = json_array_size(json_object_get(object, "keyids"));

                if (threshold < 1 || (json_int_t)count < threshold)
                        return error_set(error, ERROR_CONFIG, EINVAL,
                                        "role %s would have %zu keys and a threshold of %lld", name, count,
                                        (long long)threshold);
        }
        return 0;
}

int root_draft_save(RootDraft *draft, Error *error)
{
        _cleanup_json_ json_t *document = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = root_draft_check(draft, error);

        if (r < 0)
                return r;
        forget_unused_keys(draft);
        document = json_pack("{s:O, s:[]}", "signed", draft->part, "signatures");
        if (!document)
                return error_oom(error);
        r = tuf_document_text(document, &text, &size, error);
        return r < 0 ? r : ceremony_write(draft->folder, CEREMONY_DRAFT, text, size, error);
}

/* How many distinct keys of the role have signed, whether that is enough or not. */
static uint64_t count_signatures(const TufMetadata *document, const TufMetadata *root)
{
        uint64_t count = 0;

        for (size_t i = 0; i < root->signers[TUF_ROLE_ROOT].count; i++) {
                const TufSigners one = {
                        .keyids = &root->signers[TUF_ROLE_ROOT].keyids[i], .count = 1, .threshold = 1
                };

                count += tuf_verify("", document, &root->keys, &one, NULL) >= 0 ? 1 : 0;
        }
        return count;
}

static int read_root(const char *folder, const char *name, TufMetadata **ret, char **ret_text,
                size_t *ret_size, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, name), *text = NULL;
        size_t size;
        int r;

        if (!path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, TUF_METADATA_MAX, &text, &size);
        if (r == -ENOENT)
                return r;
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r));
        r = tuf_metadata_parse(path, TUF_ROLE_ROOT, text, size, ret, error);
        if (r >= 0 && ret_text) {
                *ret_text = TAKE_PTR(text);
                *ret_size = size;
        }
        return r;
}

static int get_state(const char *folder, const char *name, SigningState *ret, Error *error)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *old = NULL, *new = NULL;
        SigningState state = { 0 };
        int r = read_root(folder, name, &new, NULL, NULL, error);

        if (r < 0)
                return r;
        state.new_count = count_signatures(new, new);
        state.new_threshold = new->signers[TUF_ROLE_ROOT].threshold;
        if (read_root(folder, CEREMONY_ROOT, &old, NULL, NULL, NULL) >= 0) {
                state.old_count = count_signatures(new, old);
                state.old_threshold = old->signers[TUF_ROLE_ROOT].threshold;
        }
        *ret = state;
        return 0;
}

static bool signs_root(const json_t *document, const char *keyid)
{
        const json_t *roles = json_object_get(json_object_get(document, "signed"), "roles");
        const json_t *keyids = json_object_get(json_object_get(roles, "root"), "keyids");

        for (size_t i = 0; i < json_array_size(keyids); i++)
                if (strcmp(json_string_value(json_array_get(keyids, i)) ?: "", keyid) == 0)
                        return true;
        return false;
}

static int sign_document(
                json_t *document, const json_t *present, KeyRing *ring, size_t *ret_count, Error *error)
{
        size_t count = 0;
        int r = 0;

        for (size_t i = 0; i < key_ring_count(ring) && r >= 0; i++) {
                const char *keyid = key_ring_keyid(ring, i);

                if (!signs_root(document, keyid) && !signs_root(present, keyid))
                        continue;
                r = tuf_document_add_signature(document, keyid, ring, error);
                count++;
        }
        *ret_count = count;
        return r;
}

int root_file_sign(const char *path, KeyRing *ring, SigningState *ret, Error *error)
{
        _cleanup_json_ json_t *document = NULL, *present = NULL;
        const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        _cleanup_free_ char *folder = name == path ? strdup(".") : strndup(path, (size_t)(name - path));
        _cleanup_free_ char *text = NULL;
        _cleanup_(tuf_metadata_freep) TufMetadata *check = NULL;
        size_t size, count;
        int r;

        if (!folder)
                return error_oom(error);
        /* Parsed as a client does, so that nobody signs what no client would take. */
        r = read_root(folder, name, &check, NULL, NULL, error);
        if (r >= 0)
                r = ceremony_read(folder, name, &document, error);
        if (r == -ENOENT)
                return error_set(error, ERROR_CONFIG, ENOENT, "there is no %s", path);
        if (r < 0)
                return r;
        (void)ceremony_read(folder, CEREMONY_ROOT, &present, NULL);
        r = sign_document(document, present, ring, &count, error);
        if (r >= 0 && count == 0)
                r = error_set(error, ERROR_UNTRUSTED, ENOKEY, "none of the given keys is a root key for %s",
                                path);
        if (r >= 0)
                r = tuf_document_text(document, &text, &size, error);
        if (r >= 0)
                r = ceremony_write(folder, name, text, size, error);
        return r < 0 ? r : get_state(folder, name, ret, error);
}

int root_draft_publish(const char *folder, char **ret, size_t *ret_size, Error *error)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *old = NULL, *new = NULL;
        _cleanup_free_ char *text = NULL, *name = NULL, *draft = path_join(folder, CEREMONY_DRAFT);
        size_t size;
        int r = read_root(folder, CEREMONY_DRAFT, &new, &text, &size, error);

        if (r == -ENOENT)
                return error_set(error, ERROR_NOTHING_TO_DO, ENOENT,
                                "there is no draft of a next root in %s", folder);
        if (r >= 0)
                r = read_root(folder, CEREMONY_ROOT, &old, NULL, NULL, error);
        if (r == -ENOENT)
                return error_set(error, ERROR_CONFIG, ENOENT, "there is no root metadata in %s", folder);
        if (r >= 0)
                r = repository_check_root(old, new, error);
        if (r < 0)
                return r;
        name = string_format("%llu.root.json", (unsigned long long)new->version);
        if (!name || !draft)
                return error_oom(error);
        r = ceremony_write(folder, name, text, size, error);
        if (r >= 0)
                r = ceremony_write(folder, CEREMONY_ROOT, text, size, error);
        if (r < 0)
                return r;
        (void)unlink(draft);
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}
