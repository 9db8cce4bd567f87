/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which mirrors of a repository have lately let a host down, so that an update does not begin each of its
 * connections with one that is known to be bad. In memory only and no more than an order to ask in: a mirror
 * that failed is asked last for five minutes, for twice as long each further time up to two hours, and is
 * good again once it serves something. Role fetch tells what it met; should it lie, the order is bad and
 * nothing else. Pure. */

#include "macro.h"

#define MIRRORS_MAX 16

typedef struct MirrorRecord {
        uint64_t bad_until; /* monotonic seconds; 0: good */
        unsigned failures;  /* since it last served something */
} MirrorRecord;

typedef struct MirrorMemory {
        MirrorRecord records[MIRRORS_MAX]; /* by place in the configuration */
} MirrorMemory;

void mirrors_failed(MirrorMemory *memory, size_t number, uint64_t now);
void mirrors_served(MirrorMemory *memory, size_t number);

/* The `count` mirrors: the good ones as configured, then the bad ones as configured. */
void mirrors_order(const MirrorMemory *memory, size_t count, uint64_t now, size_t ret[static MIRRORS_MAX]);
