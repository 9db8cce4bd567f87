/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an ELF program or library says that it cannot start without: the libraries of its dynamic section
 * (DT_NEEDED) and its interpreter (PT_INTERP), by the System V ABI, chapters 4 and 5. Only 64-bit
 * little-endian files are looked into. Files are hostile: every offset is checked, counts are capped, and
 * what makes no sense needs nothing. */

#include "error.h"

#define ELF_NEEDS_MAX 256 /* libraries */

typedef struct ElfNeeds {
        char **libraries;  /* names such as "libc.so.6"; NULL: none */
        char *interpreter; /* a path; NULL: none */
} ElfNeeds;

/* Exactly `size` bytes from an offset, or a negative errno. */
typedef int (*ElfRead)(void *data, uint64_t offset_bytes, void *ret, size_t size);

/* 0 also for files that are not ELF, whose needs are empty. What `read` fails with past the end counts as
 * damage, not as an error. -ENOMEM. */
int elf_needs_read(ElfRead read, void *data, ElfNeeds *ret);
void elf_needs_done(ElfNeeds *needs);
