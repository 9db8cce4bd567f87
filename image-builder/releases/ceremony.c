/* SPDX-License-Identifier: Apache-2.0 */
#include "ceremony-internal.h"

#include "file.h"
#include "json.h"
#include "repository.h"
#include "tuf-document.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

static void pkey_freep(EVP_PKEY **key)
{
        EVP_PKEY_free(*key);
}

int ceremony_read(const char *folder, const char *name, json_t **ret, Error *error)
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
        return json_parse(text, size, TUF_METADATA_MAX, path, ret, error);
}

int ceremony_write(const char *folder, const char *name, const void *data, size_t size, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, name);
        int r;

        if (!path)
                return error_oom(error);
        r = file_replace(AT_FDCWD, path, data, size, 0644);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

int64_t ceremony_expiry(const CeremonyOptions *options)
{
        int64_t now = options->now ? options->now : (int64_t)time(NULL);

        return now +
               (int64_t)(options->lifetime_seconds ? options->lifetime_seconds : REPOSITORY_ROOT_LIFETIME);
}

json_t *root_draft_keyids(const RootDraft *draft, TufRole role)
{
        json_t *roles = json_object_get(draft->part, "roles");

        return json_object_get(json_object_get(roles, tuf_role_name(role)), "keyids");
}

int root_draft_new(const char *folder, json_t *part, RootDraft **ret, Error *error)
{
        RootDraft *draft = calloc(1, sizeof(*draft));

        if (draft) {
                draft->folder = strdup(folder);
                for (unsigned role = 0; role < TUF_ROLE_MAX; role++)
                        draft->added[role] = json_array();
        }
        if (!draft || !draft->folder || !part) {
                root_draft_free(draft);
                json_decref(part);
                return error_oom(error);
        }
        draft->part = part;
        *ret = draft;
        return 0;
}

RootDraft *root_draft_free(RootDraft *draft)
{
        if (!draft)
                return NULL;
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++)
                json_decref(draft->added[role]);
        json_decref(draft->part);
        free(draft->folder);
        free(draft);
        return NULL;
}

static bool array_has(const json_t *array, const char *text)
{
        for (size_t i = 0; i < json_array_size(array); i++) {
                const char *other = json_string_value(json_array_get(array, i));

                if (other && strcmp(other, text) == 0)
                        return true;
        }
        return false;
}

/* Lists a key, and lets it sign for the role. Takes over `object`. */
static int list_key(RootDraft *draft, TufRole role, json_t *object, Error *error)
{
        json_t *keyids = root_draft_keyids(draft, role);
        char keyid[SHA256_HEX_SIZE];
        int r = tuf_key_id(object, keyid, error);

        if (r < 0) {
                json_decref(object);
                return r;
        }
        if (json_object_set_new(json_object_get(draft->part, "keys"), keyid, object) < 0)
                return error_oom(error);
        if ((!array_has(keyids, keyid) && json_array_append_new(keyids, json_string(keyid)) < 0) ||
                        json_array_append_new(draft->added[role], json_string(keyid)) < 0)
                return error_oom(error);
        return 0;
}

/* Both halves, named for their role and the first digits of the keyid. */
static int write_key(const char *folder, TufRole role, const char *keyid, EVP_PKEY *key,
                const char *passphrase, Error *error)
{
        _cleanup_free_ char *stem = string_format("%s/%s-%.8s", folder, tuf_role_name(role), keyid);
        _cleanup_free_ char *private_path = stem ? string_format("%s%s", stem, KEY_FILE_SUFFIX) : NULL;
        _cleanup_free_ char *public_path = stem ? string_format("%s%s", stem, KEY_PUBLIC_SUFFIX) : NULL;
        int r;

        if (!private_path || !public_path)
                return error_oom(error);
        r = tuf_private_key_write(private_path, key, passphrase, error);
        return r < 0 ? r : tuf_public_key_write(public_path, key, error);
}

static int make_key(RootDraft *draft, TufRole role, TufKeyType type, const char *passphrase, Error *error)
{
        _cleanup_(pkey_freep) EVP_PKEY *key = NULL;
        char keyid[SHA256_HEX_SIZE];
        json_t *object = NULL;
        int r = tuf_key_generate(type, &key, error);

        if (r >= 0)
                r = tuf_key_object(key, &object, error);
        if (r < 0)
                return r;
        r = tuf_key_id(object, keyid, error);
        if (r >= 0)
                r = write_key(draft->folder, role, keyid, key, passphrase, error);
        if (r < 0) {
                json_decref(object);
                return r;
        }
        return list_key(draft, role, object, error);
}

