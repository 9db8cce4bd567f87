/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files that are not linked yet: relocations against sections, and what all modules of a kernel have alike.
 */

#include "patch-walk.h"

/* What is learned for all files is told apart by families. */
#define PATCH_FAMILY_CHECKSUM 0x1000
#define PATCH_FAMILY_VERSION 0x2000
#define PATCH_FAMILY_NOTE 0x3000
#define PATCH_FAMILY_NAME 0x4000
#define PATCH_FAMILY_TYPE 0x5000

/* Notes which symbols stand for sections. Memory: 2 bytes a symbol, at most 512 KiB. */
int patch_reloc_prepare(PatchFields *fields, Error *error);
