/* SPDX-License-Identifier: Apache-2.0 */
#include "mirrors.h"

#define BAD_SECONDS UINT64_C(300)
#define DOUBLINGS_MAX 5

void mirrors_failed(MirrorMemory *memory, size_t number, uint64_t now)
{
        if (number >= MIRRORS_MAX)
                return;
        MirrorRecord *record = &memory->records[number];
        unsigned doublings = MIN_OF(record->failures, (unsigned)DOUBLINGS_MAX);
        /* What fails again and again within one update is one failure. */
        if (record->bad_until > now)
                return;
        record->bad_until = now + MIN_OF(BAD_SECONDS << doublings, UINT64_C(7200));
        record->failures++;
}

void mirrors_served(MirrorMemory *memory, size_t number)
{
        if (number < MIRRORS_MAX)
                memory->records[number] = (MirrorRecord){ 0 };
}

void mirrors_order(const MirrorMemory *memory, size_t count, uint64_t now, size_t ret[static MIRRORS_MAX])
{
        size_t next = 0;
        count = MIN_OF(count, (size_t)MIRRORS_MAX);
        for (int is_bad = 0; is_bad <= 1; is_bad++)
                for (size_t i = 0; i < count; i++)
                        if ((memory->records[i].bad_until > now) == is_bad)
                                ret[next++] = i;
}
