/* SPDX-License-Identifier: Apache-2.0 */
#include "trust-store.h"

#include "file.h"
#include "hex.h"
#include "sha256.h"
#include "tuf-metadata.h"
#include "tuf-store-folder.h"

#include <fcntl.h>
#include <string.h>

#define ETAG_FILE "timestamp.etag"
#define ETAG_FILE_MAX 512

/* Of a root that its own keys vouch for, as they do for every one that was trusted. */
static int root_version(const void *data, size_t size, uint64_t *ret)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *root = NULL;
        int r = tuf_metadata_parse("root", TUF_ROLE_ROOT, data, size, &root, NULL);
        if (r >= 0)
                r = tuf_verify("root", root, &root->keys, &root->signers[TUF_ROLE_ROOT], NULL);
        if (r >= 0)
                *ret = root->version;
        return r;
}

/* A root on /var that was damaged there must not stop updates: the image's leads to it once more. */
static int store_load(void *data, const char *role, Buffer *ret, Error *error)
{
        const TrustStore *store = data;
        if (strcmp(role, "root") != 0)
                return store->files.load(store->files.data, role, ret, error);
        _cleanup_buffer_ Buffer saved = BUFFER_WITH_CAP(TUF_ROOT_MAX);
        uint64_t version = 0;
        int r = store->files.load(store->files.data, role, &saved, NULL);
        if (r >= 0)
                r = root_version(saved.data, saved.size, &version);
        if (r == -ENOMEM)
                return error_oom(error);
        if (r >= 0 && version > store->image_root_version)
                return buffer_append(ret, saved.data, saved.size);
        return buffer_append(ret, store->image_root, store->image_root_size);
}

static int store_save(void *data, const char *role, const void *bytes, size_t size, Error *error)
{
        const TrustStore *store = data;
        return store->files.save(store->files.data, role, bytes, size, error);
}

static int store_remove(void *data, const char *role, Error *error)
{
        const TrustStore *store = data;
        return store->files.remove(store->files.data, role, error);
}

TufStore trust_store_interface(TrustStore *store)
{
        return (TufStore){ store_load, store_save, store_remove, store };
}

int trust_store_open(TrustStore *store, const Host *host, Error *error)
{
        *store = (TrustStore){ 0 };
        int r = file_read(AT_FDCWD, host->trusted_root_path, TUF_ROOT_MAX, &store->image_root,
                        &store->image_root_size);
        if (r < 0)
                return error_set(error, ERROR_UNTRUSTED, -r,
                                "cannot read the trusted root %s (%s), so no release can be believed",
                                host->trusted_root_path, strerror(-r));
        r = root_version(store->image_root, store->image_root_size, &store->image_root_version);
        if (r == -ENOMEM)
                return error_oom(error);
        if (r < 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "the trusted root %s is damaged, so no release can be believed; this host "
                                "needs an image that carries the repository's root.json",
                                host->trusted_root_path);
        store->folder = path_join(host->state_folder, "metadata");
        if (!store->folder)
                return error_oom(error);
        r = directory_make(AT_FDCWD, store->folder, 0700);
        if (r < 0)
                return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot make %s: %s",
                                store->folder, strerror(-r));
        store->files = tuf_store_folder(store->folder);
        return 0;
}

/* The hash of the trusted timestamp, in hexadecimal. */
static int timestamp_hash(TrustStore *store, char ret[static 2 * SHA256_SIZE + 1])
{
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(TUF_TIMESTAMP_MAX);
        uint8_t hash[SHA256_SIZE];
        int r = store->files.load(store->files.data, "timestamp", &bytes, NULL);
        if (r < 0)
                return r;
        sha256_of(bytes.data, bytes.size, hash);
        hex_encode(hash, sizeof(hash), ret);
        return 0;
}

void trust_store_etag(TrustStore *store, char ret[static HTTP_ETAG_MAX])
{
        _cleanup_free_ char *path = path_join(store->folder, ETAG_FILE), *text = NULL;
        char hash[2 * SHA256_SIZE + 1];
        ret[0] = '\0';
        if (!path || timestamp_hash(store, hash) < 0 ||
                        file_read(AT_FDCWD, path, ETAG_FILE_MAX, &text, NULL) < 0)
                return;
        size_t length = strlen(hash);
        if (strncmp(text, hash, length) == 0 && text[length] == ' ' && http_etag_is_valid(text + length + 1))
                (void)snprintf(ret, HTTP_ETAG_MAX, "%s", text + length + 1);
}

void trust_store_note_etag(TrustStore *store, const char *etag)
{
        _cleanup_free_ char *path = path_join(store->folder, ETAG_FILE);
        char hash[2 * SHA256_SIZE + 1], known[HTTP_ETAG_MAX], text[sizeof(hash) + sizeof(known) + 1];
        trust_store_etag(store, known);
        if (!path || !http_etag_is_valid(etag) || strcmp(known, etag) == 0 ||
                        timestamp_hash(store, hash) < 0)
                return;
        (void)snprintf(text, sizeof(text), "%s %s", hash, etag);
        (void)file_replace(AT_FDCWD, path, text, strlen(text), 0600);
}

void trust_store_close(TrustStore *store)
{
        free(store->folder);
        free(store->image_root);
        *store = (TrustStore){ 0 };
}
