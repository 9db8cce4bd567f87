/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#include <string.h>

static int order_of(const LockPackage *a, const LockPackage *b)
{
        int order;

        if (!a || !b)
                return a ? -1 : 1;
        order = strcmp(a->name, b->name);
        return order ? order : strcmp(a->architecture, b->architecture);
}

static bool is_same(const LockPackage *a, const LockPackage *b)
{
        return strcmp(a->version, b->version) == 0 && memcmp(a->sha256, b->sha256, SHA256_SIZE) == 0;
}

/* Both lists are sorted. */
int lock_compare(const Lock *before, const Lock *after, LockChange **ret, size_t *ret_count)
{
        size_t before_count = before ? before->package_count : 0, i = 0, j = 0, count = 0;
        LockChange *changes = calloc(before_count + after->package_count + 1, sizeof(*changes));

        if (!changes)
                return -ENOMEM;
        while (i < before_count || j < after->package_count) {
                const LockPackage *a = i < before_count ? &before->packages[i] : NULL;
                const LockPackage *b = j < after->package_count ? &after->packages[j] : NULL;
                int order = order_of(a, b);

                if (order < 0)
                        changes[count++] = (LockChange){ LOCK_REMOVED, a, NULL };
                else if (order > 0)
                        changes[count++] = (LockChange){ LOCK_ADDED, NULL, b };
                else if (!is_same(a, b))
                        changes[count++] = (LockChange){ LOCK_CHANGED, a, b };
                i += order <= 0;
                j += order >= 0;
        }
        if (count == 0) {
                free(changes);
                changes = NULL;
        }
        *ret = changes;
        *ret_count = count;
        return 0;
}
