/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf-transport-folder.h"

#include "file.h"

#include <fcntl.h>
#include <string.h>

static int fetch(void *data, const char *name, Buffer *ret, Error *error)
{
        _cleanup_free_ char *path = path_join(data, name), *bytes = NULL;
        size_t size;
        int r;

        if (!path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, ret->cap, &bytes, &size);
        if (r == -ENOENT || r == -E2BIG)
                return r;
        if (r >= 0)
                r = buffer_append(ret, bytes, size);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

TufTransport tuf_transport_folder(const char *path)
{
        return (TufTransport){ fetch, (void *)path };
}
