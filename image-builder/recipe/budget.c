/* SPDX-License-Identifier: Apache-2.0 */
#include "budget.h"
#include "file.h"
#include "raw-disk.h"

#include <string.h>

int budget_parse_layout(const char *text, BudgetLayout *ret, Error *error)
{
        const char *slot = strchr(text, ':'), *esp = slot ? strchr(slot + 1, ':') : NULL;
        size_t length = slot ? (size_t)(slot - text) : 0;
        BudgetLayout layout = { 0 };
        _cleanup_free_ char *slot_text = esp ? strndup(slot + 1, (size_t)(esp - slot - 1)) : NULL;

        if (esp && !slot_text)
                return error_oom(error);
        if (!esp || length == 0 || length >= sizeof(layout.name) ||
                        size_parse(slot_text, &layout.slot_size_bytes) < 0 ||
                        size_parse(esp + 1, &layout.esp_size_bytes) < 0)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "Layout=: \"%.100s\" is not of the form NAME:SLOTSIZE:ESPSIZE, such as "
                                "2025:512M:160M",
                                text);
        memcpy(layout.name, text, length);
        *ret = layout;
        return 0;
}

static void describe_growth(uint64_t now, uint64_t before, char *ret, size_t size)
{
        char by[SIZE_TEXT_MAX];

        if (now == before)
                (void)snprintf(ret, size, "stayed as it was");
        else
                (void)snprintf(ret, size, "%s by %s", now > before ? "grew" : "shrank",
                                size_format(now > before ? now - before : before - now, by));
}

void budget_describe_kernel(
                const BudgetKernel *now, const BudgetKernel *before, char ret[static BUDGET_KERNEL_TEXT_MAX])
{
        char kernel[2 * SIZE_TEXT_MAX], initrd[2 * SIZE_TEXT_MAX];
        int length = snprintf(ret, BUDGET_KERNEL_TEXT_MAX,
                        "in each of them the kernel takes %s and the initrd %s",
                        size_format(now->kernel_bytes, kernel), size_format(now->initrd_bytes, initrd));

        if (!before || length < 0 || length >= BUDGET_KERNEL_TEXT_MAX)
                return;
        describe_growth(now->kernel_bytes, before->kernel_bytes, kernel, sizeof(kernel));
        describe_growth(now->initrd_bytes, before->initrd_bytes, initrd, sizeof(initrd));
        (void)snprintf(ret + length, (size_t)(BUDGET_KERNEL_TEXT_MAX - length),
                        "; since the previous release the kernel %s and the initrd %s", kernel, initrd);
}

static int too_small(int errnum, const char *what, const char *name, const char *needs, uint64_t needed,
                uint64_t have, const char *details, Error *error)
{
        char need_text[SIZE_TEXT_MAX], have_text[SIZE_TEXT_MAX], missing[SIZE_TEXT_MAX];

        return error_set(error, ERROR_NO_SPACE, errnum,
                        "the release does not fit %s%s: %s %s, which has %s, %s too little%s%s", what, name,
                        needs, size_format(needed, need_text), size_format(have, have_text),
                        size_format(needed - have, missing), details ? "; " : "", details ? details : "");
}

static int check_slot(const Recipe *recipe, const char *what, const char *name, uint64_t slot, uint64_t root,
                const char *details, Error *error)
{
        if (slot >= recipe->reserve_bytes && root <= slot - recipe->reserve_bytes)
                return 0;
        return too_small(ENOSPC, what, name, "root image and reserve need a slot of",
                        root + recipe->reserve_bytes, slot, details, error);
}

int budget_check(const Recipe *recipe, uint64_t root_size_bytes, uint64_t uki_size_bytes,
                const char *details, Error *error)
{
        uint64_t esp = raw_disk_esp_needs(uki_size_bytes);
        int r = check_slot(
                        recipe, "SlotSize=", "", recipe->slot_size_bytes, root_size_bytes, details, error);

        for (char **text = recipe->budget_layouts; r >= 0 && text && *text; text++) {
                BudgetLayout layout;

                r = budget_parse_layout(*text, &layout, error);
                if (r >= 0)
                        r = check_slot(recipe, "the layout ", layout.name, layout.slot_size_bytes,
                                        root_size_bytes, details, error);
                if (r >= 0 && esp > layout.esp_size_bytes)
                        r = too_small(EFBIG, "the layout ", layout.name,
                                        "two kernel images with the boot loader need an ESP of", esp,
                                        layout.esp_size_bytes, details, error);
        }
        return r;
}
