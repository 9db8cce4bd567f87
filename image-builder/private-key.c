/* SPDX-License-Identifier: Apache-2.0 */
#include "private-key.h"

#include "token-key.h"
#include "tuf-sign.h"

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
