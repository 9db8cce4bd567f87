/* SPDX-License-Identifier: Apache-2.0 */
#include "sort.h"

#include <stdint.h>

static void swap(uint8_t *a, uint8_t *b, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                uint8_t byte = a[i];

                a[i] = b[i];
                b[i] = byte;
        }
}

/* Lets the element sink to where neither child is larger. */
static void sink(uint8_t *array, size_t at, size_t count, size_t size,
                int (*compare)(const void *, const void *))
{
        for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
                if (child + 1 < count && compare(array + child * size, array + (child + 1) * size) < 0)
                        child++;
                if (compare(array + at * size, array + child * size) >= 0)
                        return;
                swap(array + at * size, array + child * size, size);
                at = child;
        }
}

void sort_in_place(
                void *array, size_t count, size_t element_size, int (*compare)(const void *, const void *))
{
        for (size_t i = count / 2; i > 0; i--)
                sink(array, i - 1, count, element_size, compare);
        for (size_t left = count; left > 1; left--) {
                swap(array, (uint8_t *)array + (left - 1) * element_size, element_size);
                sink(array, 0, left - 1, element_size, compare);
        }
}
