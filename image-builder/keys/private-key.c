/* SPDX-License-Identifier: Apache-2.0 */
#include "private-key.h"

#include "file.h"
#include "keys.h"
#include "token-key.h"
#include "tuf-sign.h"

#include <string.h>
#include <unistd.h>

static int get_passphrase(void *data, const char *name, Buffer *ret, Error *error)
{
        return passphrase_get(data, name, false, ret, error);
}

int private_key_load(const char *reference, const PassphraseSource *source, EVP_PKEY **ret, Error *error)
{
        if (token_key_is_uri(reference))
                return token_key_load(reference, source, ret, error);
        return tuf_private_key_read(reference, get_passphrase, (void *)source, ret, error);
}

char *private_key_public_path(const char *private_path)
{
        size_t length = strlen(private_path), suffix = strlen(KEY_FILE_SUFFIX);

        if (length > suffix && strcmp(private_path + length - suffix, KEY_FILE_SUFFIX) == 0)
                length -= suffix;
        return string_format("%.*s%s", (int)length, private_path, KEY_PUBLIC_SUFFIX);
}

int private_key_load_public(
                const char *reference, const PassphraseSource *source, EVP_PKEY **ret, Error *error)
{
        _cleanup_free_ char *path = NULL;

        if (token_key_is_uri(reference))
                return token_key_load(reference, source, ret, error);
        path = private_key_public_path(reference);
        if (!path)
                return error_oom(error);
        return access(path, F_OK) == 0 ? tuf_public_key_read(path, ret, error)
                                       : private_key_load(reference, source, ret, error);
}
