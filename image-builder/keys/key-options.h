/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The options of every verb that signs: --keys DIR, --key KEY, --passphrase-file, --passphrase-command. */

#include "keys.h"
#include "options.h"

typedef struct KeyOptions {
        const char *folder;
        char **keys; /* strv: files or "pkcs11:" URIs */
        PassphraseSource passphrase;
} KeyOptions;

/* Elements for an Option table; `options` is a KeyOptions. */
#define KEY_OPTIONS(options)                                                                                \
        { "keys", 'k', OPTION_STRING, &(options).folder, "DIR", "Folder with signing keys" },               \
                        { "key", 0, OPTION_LIST, &(options).keys, "KEY",                                    \
                                "Sign with this key too (a file, or a pkcs11: URI); repeatable" },          \
                        PASSPHRASE_OPTIONS((options).passphrase)

/* The same for the passphrase alone. */
#define PASSPHRASE_OPTIONS(source)                                                                          \
        { "passphrase-file", 0, OPTION_STRING, &(source).file, "FILE",                                      \
                "Its first line opens encrypted keys" },                                                    \
        {                                                                                                   \
                "passphrase-command", 0, OPTION_STRING, &(source).command, "COMMAND",                       \
                                "Prints the passphrase of the key that it gets as an argument"              \
        }

/* The keys that the options name. ERROR_USAGE when they name none. */
int key_options_ring(const KeyOptions *options, KeyRing **ret, Error *error);

/* Frees what option parsing allocated. */
void key_options_done(KeyOptions *options);
