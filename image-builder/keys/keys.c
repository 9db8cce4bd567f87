/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include "file.h"
#include "private-key.h"
#include "sha256.h"
#include "strv.h"
#include "token-key.h"
#include "tuf-key.h"
#include "tuf-sign.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#define URI_FILE_MAX 4096
#define KEYS_MAX 256

typedef struct Key {
        char *name;      /* for people */
        char *reference; /* path of the private key, or URI */
        char keyid[SHA256_HEX_SIZE];
        json_t *public;
        EVP_PKEY *private; /* NULL until it is needed */
} Key;

struct KeyRing {
        PassphraseSource passphrase;
        Key keys[KEYS_MAX];
        size_t count;
};

static void pkey_freep(EVP_PKEY **key)
{
        EVP_PKEY_free(*key);
}

static int load_private(KeyRing *ring, Key *key, Error *error)
{
        return key->private ? 0 : private_key_load(key->reference, &ring->passphrase, &key->private, error);
}

/* The public half, from its own file if there is one, so that no passphrase is needed to know the key's
 * name. */
static int load_public(KeyRing *ring, Key *key, const char *pub_path, Error *error)
{
        _cleanup_(pkey_freep) EVP_PKEY *public = NULL;
        int r;

        if (pub_path && access(pub_path, F_OK) == 0) {
                r = tuf_public_key_read(pub_path, &public, error);
                if (r >= 0)
                        r = tuf_key_object(public, &key->public, error);
        } else {
                r = load_private(ring, key, error);
                if (r >= 0)
                        r = tuf_key_object(key->private, &key->public, error);
        }
        if (r >= 0)
                r = tuf_key_id(key->public, key->keyid, error);
        return r < 0 ? error_prefix(error, r, "%s", key->name) : 0;
}

static void key_done(Key *key)
{
        free(key->name);
        free(key->reference);
        json_decref(key->public);
        EVP_PKEY_free(key->private);
        *key = (Key){ 0 };
}

static int add_key(
                KeyRing *ring, const char *name, const char *reference, const char *pub_path, Error *error)
{
        Key *key = &ring->keys[ring->count];
        int r;

        if (ring->count >= KEYS_MAX)
                return error_set(error, ERROR_CONFIG, E2BIG, "more than %d keys", KEYS_MAX);
        key->name = strdup(name);
        key->reference = strdup(reference);
        if (!key->name || !key->reference)
                r = error_oom(error);
        else
                r = load_public(ring, key, pub_path, error);
        if (r < 0 || key_ring_has(ring, key->keyid)) {
                key_done(key);
                return r < 0 ? r : 0;
        }
        ring->count++;
        return 0;
}

int key_ring_new(const PassphraseSource *passphrase, KeyRing **ret, Error *error)
{
        KeyRing *ring = calloc(1, sizeof(*ring));

        if (!ring)
                return error_oom(error);
        if (passphrase)
                ring->passphrase = *passphrase;
        *ret = ring;
        return 0;
}

int key_ring_add(KeyRing *ring, const char *reference, Error *error)
{
        _cleanup_free_ char *path = NULL, *name = NULL;

        if (token_key_is_uri(reference)) {
                name = token_key_name(reference);
                return name ? add_key(ring, name, reference, NULL, error) : error_oom(error);
        }
        path = private_key_public_path(reference);
        return path ? add_key(ring, reference, reference, path, error) : error_oom(error);
}

