/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <time.h>

/* Milliseconds since some moment in the past: for how long something takes. Does not jump when the clock is
 * set, and stands still while the machine sleeps (CLOCK_MONOTONIC, which cannot fail on Linux). */
static inline int64_t monotonic_ms(void)
{
        struct timespec now = { 0 };
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The same in seconds. */
static inline uint64_t monotonic_seconds(void)
{
        return (uint64_t)monotonic_ms() / 1000;
}
