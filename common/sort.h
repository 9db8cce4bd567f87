/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sorting in place. Unlike qsort() it allocates nothing, asks the kernel for nothing, takes n log n steps
 * whatever the input, and gives one order everywhere: equal elements end as the heap leaves them, not as a C
 * library happens to. So it is for what decodes within stated bounds, and for what two machines must order
 * alike. */

#include <stddef.h>

/* `compare` as for qsort(). */
void sort_in_place(
                void *array, size_t count, size_t element_size, int (*compare)(const void *, const void *));
