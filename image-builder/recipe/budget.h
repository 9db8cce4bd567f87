/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether a release fits the hosts that are in the field: [Budget] of a recipe names the layouts that their
 * disks were laid out with, whose sizes are for ever, and how much of a slot must stay free for releases to
 * come. */

#include "recipe.h"

typedef struct BudgetLayout {
        char name[64];
        uint64_t slot_size_bytes, esp_size_bytes;
} BudgetLayout;

/* "NAME:SLOT:ESP", sizes with K, M or G. -EINVAL with ERROR_CONFIG. */
int budget_parse_layout(const char *text, BudgetLayout *ret, Error *error);

/* The large parts of a kernel image. */
typedef struct BudgetKernel {
        uint64_t kernel_bytes, initrd_bytes;
} BudgetKernel;

/* For a message: what takes the room of a kernel image, and by how much that grew since the previous one, if
 * it is known (else NULL). */
#define BUDGET_KERNEL_TEXT_MAX 256
void budget_describe_kernel(const BudgetKernel *now, const BudgetKernel *before,
                char ret[static BUDGET_KERNEL_TEXT_MAX]);

/* With ERROR_NO_SPACE, names the layout, or SlotSize= with its reserve, and by how much it is too small:
 * -ENOSPC for a slot, -EFBIG for an ESP. `details` (may be NULL) says what takes the room there
 * (size_report_summary(), budget_describe_kernel()). */
int budget_check(const Recipe *recipe, uint64_t root_size_bytes, uint64_t uki_size_bytes,
                const char *details, Error *error);
