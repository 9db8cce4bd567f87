/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* AArch64: fields are whole instruction words, of which only the immediate changes. An address is made by
 * ADRP, its page, and by the low 12 bits in a second instruction, so what the first stands for is known from
 * both. */

#include "macro.h"

typedef enum PatchArm64Form {
        PATCH_ARM64_NONE,
        PATCH_ARM64_BRANCH26, /* B, BL */
        PATCH_ARM64_BRANCH19, /* B.cond, CBZ, CBNZ */
        PATCH_ARM64_BRANCH14, /* TBZ, TBNZ */
        PATCH_ARM64_LITERAL,  /* LDR of what is near */
        PATCH_ARM64_ADR,
        PATCH_ARM64_ADRP,
        PATCH_ARM64_LOW, /* ADD, loads and stores with an unsigned offset: the low 12 bits */
} PatchArm64Form;

PatchArm64Form patch_arm64_form(uint32_t word);

/* The register that ADRP sets, or on which a LOW form bases. */
unsigned patch_arm64_register(uint32_t word, PatchArm64Form form);

/* What the immediate stands for when the instruction is at an address; of ADRP the start of the page, of LOW
 * the 12 bits. */
uint64_t patch_arm64_target(uint32_t word, PatchArm64Form form, uint64_t address);

/* The instruction with another target; what does not fit is cut off. */
uint32_t patch_arm64_with_target(uint32_t word, PatchArm64Form form, uint64_t address, uint64_t target);