static int get_new_passphrase(const CeremonyOptions *options, Buffer *ret, Error *error)
{
        int r;

        if (!options->is_encrypted)
                return 0;
        r = passphrase_get(options->passphrase, "the new keys", true, ret, error);
        if (r >= 0 && ret->size < 8)
                return error_set(error, ERROR_USAGE, EINVAL, "the passphrase is shorter than 8 characters");
        return r;
}

int root_draft_make_key(RootDraft *draft, TufRole role, const CeremonyOptions *options, Error *error)
{
        _cleanup_(passphrase_wipe) Buffer passphrase = BUFFER_WITH_CAP(TUF_PASSPHRASE_MAX);
        int r = get_new_passphrase(options, &passphrase, error);

        return r < 0 ? r : make_key(draft, role, options->type, (char *)passphrase.data, error);
}

int root_draft_add_key(RootDraft *draft, TufRole role, const char *public_path, Error *error)
{
        _cleanup_(pkey_freep) EVP_PKEY *key = NULL;
        json_t *object;
        int r = tuf_public_key_read(public_path, &key, error);

        if (r >= 0)
                r = tuf_key_object(key, &object, error);
        return r < 0 ? r : list_key(draft, role, object, error);
}

static json_t *first_part(const CeremonyOptions *options, Error *error)
{
        json_t *part, *roles, *more;

        if (tuf_document_new(TUF_ROLE_ROOT, 1, ceremony_expiry(options), &part, error) < 0)
                return NULL;
        roles = json_object();
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++) {
                unsigned threshold = MAX_OF(options->thresholds[role], 1U);

                (void)json_object_set_new(roles, tuf_role_name((TufRole)role),
                                json_pack("{s:[], s:i}", "keyids", "threshold", (int)threshold));
        }
        more = json_pack("{s:b, s:{}, s:o}", "consistent_snapshot", 1, "keys", "roles", roles);
        if (!more || json_object_update(part, more) < 0) {
                json_decref(part);
                part = NULL;
        }
        json_decref(more);
        return part;
}

static int check_absent(const char *folder, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, CEREMONY_ROOT);

        if (!path)
                return error_oom(error);
        if (access(path, F_OK) == 0)
                return error_set(error, ERROR_NOTHING_TO_DO, EEXIST,
                                "%s is there already; to change keys use \"keys rotate\" or \"keys "
                                "root-next\"",
                                path);
        return 0;
}

/* Root 1 is signed by all of its keys at once, since they are all here. */
static int sign_first(RootDraft *draft, const CeremonyOptions *options, Error *error)
{
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        _cleanup_json_ json_t *document = NULL;
        _cleanup_free_ char *text = NULL;
        json_t *keyids = root_draft_keyids(draft, TUF_ROLE_ROOT);
        size_t size;
        int r = key_ring_load(draft->folder, options->passphrase, &ring, error);

        if (r < 0)
                return r;
        document = json_pack("{s:O, s:[]}", "signed", draft->part, "signatures");
        if (!document)
                return error_oom(error);
        for (size_t i = 0; i < json_array_size(keyids) && r >= 0; i++)
                r = tuf_document_add_signature(
                                document, json_string_value(json_array_get(keyids, i)), ring, error);
        if (r >= 0)
                r = tuf_document_text(document, &text, &size, error);
        if (r >= 0)
                r = ceremony_write(draft->folder, "1." CEREMONY_ROOT, text, size, error);
        return r < 0 ? r : ceremony_write(draft->folder, CEREMONY_ROOT, text, size, error);
}

int ceremony_init(const char *folder, const CeremonyOptions *options, Error *error)
{
        _cleanup_(passphrase_wipe) Buffer passphrase = BUFFER_WITH_CAP(TUF_PASSPHRASE_MAX);
        _cleanup_(root_draft_freep) RootDraft *draft = NULL;
        int r = check_absent(folder, error);

        if (r < 0)
                return r;
        r = directory_make(AT_FDCWD, folder, 0700);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot make %s: %s", folder, strerror(-r));
        r = root_draft_new(folder, first_part(options, error), &draft, error);
        if (r >= 0)
                r = get_new_passphrase(options, &passphrase, error);
        for (unsigned role = 0; role < TUF_ROLE_MAX && r >= 0; role++)
                for (unsigned i = 0; i < MAX_OF(options->keys[role], 1U) && r >= 0; i++)
                        r = make_key(draft, (TufRole)role, options->type, (char *)passphrase.data, error);
        if (r >= 0)
                r = root_draft_check(draft, error);
        return r < 0 ? r : sign_first(draft, options, error);
}
