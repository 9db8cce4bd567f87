/* SPDX-License-Identifier: Apache-2.0 */
#include "trust-store.h"

#include "file.h"
#include "json.h"
#include "tuf-store-folder.h"

#include <fcntl.h>
#include <string.h>

/* signed.version of a root file, only to compare the two. 0 for one that cannot be read. */
static uint64_t root_version(const void *data, size_t size)
{
        _cleanup_json_ json_t *root = NULL;
        json_t *signed_part = NULL;
        uint64_t version = 0;
        if (json_parse(data, size, TUF_ROOT_MAX, "root.json", &root, NULL) < 0 ||
                        json_get_object(root, "signed", &signed_part, NULL) < 0 ||
                        json_get_u64(signed_part, "version", &version, NULL) < 0)
                return 0;
        return version;
}

static int store_load(void *data, const char *role, Buffer *ret, Error *error)
{
        const TrustStore *store = data;
        if (strcmp(role, "root") != 0)
                return store->files.load(store->files.data, role, ret, error);
        _cleanup_buffer_ Buffer saved = BUFFER_WITH_CAP(TUF_ROOT_MAX);
        int r = store->files.load(store->files.data, role, &saved, NULL);
        if (r >= 0 && root_version(saved.data, saved.size) > store->image_root_version)
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
        store->image_root_version = root_version(store->image_root, store->image_root_size);
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

void trust_store_close(TrustStore *store)
{
        free(store->folder);
        free(store->image_root);
        *store = (TrustStore){ 0 };
}
