/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The table of functions in programs made by Go, section .gopclntab, of versions 1.18 and later
 * (src/debug/gosym and src/runtime/symtab.go in its source): a header, and for each function an entry and a
 * record, which hold distances from the text and from parts of the table. */

#include "patch-walk.h"

/* Notes where the parts are, and marks where records begin; nothing when the table is not understood.
 * Memory: 4 bytes for each 512 of records. */
int patch_go_prepare(PatchFields *fields, Error *error);
