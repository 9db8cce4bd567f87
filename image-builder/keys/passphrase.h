/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where the passphrase of encrypted keys, and the PIN of tokens, comes from. */

#include "buffer.h"
#include "error.h"

typedef struct PassphraseSource {
        const char *file;    /* its first line */
        const char *command; /* an agent: a program and its arguments, parted by spaces (no shell), that
                              * prints it; it gets the key's name as one more argument */
} PassphraseSource;          /* neither: a prompt on the terminal, if there is one */

/* Appends the passphrase of the key `name`; the caller wipes it. -ENOKEY with ERROR_UNTRUSTED when there is
 * none. A prompt asks twice when is_new. */
int passphrase_get(const PassphraseSource *source, const char *name, bool is_new, Buffer *ret, Error *error);

/* Forgets a secret and frees the buffer. */
void passphrase_wipe(Buffer *buffer);
