/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Work on many items by several threads, whose results are taken in order: compressing the groups of a
 * payload, hashing the files of a tree. What comes out never depends on the number of threads. */

#include "error.h"

#define ORDERED_WORK_THREADS_MAX 64

typedef struct OrderedWork {
        size_t count; /* items 0 .. count - 1 */
        /* Called on a worker thread, `thread` being in [0, threads), which a caller can use to pick what it
         * made for that thread; item is < count, and its slot is item % ordered_work_window(threads): of the
         * items that were produced and not yet consumed no two have the same slot. */
        int (*produce)(void *data, size_t item, unsigned thread, Error *error);
        /* Called on the calling thread for each item in order, after it was produced. */
        int (*consume)(void *data, size_t item, Error *error);
        void *data;
} OrderedWork;

/* How many items can be under way at once. */
size_t ordered_work_window(unsigned threads);

/* Runs to the end or to the first item, in their order, that fails: its error is what is returned, whichever
 * failed first on the clock. All threads are gone when it returns. */
int ordered_work_run(const OrderedWork *work, unsigned threads, Error *error);

/* The processors that this process may use, at least 1 and at most ORDERED_WORK_THREADS_MAX. */
unsigned processor_count(void);
