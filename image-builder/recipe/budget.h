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

/* -ENOSPC with ERROR_NO_SPACE names the layout, or SlotSize= with its reserve, and by how much it is too
 * small. `details` (may be NULL) says what takes the room (size_report_summary()). */
int budget_check(const Recipe *recipe, uint64_t root_size_bytes, uint64_t uki_size_bytes,
                const char *details, Error *error);
