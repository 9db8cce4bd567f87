/* SPDX-License-Identifier: Apache-2.0 */
#include "key-options.h"

#include "strv.h"

int key_options_ring(const KeyOptions *options, KeyRing **ret, Error *error)
{
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        int r;

        if (!options->folder && !options->keys)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "give the keys to sign with: --keys DIR or --key KEY");
        if (options->folder)
                r = key_ring_load(options->folder, &options->passphrase, &ring, error);
        else
                r = key_ring_new(&options->passphrase, &ring, error);
        for (char **key = options->keys; r >= 0 && key && *key; key++)
                r = key_ring_add(ring, *key, error);
        if (r >= 0)
                *ret = TAKE_PTR(ring);
        return r;
}

void key_options_done(KeyOptions *options)
{
        options->keys = strv_free(options->keys);
}
