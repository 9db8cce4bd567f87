/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf-store-folder.h"

#include "file.h"
#include "percent.h"

#include <fcntl.h>
#include <string.h>

#define FILE_NAME_MAX 200 /* leaves room in NAME_MAX for ".json" and a temporary file's suffix */

static int file_path(const char *folder, const char *role, char **ret)
{
        _cleanup_buffer_ Buffer name = BUFFER_WITH_CAP(FILE_NAME_MAX);
        char digest[SHA256_HEX_SIZE];
        int r = percent_encode(&name, role, NULL);

        if (r == -E2BIG) {
                sha256_hex_of(role, strlen(role), digest);
                buffer_clear(&name);
                r = buffer_printf(&name, "%%%%%s", digest);
        }
        if (r < 0)
                return r;
        *ret = string_format("%s/%s.json", folder, (char *)name.data);
        return *ret ? 0 : -ENOMEM;
}

static int load(void *data, const char *role, Buffer *ret, Error *error)
{
        _cleanup_free_ char *path = NULL, *bytes = NULL;
        size_t size;
        int r = file_path(data, role, &path);

        if (r < 0)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, ret->cap, &bytes, &size);
        if (r == -ENOENT)
                return r;
        if (r >= 0)
                r = buffer_append(ret, bytes, size);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

static int save(void *data, const char *role, const void *bytes, size_t size, Error *error)
{
        _cleanup_free_ char *path = NULL;
        int r = file_path(data, role, &path);

        if (r < 0)
                return error_oom(error);
        r = file_replace(AT_FDCWD, path, bytes, size, 0644);
        if (r < 0)
                return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot write %s: %s",
                                path, strerror(-r));
        return 0;
}

static int remove_role(void *data, const char *role, Error *error)
{
        _cleanup_free_ char *path = NULL;
        int r = file_path(data, role, &path);

        if (r < 0)
                return error_oom(error);
        if (unlink(path) < 0 && errno != ENOENT)
                return error_set(error, ERROR_IO, errno, "cannot remove %s: %s", path, strerror(errno));
        return 0;
}

TufStore tuf_store_folder(const char *path)
{
        return (TufStore){ load, save, remove_role, (void *)path };
}
