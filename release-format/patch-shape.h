/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The shape of the new file: its ELF header and section table, coded against the old ones. Prediction needs
 * to know where sections are before the bytes that say so are there. The layout of the bytes is in
 * docs/formats-prediction.md. */

#include "byte-reader.h"
#include "patch-elf.h"

/* Finds the counterparts of sections by their names, sets them in both, and appends the shape of `new_elf`.
 */
int patch_shape_write(PatchElf *old_elf, PatchElf *new_elf, Buffer *ret, Error *error);

/* The reverse: fills *ret_new (arranged, without names) for a new file of that size, and sets the
 * counterparts of the old sections. The reader is left behind this part of the shape. -EBADMSG for a shape
 * that cannot be. */
int patch_shape_read(
                PatchElf *old_elf, uint64_t new_size, ByteReader *reader, PatchElf *ret_new, Error *error);
