/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Keys of our own for Secure Boot (UEFI specification, section 32): PK, who owns the platform; KEK, who may
 * change what it trusts; db, who signs programs; and a key for PCR 11 policies (pcr-policy.h). In a folder:
 *
 *     PK.pem KEK.pem db.pem pcr.pem    private keys, PKCS#8, maybe encrypted
 *     PK.crt KEK.crt db.crt            their certificates, PEM
 *     pcr.pub                          the public key
 *     PK.auth KEK.auth db.auth         the variables for firmware in setup mode, signed: PK and KEK by PK,
 * db by KEK
 *
 * Whoever enrols PK.auth, KEK.auth and db.auth trusts what db.pem signs and nothing else. PK.pem and KEK.pem
 * are needed again only to change that; keep them offline. */

#include "buffer.h"
#include "passphrase.h"

#define SECURE_BOOT_AUTH_SUFFIX ".auth"
/* The variables, in the order in which firmware must get them. */
extern const char *const secure_boot_variables[3];

typedef struct SecureBootKeyOptions {
        bool is_encrypted;
        const PassphraseSource *passphrase; /* may be NULL */
        const char *common_name;            /* what certificates begin with; NULL: "Bascule" */
        int64_t now;                        /* seconds since 1970; 0: the clock */
} SecureBootKeyOptions;

/* Makes the folder and all of its files. -EEXIST rather than overwrite a key. */
int secure_boot_keys_init(const char *folder, const SecureBootKeyOptions *options, Error *error);
