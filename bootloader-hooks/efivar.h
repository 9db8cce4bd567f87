/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* EFI variables of the Boot Loader Interface (https://systemd.io/BOOT_LOADER_INTERFACE), by which the loader
 * tells the system how it was booted. Read only: we never set one. A variable can be written by
 * anything that ever ran on the firmware, so its content is hostile: size capped, only printable ASCII. */

#include "macro.h"

#define EFIVAR_FOLDER "/sys/firmware/efi/efivars"
#define EFIVAR_TEXT_MAX 1024 /* characters */

/* Decodes what efivarfs gives: 4 bytes of attributes, then UTF-16LE with or without a final NUL. -EBADMSG
 * for anything but printable ASCII, -E2BIG past EFIVAR_TEXT_MAX. ret is freed by the caller. */
int efivar_decode(const uint8_t *data, size_t size, char **ret);

/* Text of a loader variable ("LoaderInfo", "LoaderEntrySelected", "LoaderBootCountPath"). -ENOENT when it is
 * not set, or the machine has no EFI. `folder` is EFIVAR_FOLDER but for tests. */
int efivar_read(const char *folder, const char *name, char **ret);

/* Whether the running entry was booted with a counter, i.e. the release is on trial: the loader says so
 * through LoaderBootCountPath. 1, 0, or negative errno. */
int efivar_booted_on_trial(const char *folder);
