/* SPDX-License-Identifier: Apache-2.0 */
#include "mirrors.h"
#include "test.h"

static bool has_order(const MirrorMemory *memory, size_t count, uint64_t now, const size_t *wanted)
{
        size_t order[MIRRORS_MAX];
        mirrors_order(memory, count, now, order);
        return memcmp(order, wanted, count * sizeof(*wanted)) == 0;
}

TEST(the_order_is_that_of_the_configuration)
{
        MirrorMemory memory = { 0 };
        CHECK(has_order(&memory, 3, 100, (size_t[]){ 0, 1, 2 }));
}

TEST(a_bad_one_is_last_for_a_while)
{
        MirrorMemory memory = { 0 };
        mirrors_failed(&memory, 0, 100);
        CHECK(has_order(&memory, 3, 100, (size_t[]){ 1, 2, 0 }));
        CHECK(has_order(&memory, 3, 399, (size_t[]){ 1, 2, 0 }));
        CHECK(has_order(&memory, 3, 400, (size_t[]){ 0, 1, 2 }));
}

TEST(for_longer_each_time)
{
        MirrorMemory memory = { 0 };
        mirrors_failed(&memory, 1, 0);
        mirrors_failed(&memory, 1, 10); /* still the same misfortune */
        mirrors_failed(&memory, 1, 300);
        CHECK(has_order(&memory, 2, 899, (size_t[]){ 0, 1 }));
        CHECK_EQ(memory.records[1].bad_until, 900);
        uint64_t now = 900;
        for (int i = 0; i < 40; i++) {
                mirrors_failed(&memory, 1, now);
                CHECK(memory.records[1].bad_until - now <= 7200);
                now = memory.records[1].bad_until;
        }
}

TEST(one_that_serves_is_good_again)
{
        MirrorMemory memory = { 0 };
        mirrors_failed(&memory, 0, 100);
        mirrors_served(&memory, 0);
        CHECK(has_order(&memory, 2, 101, (size_t[]){ 0, 1 }));
}

TEST(when_all_are_bad_none_is_left_out)
{
        MirrorMemory memory = { 0 };
        for (size_t i = 0; i < MIRRORS_MAX + 3; i++)
                mirrors_failed(&memory, i, 50);
        CHECK(has_order(&memory, 3, 60, (size_t[]){ 0, 1, 2 }));
}

TEST_MAIN
