/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What this machine's firmware will start. Under Secure Boot it refuses a program that it does not trust,
 * and a refused UKI costs more than a try: the firmware is back in charge, not the loader. So what firmware
 * would say is found out before a release is installed, from the same variables and by the same rules (UEFI
 * specification, section 32.5.3): a program is refused if its digest, a certificate of its signature or one
 * above that is in `dbx`; else it is started if its digest is in `db`, or a certificate there leads to a
 * signature over its digest. What shim would let in besides (its own list of keys) does not count.
 *
 * The variables are hostile as far as their form goes; that they are the firmware's is the kernel's word. */

#include "error.h"
#include "image-signatures.h"

typedef struct SecureBoot SecureBoot;

/* Reads SecureBoot, db and dbx. *ret is NULL when the firmware enforces nothing (no EFI, or Secure Boot is
 * off). -EBADMSG with ERROR_UNTRUSTED when it does and its lists cannot be read. `folder` is EFIVAR_FOLDER
 * (efivar.h) but for tests; NULL: there are no variables. */
int secure_boot_load(const char *folder, SecureBoot **ret, Error *error);

/* The same from the bytes of db and dbx; for tests. */
int secure_boot_new(const void *db, size_t db_size, const void *dbx, size_t dbx_size, SecureBoot **ret,
                Error *error);
SecureBoot *secure_boot_free(SecureBoot *secure_boot);
DEFINE_CLEANUP(SecureBoot *, secure_boot_free)

/* Whether the firmware would start the program. 0, or -EKEYREJECTED with ERROR_UNTRUSTED, or -ENOMEM. */
int secure_boot_judge(const SecureBoot *secure_boot, const ImageSignatures *signatures, Error *error);