static bool has_suffix(const char *text, const char *suffix)
{
        size_t length = strlen(text), suffix_length = strlen(suffix);

        return length > suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

/* One file of a key folder; what is no private key, nor names one, is passed over. */
static int add_file(KeyRing *ring, const char *folder, const char *file, Error *error)
{
        bool is_uri = has_suffix(file, KEY_URI_SUFFIX);
        _cleanup_free_ char *path = path_join(folder, file), *name = strndup(file, strlen(file) - 4);
        _cleanup_free_ char *pub_path = NULL, *uri = NULL;
        size_t size;
        int r;

        if (!is_uri && !has_suffix(file, KEY_FILE_SUFFIX))
                return 0;
        if (!path || !name)
                return error_oom(error);
        pub_path = string_format("%s/%s%s", folder, name, KEY_PUBLIC_SUFFIX);
        if (!pub_path)
                return error_oom(error);
        if (!is_uri)
                return add_key(ring, name, path, pub_path, error);
        r = file_read(AT_FDCWD, path, URI_FILE_MAX, &uri, &size);
        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "cannot read %s: %s", path, strerror(-r));
        uri[strcspn(uri, "\r\n")] = 0;
        if (!token_key_is_uri(uri))
                return error_set(error, ERROR_CONFIG, EINVAL, "%s does not hold a \"pkcs11:\" URI", path);
        return add_key(ring, name, uri, pub_path, error);
}

static int list_folder(const char *folder, char ***ret, Error *error)
{
        DIR *handle = opendir(folder);
        int r = 0;

        if (!handle)
                return error_set(error, ERROR_CONFIG, errno, "cannot read the key folder %s: %s", folder,
                                strerror(errno));
        for (struct dirent *entry; r >= 0 && (entry = readdir(handle));)
                if (strlen(entry->d_name) > 4)
                        r = strv_append(ret, entry->d_name);
        (void)closedir(handle);
        strv_sort(*ret);
        return r < 0 ? error_oom(error) : 0;
}

int key_ring_load(const char *folder, const PassphraseSource *passphrase, KeyRing **ret, Error *error)
{
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        _cleanup_strv_ char **files = NULL;
        int r = key_ring_new(passphrase, &ring, error);

        if (r >= 0)
                r = list_folder(folder, &files, error);
        for (char **file = files; r >= 0 && file && *file; file++)
                r = add_file(ring, folder, *file, error);
        if (r >= 0)
                *ret = TAKE_PTR(ring);
        return r;
}

KeyRing *key_ring_free(KeyRing *ring)
{
        for (size_t i = 0; ring && i < ring->count; i++)
                key_done(&ring->keys[i]);
        free(ring);
        return NULL;
}

size_t key_ring_count(const KeyRing *ring)
{
        return ring->count;
}

const char *key_ring_keyid(const KeyRing *ring, size_t number)
{
        return ring->keys[number].keyid;
}

const char *key_ring_name(const KeyRing *ring, size_t number)
{
        return ring->keys[number].name;
}

const json_t *key_ring_public(const KeyRing *ring, size_t number)
{
        return ring->keys[number].public;
}

static Key *find_key(const KeyRing *ring, const char *keyid)
{
        for (size_t i = 0; i < ring->count; i++)
                if (strcmp(ring->keys[i].keyid, keyid) == 0)
                        return (Key *)&ring->keys[i];
        return NULL;
}

bool key_ring_has(const KeyRing *ring, const char *keyid)
{
        return find_key(ring, keyid) != NULL;
}

/* The public half beside a private key could be another key's; a signature that its own public key does not
 * verify must not be published. */
static int check_signature(
                const Key *key, const void *data, size_t size, const char *signature, Error *error)
{
        _cleanup_(tuf_key_freep) TufKey *public = NULL;
        int r = tuf_key_parse(key->keyid, key->public, &public, error);

        if (r >= 0 && !tuf_key_verify(public, data, size, signature))
                r = error_set(error, ERROR_CONFIG, EBADMSG,
                                "%s: the public key beside the private key is not its other half",
                                key->name);
        return r;
}

int key_ring_sign(KeyRing *ring, const char *keyid, const void *data, size_t size, char **ret, Error *error)
{
        Key *key = find_key(ring, keyid);
        _cleanup_free_ char *signature = NULL;
        int r;

        if (!key)
                return error_set(error, ERROR_UNTRUSTED, ENOKEY, "the private key %.16s is not here", keyid);
        r = load_private(ring, key, error);
        if (r >= 0)
                r = tuf_sign(key->private, data, size, &signature, error);
        if (r >= 0)
                r = check_signature(key, data, size, signature, error);
        if (r >= 0)
                *ret = TAKE_PTR(signature);
        return r;
}
