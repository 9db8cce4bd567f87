/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Unified kernel images: systemd's EFI stub with the kernel and what belongs to it as more sections of the
 * same PE file (UAPI Group, Unified Kernel Image; Microsoft, PE Format). The sections come after the stub's
 * last one, each aligned to 4 KiB in memory and in the file; the kernel is the last of them.
 *
 * The stub is a file of the building machine and is checked: anything but a PE32+ file for EFI whose headers
 * and sections lie inside it, with room for more section headers, is refused. */

#include "buffer.h"
#include "error.h"

#define UKI_MAX (512 * MIB)

/* Borrowed bytes. */
typedef struct UkiParts {
        const void *stub, *osrel, *cmdline, *initrd, *kernel;
        size_t stub_size, osrel_size, cmdline_size, initrd_size, kernel_size;
        const char *pcr_public_key, *pcr_signature; /* texts for measured boot (pcr-policy.h); NULL: none */
        const char *release; /* of the kernel, as `uname -r` tells it; NULL: no .uname section */
} UkiParts;

/* Appends the image to an empty buffer. Same parts, same bytes. -EBADMSG with ERROR_CORRUPT for a stub that
 * cannot be used; -E2BIG past UKI_MAX. */
int uki_write(const UkiParts *parts, Buffer *ret, Error *error);
