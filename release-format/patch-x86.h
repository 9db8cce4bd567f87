/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* As much of x86-64 instructions as is needed to find the 32-bit fields in them that can be addresses. */

#include "macro.h"

#define PATCH_X86_MAX 24 /* bytes that patch_x86_decode() may look at */

typedef struct PatchX86 {
        uint8_t opcode, modrm;
        bool escaped; /* the opcode followed a 0f */
        bool branch;  /* relative_at is that of a branch */
        bool per_cpu; /* segment gs */
        /* Where in the instruction there are 4 bytes of this kind; 0: there are none. */
        uint8_t relative_at, displacement_at, immediate_at;
} PatchX86;

/* The length of the instruction at `p`, where PATCH_X86_MAX bytes can be read; 0 for what is none. Lengths
 * are right for what compilers make; whatever the bytes, what comes out lies within PATCH_X86_MAX. */
size_t patch_x86_decode(const uint8_t *p, PatchX86 *ret);
