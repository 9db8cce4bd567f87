/* SPDX-License-Identifier: Apache-2.0 */
#include "program-match.h"

#include "patch-blur.h"

#include <string.h>

/* A copy in which fields show what they refer to, not where that is. 1, or 0 when it is not understood. */
static int blurred(const uint8_t *data, size_t size, uint8_t **ret)
{
        uint8_t *copy = *ret = malloc(size);

        if (!copy)
                return -ENOMEM;
        memcpy(copy, data, size);
        return patch_blur(copy, size, NULL);
}

int program_match(const uint8_t *old_data, size_t old_size, const uint8_t *new_data, size_t new_size,
                size_t left_out, SegmentList *ret)
{
        _cleanup_free_ uint8_t *old_copy = NULL, *new_copy = NULL;
        int r = blurred(old_data, old_size, &old_copy);

        if (r > 0)
                r = blurred(new_data, new_size, &new_copy);
        if (r < 0)
                return r;
        return suffix_match(r > 0 ? old_copy : old_data, old_size, r > 0 ? new_copy : new_data,
                        new_size - left_out, ret);
}
